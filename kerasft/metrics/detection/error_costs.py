"""How often detections are wrong in each way, and how much average precision each way costs; see `errors`.

Source: Bolya et al. 2020, "TIDE: A General Toolbox for Identifying Object Detection Errors", arXiv:2008.08115.
"""

from __future__ import annotations

import numpy as np

from kerasft.metrics.detection.errors import ERROR_KINDS, WRONG_KINDS
from kerasft.metrics.detection.ranking import average_precision
from kerasft.metrics.detection.table import MatchTable, read_bit


def count_errors(table: MatchTable, threshold: float) -> dict[str, int]:
    """How many errors of each of `ERROR_KINDS` there are among the detections that reach a threshold.

    Which detection is right does not depend on those less sure, so that one table serves any threshold.
    """
    kinds = np.bincount(table.kinds[table.scores >= threshold], minlength=len(WRONG_KINDS) + 1)[1:]
    missed = np.count_nonzero((table.found < threshold) & (table.near < threshold))
    return dict(zip(ERROR_KINDS, [*kinds.tolist(), int(missed)], strict=True))


def compute_error_costs(table: MatchTable, num_classes: int) -> dict[str, float]:
    """By how much AP at an overlap of 0.5 would rise without each of `ERROR_KINDS`, each taken alone.

    Of a class or place error the class or box is put right, which makes it right, unless another detection, or a surer
    error of its kind, finds its object: then it is left out. Both, duplicate and background errors are left out. Missed
    gold boxes are not counted; a class of which nothing else is left has an AP of 1.

    The authors' tidecv mends only the surest of all class and place errors on an object, and leaves out a class that is
    missed wholly; it finds the same errors.

    Args:
        table: a split's matches, of all scores.
        num_classes: labels are in [0, num_classes).

    Returns:
        Cost by kind; empty without gold boxes. Costs do not add up to what is missing from 1, as errors hide others.
    """
    positives = np.bincount(table.gold_labels, minlength=num_classes)
    if not positives.any():
        return {}
    right, mended = read_bit(table.right, 0, 0), table.mended >= 0
    # no class' precision is read at a detection less sure than the last that is or can be put right
    lowest = table.scores[right | mended].min(initial=np.inf)
    shown = np.flatnonzero((table.scores >= lowest) & ~read_bit(table.ignored, 0, 0))
    order = shown[np.argsort(-table.scores[shown], kind="stable")]
    labels, kinds, mended = table.labels[order], table.kinds[order], table.mended[order]
    right, gold, counting = right[order], positives > 0, np.ones(len(order), bool)

    def compute(
        labels: np.ndarray, right: np.ndarray, counting: np.ndarray, positives: np.ndarray = positives
    ) -> float:
        return float(_compute_precisions(labels[counting], right[counting], positives)[gold].mean())

    value, costs = compute(labels, right, counting), {}
    for number, kind in enumerate(WRONG_KINDS, 1):
        wrong = kinds == number
        put_right = wrong & (mended >= 0)
        better = compute(
            np.where(put_right, mended, labels), right | put_right, counting & (~wrong | put_right)
        )
        costs[kind] = better - value
    missed = np.isneginf(table.found) & np.isneginf(table.near)
    rest = positives - np.bincount(table.gold_labels[missed], minlength=num_classes)
    costs["missed"] = compute(labels, right, counting, rest) - value
    return costs


def _compute_precisions(labels: np.ndarray, right: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """The average precision of each class, float64 (classes,), of detections in descending order of their scores."""
    by_class = np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels[by_class], np.arange(len(positives) + 1))
    values = np.ones(len(positives))
    for label in np.flatnonzero(positives):
        places = np.flatnonzero(right[by_class[ends[label] : ends[label + 1]]])
        ranks = np.arange(1.0, len(places) + 1.0)
        values[label] = average_precision(ranks / (places + 1.0), ranks / positives[label])
    return values
