"""Windows of a text wait for each other: of few texts at once, whatever the split's size, and with the same answers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tokenizer_oracle import build_vocabulary

from kerasft.data.batching import POOL_BATCHES
from kerasft.data.streams import make_stream
from kerasft.tasks.token_classification.encoding import WindowEncoder
from kerasft.tasks.token_classification.feed import RawTokenFeed
from kerasft.text.spans.units import UnitTokenizer

BATCH_SIZE, NUM_TAGS = 4, 3


def make_feed(words: list[int]) -> RawTokenFeed:
    """Texts of so many words, of one to five tokens each, in windows of up to 16 tokens."""
    random = np.random.default_rng(1)
    vocabulary = build_vocabulary("a", lowercase=True, strip_accents=True)
    encoder = WindowEncoder(UnitTokenizer(vocabulary), 16, overlap=0.25)
    texts = [" ".join("a" * length for length in random.integers(1, 6, count)) for count in words]
    return RawTokenFeed(encoder.encode(texts), encoder, NUM_TAGS)


def count_waiting(feed: RawTokenFeed) -> tuple[int, set[int]]:
    """How many texts have been begun and not answered at most, and which have their answer at the end."""
    plan, begun, answered, most = make_stream(feed, BATCH_SIZE, shuffle=False).plan, set(), set(), 0

    def run() -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        for rows, width in zip(plan.batches, plan.widths, strict=True):
            begun.update(map(feed.find_example, rows))
            yield rows, {"logits": np.zeros((len(rows), width, NUM_TAGS), np.float32)}

    for part in feed.join(run()):
        answered |= {number for number, _ in part}
        most = max(most, len(begun - answered))
    return most, answered


@pytest.mark.parametrize("texts", [300, 900])
def test_texts_that_wait_do_not_grow_with_the_split(texts: int) -> None:
    feed = make_feed(np.random.default_rng(0).integers(6, 20, texts).tolist())
    assert feed.has_pieces
    assert len(feed) > 2 * texts
    most, answered = count_waiting(feed)
    assert answered == set(range(texts))
    # two windows of each at least stand in a pool, but for the texts at its two ends
    assert 10 < most <= POOL_BATCHES * BATCH_SIZE // 2 + 2


def test_texts_of_one_window_each_are_sorted_all_together() -> None:
    feed = make_feed(np.random.default_rng(0).integers(1, 3, 2 * POOL_BATCHES * BATCH_SIZE).tolist())
    assert not feed.has_pieces
    widths = make_stream(feed, BATCH_SIZE, shuffle=False).plan.widths
    assert (np.diff(widths) <= 0).all()
    assert count_waiting(feed)[0] == 0
