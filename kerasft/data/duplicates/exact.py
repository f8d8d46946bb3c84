"""Groups of rows with the same or nearly the same text, their labels, and leaks between splits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kerasft.data.duplicates.near import NearPairs

DROPPED = 255
"""The split of a row that is not written."""


_MIX = np.uint64(0xD6E8FEB86659FD93)


def mix_keys(keys: Sequence[np.ndarray]) -> np.ndarray:
    """uint64 (rows,): equal where all of several keys are; one alone stays as it is.

    Args:
        keys: uint64 (rows,) each.
    """
    mixed = keys[0]
    for other in keys[1:]:
        mixed = (mixed ^ mixed >> np.uint64(32)) * _MIX
        mixed = (mixed ^ mixed >> np.uint64(32)) * _MIX ^ other
    return mixed


def group_by_key(keys: np.ndarray) -> np.ndarray:
    """uint32 (rows,): for each row the first row with its key."""
    order = np.argsort(keys, kind="stable").astype(np.uint32)
    ordered = keys[order]
    begins = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    firsts = order[np.maximum.accumulate(np.where(begins, np.arange(len(order)), 0))]
    groups = np.empty(len(keys), np.uint32)
    groups[order] = firsts
    return groups


class SplitDuplicates(NamedTuple):
    """Duplicates inside one split."""

    exact: int
    """Rows whose text stands in an earlier row."""
    conflicting: np.ndarray
    """int64: rows that share their text with a row of another label."""
    near: int
    """Rows that have a near duplicate."""


class Leaks(NamedTuple):
    """Rows of a split whose text stands in another one."""

    exact: np.ndarray
    """int64: rows of the later split."""
    near: np.ndarray
    """int64: other rows of the later split, with a near duplicate in the other."""
    sources: np.ndarray
    """int64: rows of the earlier split that any of them stands in."""


class Duplicates:
    """Looks rows up by their text.

    Args:
        groups: uint32 (rows,), the first row with the same text.
        pairs: near duplicates among first rows.
        splits: uint8 (rows,), each row's split; `DROPPED` rows count nowhere.
        labels: int32 (rows,).
    """

    def __init__(self, groups: np.ndarray, pairs: NearPairs, splits: np.ndarray, labels: np.ndarray):
        self.groups = groups
        self.pairs = pairs
        self.splits = splits
        self.labels = labels

    def _present(self, split: int) -> np.ndarray:
        """bool (rows,), by first row: the split has the text."""
        present = np.zeros(len(self.groups), bool)
        present[self.groups[self.splits == split]] = True
        return present

    def _near(self, present: np.ndarray) -> np.ndarray:
        """bool (rows,), by first row: a text near it is present."""
        near = np.zeros(len(self.groups), bool)
        near[self.pairs.first[present[self.pairs.second]]] = True
        near[self.pairs.second[present[self.pairs.first]]] = True
        return near

    def find_in(self, split: int) -> SplitDuplicates:
        rows = np.flatnonzero(self.splits == split)
        groups = self.groups[rows]
        first_rows = np.full(len(self.groups), -1, np.int64)
        first_rows[groups[::-1]] = rows[::-1]
        differs = self.labels[rows] != self.labels[first_rows[groups]]
        conflicting = np.zeros(len(self.groups), bool)
        conflicting[groups[differs]] = True
        present = self._present(split)
        near = self._near(present)[groups]
        return SplitDuplicates(len(rows) - int(present.sum()), rows[conflicting[groups]], int(near.sum()))

    def find_leaks(self, earlier: int, later: int) -> Leaks:
        here, there = self._present(later), self._present(earlier)
        near_there = self._near(there)
        rows = np.flatnonzero(self.splits == later)
        exact = there[self.groups[rows]]
        near = near_there[self.groups[rows]] & ~exact
        sources = np.flatnonzero(self.splits == earlier)
        leaking = (here | self._near(here))[self.groups[sources]]
        return Leaks(rows[exact], rows[near], sources[leaking])

    def find_partner(self, row: int, split: int) -> tuple[int, float]:
        """A row of the split with the same text or the most similar one, and the similarity."""
        group = int(self.groups[row])
        members = np.flatnonzero((self.groups == group) & (self.splits == split))
        members = members[members != row]
        if len(members):
            return int(members[0]), 1.0
        best = (-1, 0.0)
        pairs = self.pairs
        for mine, other in ((pairs.first, pairs.second), (pairs.second, pairs.first)):
            for i in np.flatnonzero(mine == group):
                members = np.flatnonzero((self.groups == other[i]) & (self.splits == split))
                if len(members) and pairs.similarity[i] > best[1]:
                    best = (int(members[0]), float(pairs.similarity[i]))
        return best
