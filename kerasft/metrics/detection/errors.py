"""In what way detections are wrong: class, place, both, duplicate, background; and which gold boxes are missed.

Of a wrong detection, with its largest overlap with gold boxes of its class and of others, the first that holds:

    place        0.1 ≤ its class' < 0.5      the object is there, the box does not fit
    class        others' ≥ 0.5               the box fits an object of another class
    duplicate    its class' ≥ 0.5            a surer detection has found the object
    background   both < 0.1                  there is nothing
    both         otherwise                   an object of another class is near, and the box does not fit

and a gold box is missed where no detection finds it, and none is a `class` or `place` error on it. Crowds have no part.

Source: Bolya et al. 2020, "TIDE: A General Toolbox for Identifying Object Detection Errors", arXiv:2008.08115.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FOREGROUND, BACKGROUND = 0.5, 0.1
"""Overlaps: from the first on a box fits, below the second it has nothing to do with an object."""
WRONG_KINDS = ("class", "place", "both", "duplicate", "background")
"""By number, from 1; 0 is a detection that is right or ignored."""
ERROR_KINDS = (*WRONG_KINDS, "missed")
_CLASS, _PLACE, _BOTH, _DUPLICATE, _BACKGROUND = range(1, 6)


class PictureErrors(NamedTuple):
    """The errors in a picture's k detections and n gold boxes."""

    kinds: np.ndarray
    """uint8 (k,): 0, or the place in `WRONG_KINDS` + 1."""
    mended: np.ndarray
    """int32 (k,): of a class or place error whose object nothing finds, the class of that object; else -1. Of several
    such errors on one object, the surest."""
    found: np.ndarray
    """float32 (n,): the score of the detection that finds a gold box; -inf where none does."""
    near: np.ndarray
    """float32 (n,): the largest score among class and place errors on a gold box; -inf where there is none."""


def find_errors(
    overlaps: np.ndarray,
    alike: np.ndarray,
    scores: np.ndarray,
    gold_labels: np.ndarray,
    right: np.ndarray,
    ignored: np.ndarray,
    taken: np.ndarray,
) -> PictureErrors:
    """Tells a picture's errors apart.

    Args:
        overlaps: float64 (k, n), of detections, the surest first, and gold boxes.
        alike: bool (k, n), whether both are of one class.
        scores: float (k,).
        gold_labels: int (n,).
        right: bool (k,).
        ignored: bool (k,).
        taken: int (n,), which detection finds a gold box, or -1.
    """
    count, num_gold = overlaps.shape
    kinds, mended = np.zeros(count, np.uint8), np.full(count, -1, np.int32)
    found, near = np.full((2, num_gold), -np.inf, np.float32)
    found[taken >= 0] = scores[taken[taken >= 0]]
    wrong = np.flatnonzero(~right & ~ignored)
    if not num_gold:
        kinds[wrong] = _BACKGROUND
        return PictureErrors(kinds, mended, found, near)
    own = np.where(alike[wrong], overlaps[wrong], -1.0)
    others = np.where(alike[wrong], -1.0, overlaps[wrong])
    best_own, best_other = own.max(axis=1), others.max(axis=1)
    kinds[wrong] = np.select(
        [
            (best_own >= BACKGROUND) & (best_own < FOREGROUND),
            best_other >= FOREGROUND,
            best_own >= FOREGROUND,
            np.maximum(best_own, best_other) < BACKGROUND,
        ],
        [_PLACE, _CLASS, _DUPLICATE, _BACKGROUND],
        _BOTH,
    )
    targets = np.where(kinds[wrong] == _PLACE, own.argmax(axis=1), others.argmax(axis=1))
    for kind in (_CLASS, _PLACE):
        of_kind = kinds[wrong] == kind
        rows, columns = wrong[of_kind], targets[of_kind]
        np.maximum.at(near, columns, scores[rows].astype(np.float32))
        columns, first = np.unique(columns, return_index=True)
        free = taken[columns] < 0
        mended[rows[first[free]]] = gold_labels[columns[free]]
    return PictureErrors(kinds, mended, found, near)
