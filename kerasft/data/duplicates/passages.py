"""Finds long passages that texts share with protected ones, such as the test examples of a benchmark.

Of every protected text some short runs of characters are indexed: its anchors. They begin so close to one another that
each passage of `PASSAGE_WEIGHT` has one of them whole in it. Where a text has one, both are compared character by
character around it.

Source: Brown et al. 2020, arXiv:2005.14165, section C (13 words); OpenAI 2023, arXiv:2303.08774, appendix C (50
characters), for how long a passage is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerasft.data.duplicates.grams import iterate_windows
from kerasft.data.duplicates.normalization import (
    ALPHABETIC,
    IDEOGRAPHIC,
    NormalizedTexts,
    normalize_texts,
)

PASSAGE_WEIGHT = 50
"""A passage is a run of normalised text of this weight: 50 letters, some ten words; or 17 ideographs."""
ANCHOR_WEIGHT = 30
"""Of the runs that are indexed. A protected text of less is not looked for, and one between the two as a whole."""
_REACH = PASSAGE_WEIGHT - ANCHOR_WEIGHT
"""Weight from the begin of a passage to that of an anchor, at most: so the anchor does not end after the passage."""
_APART, _APART_IF_MIXED = _REACH + 1, _REACH + 1 - (IDEOGRAPHIC - ALPHABETIC)
"""Weight between anchors in texts whose characters weigh all the same, and in others: there an anchor begins up to two
later than it should, since the character before it may weigh three."""
_MOST_ALIKE = 16
"""With how many protected texts that have the same run a text is compared."""
_LARGEST_TABLE_BITS = 24
_SHOWN_CHARACTERS = 120


class Match(NamedTuple):
    """A passage that a text shares with a protected one."""

    text: int
    """Which of the texts that were looked at."""
    protected: int
    """Which protected text, in the order in which they were added."""
    passage: str
    """Its beginning, normalised."""


class PassageIndex:
    """Protected texts, added batch by batch; then other texts are looked at.

    Args:
        path: a file for the normalised texts, which need not fit in memory.

    Attributes: `count`, the protected texts; `too_short`, those that are not looked for.
    """

    def __init__(self, path: Path):
        self._path = path
        self._file = path.open("wb")
        self._hashes: list[np.ndarray] = []
        self._places: list[np.ndarray] = []
        self._starts: list[np.ndarray] = [np.zeros(1, np.int64)]
        self._size = 0
        self.count = self.too_short = 0

    def add(self, texts: Sequence[str]) -> None:
        """Adds protected texts; none is empty."""
        normalized = normalize_texts(texts)
        starts = normalized.starts
        before = np.concatenate(([0], np.cumsum(normalized.kinds, dtype=np.int64)))
        self.too_short += int((np.diff(before[starts]) < ANCHOR_WEIGHT).sum())
        lightest, heaviest = (
            ufunc.reduceat(normalized.kinds, starts[:-1]) for ufunc in (np.minimum, np.maximum)
        )
        apart = np.where(lightest == heaviest, _APART, _APART_IF_MIXED)
        for windows in iterate_windows(normalized, ANCHOR_WEIGHT):
            own = np.searchsorted(starts, windows.begins, side="right") - 1
            # before an anchor stands the smallest weight that is not below some multiple of the distance
            begins = windows.begins
            taken = (before[begins] - before[starts[own]]) % apart[own] < normalized.kinds[begins - 1]
            self._hashes.append(windows.hashes[taken])
            self._places.append(windows.begins[taken] + self._size)
        normalized.codes.tofile(self._file)
        self._starts.append(starts[1:] + self._size)
        self._size += len(normalized.codes)
        self.count += len(texts)

    def close(self) -> None:
        """Ends the adding."""
        self._file.close()
        hashes = np.concatenate([np.empty(0, np.uint64), *self._hashes])
        order = np.argsort(hashes, kind="stable")
        self._sorted = hashes[order]
        self._sorted_places = np.concatenate([np.empty(0, np.int64), *self._places])[order]
        self._bounds = np.concatenate(self._starts)
        self._hashes, self._places, self._starts = [], [], []
        self._codes = np.memmap(self._path, np.uint32, "r") if self._size else np.empty(0, np.uint32)
        bits = min(max(len(hashes) * 16, 1 << 12).bit_length(), _LARGEST_TABLE_BITS)
        self._shift = np.uint64(64 - bits)
        self._table = np.zeros(1 << bits, bool)
        self._table[self._sorted >> self._shift] = True

    def find(self, texts: Sequence[str]) -> list[Match]:
        """The first passage of each text that has one.

        Args:
            texts: not empty.
        """
        normalized = normalize_texts(texts)
        weights = np.concatenate(([0], np.cumsum(normalized.kinds, dtype=np.int64)))
        found: dict[int, Match] = {}
        for windows in iterate_windows(normalized, ANCHOR_WEIGHT):
            likely = np.flatnonzero(self._table[windows.hashes >> self._shift])
            hashes = windows.hashes[likely]
            first = np.searchsorted(self._sorted, hashes)
            counts = np.searchsorted(self._sorted, hashes, side="right") - first
            counts = np.minimum(counts, _MOST_ALIKE)
            if not counts.any():
                continue
            ends = np.cumsum(counts)
            entries = np.repeat(first - ends + counts, counts) + np.arange(ends[-1])
            mine = np.repeat(windows.begins[likely], counts)
            self._compare(normalized, weights, mine, self._sorted_places[entries], found)
        return [found[text] for text in sorted(found)]

    def _compare(
        self,
        texts: NormalizedTexts,
        weights: np.ndarray,
        mine: np.ndarray,
        theirs: np.ndarray,
        found: dict[int, Match],
    ) -> None:
        """Looks how far texts agree around places at which they have the same run."""
        own = np.searchsorted(texts.starts, mine, side="right") - 1
        protected = np.searchsorted(self._bounds, theirs, side="right") - 1
        before = self._extend(texts, mine, theirs, texts.starts[own], self._bounds[protected], -1)
        after = self._extend(texts, mine, theirs, texts.starts[own + 1], self._bounds[protected + 1], 1)
        whole = (theirs - before == self._bounds[protected]) & (theirs + after == self._bounds[protected + 1])
        long = weights[mine + after] - weights[mine - before] >= PASSAGE_WEIGHT
        for place in np.flatnonzero(whole | long).tolist():
            text = int(own[place])
            if text not in found:
                start = int(mine[place] - before[place])
                codes = texts.codes[start : start + min(int(before[place] + after[place]), _SHOWN_CHARACTERS)]
                shown = codes.astype("<u4").tobytes().decode("utf-32-le")
                found[text] = Match(text, int(protected[place]), shown)

    def _extend(
        self,
        texts: NormalizedTexts,
        mine: np.ndarray,
        theirs: np.ndarray,
        limits: np.ndarray,
        other_limits: np.ndarray,
        direction: int,
    ) -> np.ndarray:
        """int64: how many characters from the places on, or before them, are equal: as many as matter or are shown."""
        reach = _SHOWN_CHARACTERS if direction > 0 else _REACH
        agrees = np.ones(len(mine), bool)
        lengths = np.zeros(len(mine), np.int64)
        for step in range(reach):
            offset = step if direction > 0 else -1 - step
            a, b = mine + offset, theirs + offset
            if direction > 0:
                agrees &= (a < limits) & (b < other_limits)
            else:
                agrees &= (a >= limits) & (b >= other_limits)
            live = np.flatnonzero(agrees)
            if not len(live):
                break
            agrees[live] = texts.codes[a[live]] == self._codes[b[live]]
            lengths += agrees
        return lengths
