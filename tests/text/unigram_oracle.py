"""What the tests of unigram tokenizers share: models trained here by SentencePiece, which is the oracle too."""

from __future__ import annotations

import random
from io import BytesIO
from pathlib import Path

from bpe_oracle import CHOSEN, SENTENCES
from hypothesis import strategies as st
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

KINDS = {
    "t5": {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
    "bytes": {"byte_fallback": True},
    "cased folded": {"normalization_rule_name": "nmt_nfkc_cf"},
    "as it is": {"normalization_rule_name": "identity", "remove_extra_whitespaces": False},
    "no space before": {"normalization_rule_name": "nfkc", "add_dummy_prefix": False},
    "whole sentences": {"split_by_whitespace": False},
}
"""Settings that change what a model does, in the words of SentencePiece's trainer."""
MARKS = "\u0301\u0300\u0328\u0323\u030a\u0338\u0f71\u0f72゙゚\u0654"
ALPHABET = f"aeoAé ßſﬁ½①ｶﾞハﾊがカ中ا\ufdfa\u1100\u1161\u11a8각  \u3000\u200b\t\n\x00\x01…🚢<=>▁\ufeff{MARKS}"
TEXTS = st.one_of(
    st.text(max_size=30),
    st.text(alphabet=ALPHABET, max_size=30),
    st.lists(st.sampled_from(CHOSEN + SENTENCES), max_size=4).map("".join),
)


def train_sentencepiece(path: Path, size: int = 300, **settings) -> SentencePieceProcessor:
    """Trains a unigram model on words of `SENTENCES` and writes it to `path`."""
    rng = random.Random(0)
    words = " ".join(SENTENCES).split()
    texts = [*SENTENCES, *(" ".join(rng.choices(words, k=12)) for _ in range(200))]
    model = BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        model_type="unigram",
        vocab_size=size + 256 * settings.get("byte_fallback", False),
        character_coverage=0.99,
        hard_vocab_limit=False,
        minloglevel=2,
        num_threads=1,
        **settings,
    )
    path.write_bytes(model.getvalue())
    return SentencePieceProcessor(model_file=str(path))
