"""Sentences a second of three WordPiece tokenizers on the same text in one run: ratios matter, not the figures.

    python benchmarks/tokenizer.py [TEXTS] [--vocabulary FOLDER_OR_VOCAB_TXT] [--rounds 5]

TEXTS has one sentence a line; what follows a tab is left out. The rounds of the tokenizers alternate, so that
whatever else the machine does meets all of them, and each one's best round counts. Without arguments the sentences
are SST-2's, and the vocabulary BERT's, from ../shared/data.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
MAX_LENGTH = 128
BATCH_SIZES = (1, 32, 1000)


def build_tokenizers(vocabulary_path: Path) -> dict[str, Callable[[list[str]], object]]:
    """From a name to a function of a batch of sentences; all frame with cls and separator and cut at 128."""
    import keras_hub
    import tensorflow as tf
    from tokenizers import BertWordPieceTokenizer

    from kerasft.text.tokenizers.vocabulary import load_vocabulary
    from kerasft.text.tokenizers.wordpiece import WordPiece

    vocabulary = load_vocabulary(vocabulary_path)
    ours = WordPiece(vocabulary)
    rules = {"lowercase": vocabulary.lowercase, "strip_accents": vocabulary.strip_accents}
    theirs = BertWordPieceTokenizer(vocabulary.index, handle_chinese_chars=vocabulary.split_cjk, **rules)
    theirs.enable_truncation(MAX_LENGTH)
    keras_hub_tokenizer = keras_hub.models.BertTokenizer(vocabulary=list(vocabulary.pieces), **rules)
    signature = [tf.TensorSpec([None], tf.string)]
    tokenize_in_graph = tf.function(keras_hub_tokenizer.tokenize, input_signature=signature)
    return {
        "kerasft, in core TensorFlow ops": lambda texts: ours.encode_ragged(tf.constant(texts), MAX_LENGTH),
        "tokenizers, in Rust": lambda texts: [encoding.ids for encoding in theirs.encode_batch(texts)],
        "keras-hub, with tensorflow-text": lambda texts: tokenize_in_graph(tf.constant(texts)),
    }


def measure(tokenizers, sentences: list[str], batch_size: int, rounds: int) -> dict[str, float]:
    """Each tokenizer's sentences a second, in its best round."""
    batches = [sentences[start : start + batch_size] for start in range(0, len(sentences), batch_size)]
    best = dict.fromkeys(tokenizers, 0.0)
    for _ in range(rounds):
        for name, tokenize in tokenizers.items():
            tokenize(batches[0])
            began = time.perf_counter()
            for batch in batches:
                tokenize(batch)
            best[name] = max(best[name], len(sentences) / (time.perf_counter() - began))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("texts", nargs="?", type=Path, default=DATA / "sst2" / "train.tsv")
    parser.add_argument("--vocabulary", type=Path, default=DATA / "vocab" / "bert_uncased.txt")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    lines = arguments.texts.read_text(encoding="utf-8").rstrip("\n").split("\n")
    sentences = [line.split("\t")[0] for line in lines]
    tokenizers = build_tokenizers(arguments.vocabulary)
    print(f"{len(sentences)} sentences of {arguments.texts}, {os.cpu_count()} cores")
    print(
        f"{'sentences a second (ratio to the first)':<42}"
        + "".join(f"{f'batch of {n}':>20}" for n in BATCH_SIZES)
    )
    # One sentence a call is slow for all of them; a share of the text is enough.
    results = [measure(tokenizers, sentences[: 1000 * n], n, arguments.rounds) for n in BATCH_SIZES]
    first = next(iter(tokenizers))
    for name in tokenizers:
        cells = (f"{result[name]:,.0f} ({result[name] / result[first]:.2f})" for result in results)
        print(f"{name:<42}" + "".join(f"{cell:>20}" for cell in cells))


if __name__ == "__main__":
    main()
