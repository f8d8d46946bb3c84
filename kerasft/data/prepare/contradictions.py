"""Splits with contradicting labels: the same texts under other labels, or classes that seem to be swapped."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from kerasft.data.duplicates.exact import Duplicates, Leaks

_TRAIN_ROWS, _OTHER_ROWS = 5_000, 2_000
"""So many rows of a split are looked at, evenly spread: it takes a second, whatever the size of the data."""
_BUCKETS = 1 << 15
_MAX_CLASSES = 50
_FEWEST_ROWS = 20
_SHARE = 0.6
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+")


class Swapped(NamedTuple):
    """Two labels that mean each other in another split."""

    first: int
    second: int
    share: float
    """The smaller of the two shares of rows whose words are those of the other label in train."""


def count_contradictions(
    duplicates: Duplicates, leaks: Leaks, earlier: int
) -> tuple[int, list[tuple[int, int]]]:
    """How many rows that stand in an earlier split as well have there other labels alone.

    Args:
        duplicates: which texts are the same or near.
        leaks: the later split's rows that stand in the earlier.
        earlier: that split.

    Returns:
        Their number; and of those with exactly the same text (label there, label here).
    """
    labels = duplicates.labels.astype(np.int64)
    scale = int(labels.max(initial=0)) + 1
    sources = duplicates.splits == earlier
    known = np.unique(duplicates.groups[sources].astype(np.int64) * scale + labels[sources])
    groups = duplicates.groups[leaks.exact].astype(np.int64)
    differs = ~np.isin(groups * scale + labels[leaks.exact], known)
    first = (
        known[np.minimum(np.searchsorted(known, groups * scale), len(known) - 1)] % scale
        if len(known)
        else known
    )
    pairs = list(zip(first[differs].tolist(), labels[leaks.exact][differs].tolist(), strict=True))
    return len(pairs) + _count_near(duplicates, leaks.near, labels, known, scale), pairs


def _count_near(
    duplicates: Duplicates, rows: np.ndarray, labels: np.ndarray, known: np.ndarray, scale: int
) -> int:
    pairs = duplicates.pairs
    ours = np.concatenate([pairs.first, pairs.second]).astype(np.int64)
    theirs = np.concatenate([pairs.second, pairs.first]).astype(np.int64)
    order = np.argsort(ours, kind="stable")
    ours, theirs = ours[order], theirs[order]
    groups = duplicates.groups[rows].astype(np.int64)
    starts, ends = np.searchsorted(ours, groups, "left"), np.searchsorted(ours, groups, "right")
    owners = np.repeat(np.arange(len(rows)), ends - starts)
    offsets = np.arange(len(owners)) - np.repeat(np.cumsum(ends - starts) - (ends - starts), ends - starts)
    partners = theirs[np.repeat(starts, ends - starts) + offsets]
    agrees = np.zeros(len(rows), bool)
    agrees[owners[np.isin(partners * scale + labels[rows][owners], known)]] = True
    return int((~agrees).sum())


def spread(rows: np.ndarray, count: int) -> np.ndarray:
    """At most so many of them, evenly spread."""
    return rows if len(rows) <= count else rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)]


def sample_rows(splits: np.ndarray, train: int, other: int) -> tuple[np.ndarray, np.ndarray]:
    """int64: the rows of train and of another split that `find_swapped` is to look at."""
    return spread(np.flatnonzero(splits == train), _TRAIN_ROWS), spread(
        np.flatnonzero(splits == other), _OTHER_ROWS
    )


def find_swapped(
    train: Iterable[tuple[str, int]], other: Iterable[tuple[str, int]], classes: int
) -> list[Swapped]:
    """Pairs of labels of which each one's texts have the words of the other one's texts in train.

    By naive Bayes over the words that a text has: most of the texts of either label must look like the other one's.

    Args:
        train: (text, number of its label), or (what an entity says, number of its type).
        other: likewise of another split.
        classes: how many labels there are.
    """
    if not 2 <= classes <= _MAX_CLASSES:
        return []
    counts = np.ones((classes, _BUCKETS), np.float32)
    for text, label in train:
        counts[label, _find_buckets(text)] += 1
    weights = np.log(counts / counts.sum(axis=1, keepdims=True))
    confusion = np.zeros((classes, classes), np.int64)
    for text, label in other:
        confusion[label, weights[:, _find_buckets(text)].sum(axis=1).argmax()] += 1
    rows = confusion.sum(axis=1)
    shares = confusion / np.maximum(rows, 1)[:, None]
    enough = rows >= _FEWEST_ROWS
    return [
        Swapped(i, j, float(min(shares[i, j], shares[j, i])))
        for i in range(classes)
        for j in range(i + 1, classes)
        if enough[i] and enough[j] and min(shares[i, j], shares[j, i]) > _SHARE
    ]


def _find_buckets(text: str) -> list[int]:
    """Where a text's words are counted, each once."""
    return sorted({zlib.crc32(word.encode("utf-8")) % _BUCKETS for word in _WORD.findall(text.lower())})
