"""Splits validation or test off from train: stratified, by seed, keeping duplicates together."""

from __future__ import annotations

import numpy as np

_MIX = 0x9E3779B97F4A7C15
LARGEST_UNIT, LARGEST_UNIT_OF_FEW = 0.05, 4
"""Near duplicates stay together up to this share of the rows cut, and up to so many rows in any case; larger groups are
separated by their exact text, and an exact text that frequent stays in train."""


def cut(
    keys: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    clusters: np.ndarray,
    shares: dict[int, float],
    seed: int,
) -> np.ndarray:
    """Which split each row of train goes to.

    The order of the cut follows from the seed and the texts alone, not from the order of the rows. Of each label a
    split gets its share, rounded, and at least one row where the label has three; more only where the last text has
    duplicates. Where train would keep no row of a label, its near duplicates are separated by their exact text; where
    that is not enough, one of its texts stays in train.

    Args:
        keys: uint64 (rows,), equal where the normalised texts are.
        labels: int32 (rows,).
        groups: uint32 (rows,), the first row with the same text.
        clusters: uint32 (rows,), the first row of the cluster of near duplicates.
        shares: the split's number → its share of the rows.
        seed: another one, another cut.

    Returns:
        uint8 (rows,): the split's number; 0 for train.
    """
    rows = len(keys)
    cap = max(LARGEST_UNIT_OF_FEW, LARGEST_UNIT * rows * min(shares.values()))
    units = np.where(np.bincount(clusters, minlength=rows)[clusters] <= cap, clusters, groups)
    draws = _shuffle(keys, seed)
    frequent = np.bincount(units, minlength=rows)[units] > cap
    splits = _cut_units(units, labels, draws, frequent, shares)
    lost = _find_lost(labels, splits)
    if len(lost):
        apart = np.isin(units, units[np.isin(labels, lost)])
        units = np.where(apart, groups, units)
        frequent = np.bincount(units, minlength=rows)[units] > cap
        splits = _cut_units(units, labels, draws, frequent, shares)
        for label in _find_lost(labels, splits).tolist():
            own = np.flatnonzero(labels == label)
            splits[units == units[own[np.argmax(draws[units[own]])]]] = 0
    return splits


def _find_lost(labels: np.ndarray, splits: np.ndarray) -> np.ndarray:
    """The labels of which train keeps no row."""
    return np.setdiff1d(labels, labels[splits == 0])


def _cut_units(
    units: np.ndarray, labels: np.ndarray, draws: np.ndarray, frequent: np.ndarray, shares: dict[int, float]
) -> np.ndarray:
    """uint8 (rows,): each row's split, where rows of one unit go together and what is frequent stays in train."""
    order = np.lexsort((units, draws[units], frequent, labels[units]))
    splits = np.zeros(len(units), np.uint8)
    ordered = labels[units[order]]
    for of_label in np.split(order, np.flatnonzero(np.diff(ordered)) + 1):
        begins = np.concatenate(([True], units[of_label][1:] != units[of_label][:-1]))
        places = np.maximum.accumulate(np.where(begins, np.arange(len(of_label)), 0))
        start = 0
        for split, share in shares.items():
            wanted = round(len(of_label) * share)
            if len(of_label) > len(shares) and share:
                wanted = max(wanted, 1)
            taken = (places >= start) & (places < start + wanted) & ~frequent[of_label]
            splits[of_label[taken]] = split
            start = max(start + wanted, int(np.flatnonzero(taken)[-1]) + 1 if taken.any() else 0)
    return splits


def _shuffle(keys: np.ndarray, seed: int) -> np.ndarray:
    """uint64: numbers that look random, a function of (key, seed)."""
    mixed = keys ^ np.uint64((seed + 1) * _MIX % 2**64)
    for _ in range(2):
        mixed = (mixed ^ mixed >> np.uint64(32)) * np.uint64(0xD6E8FEB86659FD93)
    return mixed ^ mixed >> np.uint64(32)
