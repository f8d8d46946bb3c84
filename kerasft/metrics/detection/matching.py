"""Which detections of a picture are right, as COCO decides it: at ten overlaps, for four ranges of size, at once.

A detection of a class takes, the surest first, the gold box of its class that it overlaps most and that is still free.
Whatever happens at one overlap and range of size is one bit: bit `10 * size + overlap`, by the order of `SIZES` and
`OVERLAPS`; the lowest is all sizes at 0.5. Gold boxes outside a range, and crowds, count neither for nor against a
model: what matches them is ignored, and so is what matches nothing and is itself outside the range.

Source: pycocotools' COCOeval, of which these are the rules (Lin et al. 2014, arXiv:1405.0312).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kerasft.metrics.detection.boxes import Detections, GoldBoxes
from kerasft.metrics.detection.errors import PictureErrors, find_errors
from kerasft.metrics.detection.overlaps import compute_areas, compute_overlaps

OVERLAPS = np.linspace(0.5, 0.95, 10)
"""The overlaps (IoU) from which on a box is found; float64 (10,)."""
SIZES = ("all", "small", "medium", "large")
RANGES = np.array([(0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10)])
"""The smallest and the largest area of each size, square pixels; both belong to it. float64 (4, 2)."""
MAX_DETECTIONS = 100
"""How many detections of a class count in a picture: the surest."""

_LIMITS = np.minimum(OVERLAPS, 1.0 - 1e-10)
_SPAN = len(OVERLAPS)
_EACH_SIZE = sum(1 << (_SPAN * size) for size in range(len(SIZES)))
_OF_SIZE = ((1 << _SPAN) - 1) << (_SPAN * np.arange(len(SIZES)))
"""int64 (4,): the bits of each size, at all overlaps."""
_ALL = int(_OF_SIZE.sum())


class PictureMatches(NamedTuple):
    """What is kept of a picture: of each detection that counts, the surest first, and of each gold box, no crowds."""

    scores: np.ndarray
    """float32 (k,), descending."""
    labels: np.ndarray
    """int32 (k,)."""
    ranks: np.ndarray
    """uint8 (k,): how many detections of the same class are surer, 0 to 99."""
    right: np.ndarray
    """uint64 (k,): a bit where it finds a gold box that counts."""
    ignored: np.ndarray
    """uint64 (k,): a bit where it is neither right nor wrong."""
    errors: PictureErrors
    """In what way the wrong ones are wrong, and the missed ones missed, at an overlap of 0.5 and for all sizes."""
    gold_labels: np.ndarray
    """int32 (n,)."""
    gold_sizes: np.ndarray
    """uint8 (n,): bit i where it counts in `SIZES[i]`."""


def match_picture(gold: GoldBoxes, found: Detections) -> PictureMatches:
    """Decides of each detection of a picture whether it is right.

    Args:
        gold: what is true.
        found: what the model says; of each class the `MAX_DETECTIONS` surest count. Among equal scores the first
            comes first.
    """
    order = np.argsort(-found.scores, kind="stable")
    ranks = rank_within_classes(found.labels[order])
    kept = order[ranks < MAX_DETECTIONS]
    boxes, labels, scores = found.boxes[kept], found.labels[kept], found.scores[kept]
    overlaps = compute_overlaps(boxes, gold.boxes, gold.crowd)
    in_size = _lie_in_range(gold.areas)
    counts = in_size & ~gold.crowd[:, None]
    alike = labels[:, None] == gold.labels
    right, ignored, taken = _match(
        np.where(alike, overlaps, 0.0),
        (counts @ _OF_SIZE).tolist(),
        gold.crowd.tolist(),
        (~_lie_in_range(compute_areas(boxes)) @ _OF_SIZE).tolist(),
    )
    real = ~gold.crowd
    errors = find_errors(
        overlaps[:, real],
        alike[:, real],
        scores,
        gold.labels[real],
        (right & 1) > 0,
        (ignored & 1) > 0,
        taken[real],
    )
    return PictureMatches(
        scores.astype(np.float32),
        labels.astype(np.int32),
        ranks[ranks < MAX_DETECTIONS].astype(np.uint8),
        right,
        ignored,
        errors,
        gold.labels[real].astype(np.int32),
        np.packbits(counts[real], axis=1, bitorder="little").reshape(-1),
    )


def rank_within_classes(labels: np.ndarray) -> np.ndarray:
    """Of each label how many like it stand before it, int64 (k,)."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    ranks = np.empty(len(labels), np.int64)
    ranks[order] = np.arange(len(labels)) - np.searchsorted(ordered, ordered, side="left")
    return ranks


def _lie_in_range(areas: np.ndarray) -> np.ndarray:
    """bool (n, sizes)."""
    wide = np.asarray(areas, np.float64)[:, None]
    return (wide >= RANGES[:, 0]) & (wide <= RANGES[:, 1])


def _match(
    overlaps: np.ndarray, counting: Sequence[int], crowd: Sequence[bool], outside: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lets each detection take a gold box, at all overlaps and sizes at once.

    Args:
        overlaps: float64 (k, n), 0 between different classes.
        counting: of each gold box the bits in which it counts.
        crowd: of each gold box whether any number of detections may take it.
        outside: of each detection the bits of sizes that it has not.

    Returns:
        right and ignored, uint64 (k,), and int64 (n,): at the lowest bit the detection that found each gold box, or -1.
    """
    near = overlaps >= _LIMITS[0]
    rows, columns = np.nonzero(near)
    values = overlaps[rows, columns]
    # by detection, the largest overlap first; of equal ones the last gold box first, as COCO's loop ends up with it
    order = np.lexsort((-columns, -values, rows))
    reached = np.searchsorted(_LIMITS, values, side="right")
    steps = zip(rows[order].tolist(), columns[order].tolist(), reached[order].tolist(), strict=True)
    of_detection: dict[int, list[tuple[int, int]]] = {}
    for row, column, thresholds in steps:
        of_detection.setdefault(row, []).append((column, ((1 << thresholds) - 1) * _EACH_SIZE))
    free, taken = [_ALL] * len(counting), np.full(len(counting), -1, np.int64)
    right, ignored = [0] * len(outside), list(outside)
    for row, places in of_detection.items():
        open_bits = _ALL
        for column, bits in places:
            bits &= open_bits & free[column] & counting[column]
            if not bits:
                continue
            open_bits ^= bits
            free[column] ^= bits
            right[row] |= bits
            if bits & 1:
                taken[column] = row
        passed = 0
        for column, bits in places:
            bits &= open_bits & free[column] & ~counting[column]
            open_bits ^= bits
            passed |= bits
            if not crowd[column]:
                free[column] ^= bits
        ignored[row] = passed | (outside[row] & open_bits)
    return np.array(right, np.uint64), np.array(ignored, np.uint64), taken
