"""Texts a second of kerasft's tokenizers and of the libraries that they follow, on the same texts in one run.

    python benchmarks/tokenizer.py TEXTS [--kinds wordpiece …] [--vocabulary FOLDER_OR_VOCAB_TXT] [--rounds 5]

TEXTS has one text a line; what follows a tab is left out. Tokenizers of 8192 tokens are trained on these texts first,
except that WordPiece takes a vocabulary if one is named. The rounds of the tokenizers alternate, so that whatever else
the machine does meets all of them, and each one's best round counts: ratios matter, not the figures.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

BATCH_SIZES = (1, 32, 1000)
KINDS = {
    "wordpiece": {"type": "wordpiece", "lowercase": True},
    "gpt2": {"type": "byte_bpe", "pattern": "gpt2"},
    "smollm": {"type": "byte_bpe", "pattern": "smollm"},
    "llama3": {"type": "byte_bpe", "pattern": "llama3"},
    "unigram": {"type": "unigram"},
    "characters": {"type": "characters"},
}

Encode = Callable[[list[str]], object]


def build_tokenizers(kind: str, texts: list[str], folder: Path, vocabulary: Path | None) -> dict[str, Encode]:
    """From a name to a function of a batch of texts, which gives ids without special tokens."""
    import tensorflow as tf

    from kerasft.text.tokenizers.config import TokenizerConfig
    from kerasft.text.tokenizers.loading import load_tokenizer
    from kerasft.text.tokenizers.training import train_tokenizer
    from kerasft.text.tokenizers.vocabulary import load_vocabulary
    from kerasft.text.tokenizers.wordpiece import WordPiece

    if kind == "wordpiece" and vocabulary is not None:
        ours = WordPiece(load_vocabulary(vocabulary))
    else:
        train_tokenizer(TokenizerConfig(**KINDS[kind]), texts, folder)
        ours = load_tokenizer(folder)
    found: dict[str, Encode] = {"kerasft": lambda batch: ours.tokenize(tf.constant(batch))}
    if isinstance(ours, WordPiece):
        return found | _build_wordpieces(ours.vocabulary)
    if (folder / "tokenizer.json").exists():
        from tokenizers import Tokenizer

        theirs = Tokenizer.from_file(str(folder / "tokenizer.json"))
        found["tokenizers"] = lambda batch: _list_ids(theirs, batch)
    if kind == "gpt2":
        import keras_hub

        hub = keras_hub.tokenizers.BytePairTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
        found["keras-hub"] = lambda batch: hub.tokenize(tf.constant(batch))
    return found


def _build_wordpieces(vocabulary) -> dict[str, Encode]:
    import keras_hub
    import tensorflow as tf
    from tokenizers import BertWordPieceTokenizer

    rules = {"lowercase": vocabulary.lowercase, "strip_accents": vocabulary.strip_accents}
    theirs = BertWordPieceTokenizer(vocabulary.index, handle_chinese_chars=vocabulary.split_cjk, **rules)
    hub = keras_hub.models.BertTokenizer(vocabulary=list(vocabulary.pieces), **rules)
    in_graph = tf.function(hub.tokenize, input_signature=[tf.TensorSpec([None], tf.string)])
    return {
        "tokenizers": lambda batch: _list_ids(theirs, batch),
        "keras-hub": lambda batch: in_graph(tf.constant(batch)),
    }


def _list_ids(tokenizer, batch: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizer.encode_batch(batch, add_special_tokens=False)]


def measure(
    tokenizers: dict[str, Encode], texts: list[str], batch_size: int, rounds: int
) -> dict[str, float]:
    """Each tokenizer's texts a second, in its best round."""
    batches = [texts[start : start + batch_size] for start in range(0, len(texts), batch_size)]
    best = dict.fromkeys(tokenizers, 0.0)
    for _ in range(rounds):
        for name, tokenize in tokenizers.items():
            tokenize(batches[0])
            began = time.perf_counter()
            for batch in batches:
                tokenize(batch)
            best[name] = max(best[name], len(texts) / (time.perf_counter() - began))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("texts", type=Path)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=[*KINDS])
    parser.add_argument("--vocabulary", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    lines = arguments.texts.read_text(encoding="utf-8").rstrip("\n").split("\n")
    texts = [line.split("\t")[0] for line in lines]
    print(f"{len(texts)} texts of {arguments.texts}, {os.cpu_count()} cores")
    title = "texts a second (ratio to kerasft)"
    print(f"{title:<34}" + "".join(f"{f'batch of {n}':>18}" for n in BATCH_SIZES))
    with tempfile.TemporaryDirectory() as folder:
        for kind in arguments.kinds:
            tokenizers = build_tokenizers(kind, texts, Path(folder) / kind, arguments.vocabulary)
            # One text a call is slow for all of them; a share of the texts is enough.
            results = [measure(tokenizers, texts[: 200 * n], n, arguments.rounds) for n in BATCH_SIZES]
            for name in tokenizers:
                cells = (f"{found[name]:,.0f} ({found[name] / found['kerasft']:.2f})" for found in results)
                print(f"{f'{kind}, {name}':<34}" + "".join(f"{cell:>18}" for cell in cells))


if __name__ == "__main__":
    main()
