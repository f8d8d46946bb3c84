"""Precision, recall and F1 of detections by the score from which on they count, and the threshold with the best F1."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kerasft.metrics.detection.table import MatchTable, read_bit


class Curve(NamedTuple):
    """Detections at an overlap of 0.5, by threshold; all float64 (t,), the highest threshold first."""

    thresholds: np.ndarray
    """The scores that there are."""
    precision: np.ndarray
    """Of the detections that reach a threshold, the share that finds a gold box."""
    recall: np.ndarray
    """Of the gold boxes, the share that they find; NaN without gold boxes."""
    f1: np.ndarray
    """2 × found / (detections + gold boxes)."""

    @property
    def envelope(self) -> np.ndarray:
        """The largest precision with as much recall or more, float64 (t,): what average precision is made of."""
        return np.maximum.accumulate(self.precision[::-1])[::-1]


def _rank(table: MatchTable, label: int | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """The scores that there are, descending, float32 (t,); how many detections reach each, and how many of these are
    right, int (t,) each; and the number of gold boxes. Of one class, or of all together."""
    counts, gold = ~read_bit(table.ignored, 0, 0), len(table.gold_labels)
    if label is not None:
        counts &= table.labels == label
        gold = int(np.count_nonzero(table.gold_labels == label))
    scores, right = table.scores[counts], read_bit(table.right, 0, 0)[counts]
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], right[order]
    del order  # a split may have millions
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)[: len(scores)])  # of equal scores
    hits = np.cumsum(right, dtype=np.int32)[last]
    scores = scores[last]
    last += 1
    return scores, last, hits, gold


def compute_curve(table: MatchTable, label: int | None = None) -> Curve:
    """The curve of one class, or of all classes' detections together.

    Args:
        table: a split's matches.
        label: a class; None for all.
    """
    scores, found, right, gold = _rank(table, label)
    recall = right / gold if gold else np.full(len(scores), np.nan)
    return Curve(scores.astype(np.float64), right / found, recall, 2.0 * right / (found + gold))


def _find_best(table: MatchTable) -> tuple[float, float | None]:
    scores, found, right, gold = _rank(table)
    places = np.flatnonzero(np.diff(right, prepend=0))  # without another right one, F1 does not rise
    if not len(places):
        return 0.0, None
    f1 = 2.0 * right[places] / (found[places] + gold)
    best = int(f1.argmax())
    place = places[best]
    below = float(scores[place + 1]) if place + 1 < len(scores) else 0.0
    return float(f1[best]), (float(scores[place]) + below) / 2.0


def compute_best_f1(table: MatchTable) -> float:
    """The F1 of all classes together at an overlap of 0.5, with the threshold where it is best; 0 if none is right."""
    return _find_best(table)[0]


def choose_threshold(table: MatchTable) -> float | None:
    """The score from which on detections should count: where `compute_best_f1` is reached.

    Halfway between the lowest score that counts and the next one below, or 0, so that scores that differ in their last
    digits decide alike. Of thresholds with equal F1 the highest.

    Args:
        table: the matches of a split that was not trained on.

    Returns:
        In (0, 1); None where no detection is right: then no threshold is better than another.
    """
    return _find_best(table)[1]


class WrongPicture(NamedTuple):
    """A picture that a model does not get right."""

    number: int
    """Which of the split's pictures it is."""
    wrong: int
    """Detections that reach the threshold and find nothing."""
    missed: int
    """Gold boxes that no such detection finds."""


def find_worst_pictures(table: MatchTable, threshold: float) -> list[WrongPicture]:
    """The pictures with errors at an overlap of 0.5: the most errors first, of as many the least F1, then by number.

    Args:
        table: a split's matches.
        threshold: from which score on detections count.
    """
    counting = (table.scores >= threshold) & ~read_bit(table.ignored, 0, 0)
    right = counting & read_bit(table.right, 0, 0)

    def count(pictures: np.ndarray) -> np.ndarray:
        return np.bincount(pictures, minlength=len(table.numbers))

    hits, found, gold = (
        count(table.pictures[right]),
        count(table.pictures[counting]),
        count(table.gold_pictures),
    )
    errors = found + gold - 2 * hits
    f1 = 2.0 * hits / np.maximum(found + gold, 1)
    order = np.lexsort((table.numbers, f1, -errors))
    return [
        WrongPicture(
            int(table.numbers[place]), int(found[place] - hits[place]), int(gold[place] - hits[place])
        )
        for place in order[: np.count_nonzero(errors)]
    ]
