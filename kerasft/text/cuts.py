"""Cuts texts into pieces of a row's length to learn from: at other places in each epoch, in pieces of the same lengths.

What is learned of a text of n tokens are its n - 1 predictions: number p is of token p + 1, from tokens 0 to p.
"""

from __future__ import annotations

import numpy as np

from kerasft.text.masking import seed_by_place

Span = tuple[int, int]
"""Predictions start to stop - 1 of a text."""


class EpochCuts:
    """Pieces of texts, each of at most `capacity` predictions; every prediction is in one piece.

    A text of T predictions is whole where it fits. A longer one begins with a piece of a random length below `capacity`
    (0 to capacity - 1, all equally likely), followed by full pieces. Two ends that are shorter share a piece, so that
    there are always T // capacity full pieces and one of the rest: how pieces are packed into rows, and how many rows
    there are, is the same in each epoch.

    Args:
        predictions: int (texts,), T of each; texts with 0 have no piece.
        capacity: predictions of a row.
        seed: of where texts are cut.
    """

    def __init__(self, predictions: np.ndarray, capacity: int, *, seed: int):
        self._predictions = np.asarray(predictions, np.int64)
        self._capacity, self._seed = capacity, seed
        counts = -(-self._predictions // capacity)
        self._firsts = np.concatenate([[0], np.cumsum(counts)])
        self.texts = np.repeat(np.arange(len(counts)), counts)
        """int64 (pieces,): which text each is of, ascending."""
        self.lengths = np.full(len(self.texts), capacity, np.int64)
        """int64 (pieces,): predictions of each."""
        rests = self._predictions % capacity
        lasts = self._firsts[1:][rests > 0] - 1
        self.lengths[lasts] = rests[rests > 0]

    def __len__(self) -> int:
        return len(self.texts)

    def cut(self, piece: int, epoch: int) -> list[Span]:
        """The spans of its text that a piece consists of: one, or two that are no neighbours.

        Args:
            piece: which.
            epoch: from 0.
        """
        text = int(self.texts[piece])
        total, place = int(self._predictions[text]), piece - int(self._firsts[text])
        if total <= self._capacity:
            return [(0, total)]
        offset = int(seed_by_place(self._seed, epoch, text).integers(self._capacity))
        return _find_spans(total, self._capacity, offset, place)


def _find_spans(total: int, capacity: int, offset: int, place: int) -> list[Span]:
    """The spans of the piece at `place` of a text that is longer than a row, its first piece `offset` long."""
    full, rest = divmod(total, capacity)
    start = offset + place * capacity
    if offset <= rest:
        # offset + full * capacity + (rest - offset): the two ends share the piece of the rest
        spans = [(start, start + capacity)] if place < full else [(0, offset), (start, total)]
    elif place < full - 1:
        spans = [(start, start + capacity)]
    elif place == full - 1:
        # the two ends share a full piece, and the rest stands before the last end
        spans = [(0, offset), (total - capacity + offset, total)]
    else:
        spans = [(offset + (full - 1) * capacity, total - capacity + offset)]
    return [(first, stop) for first, stop in spans if stop > first]


def count_windows(predictions: np.ndarray, capacity: int) -> np.ndarray:
    """How many windows of `capacity` predictions each text is measured in, one after the other: at least one.

    Args:
        predictions: int (texts,).
        capacity: predictions of a window.
    """
    return np.maximum(-(-np.asarray(predictions, np.int64) // capacity), 1)
