"""A class' detections, the surest first: COCO's average precision and recall, of the pictures and of resamples of them.

Source: pycocotools' COCOeval (Lin et al. 2014, arXiv:1405.0312).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kerasft.metrics.detection.matching import OVERLAPS, SIZES
from kerasft.metrics.detection.table import MatchTable, read_bit

RECALL_POINTS = np.linspace(0.0, 1.0, 101)
"""Where the precision–recall curve is read; float64 (101,)."""
RECALLS = (
    ("ar_1", 0, 1),
    ("ar_10", 0, 10),
    ("ar_100", 0, 100),
    ("ar_small", 1, 100),
    ("ar_medium", 2, 100),
    ("ar_large", 3, 100),
)
"""COCO's average recalls: name, place of the size, and how many detections of a class count in a picture."""
PRECISIONS = (
    ("ap", 0, slice(None)),
    ("ap50", 0, slice(0, 1)),
    ("ap75", 0, slice(5, 6)),
    ("ap_small", 1, slice(None)),
    ("ap_medium", 2, slice(None)),
    ("ap_large", 3, slice(None)),
)
"""COCO's average precisions: name, place of the size, and places of the overlaps that are averaged."""
_CELLS = 2_000_000
"""Weights of detections held at once, over some resamples."""
_EACH_OVERLAP = np.uint64((1 << len(OVERLAPS)) - 1)


def average_precision(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """The mean over `RECALL_POINTS` of the largest precision that is reached with as much recall or more.

    Args:
        precision: float64 (…, right detections), at each right detection, the surest first.
        recall: the same, ascending.

    Returns:
        float64 (…).
    """
    envelope = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    reached = np.searchsorted(RECALL_POINTS, recall, side="right")
    return (envelope * np.diff(reached, prepend=0, axis=-1)).sum(-1) / len(RECALL_POINTS)


def _summarize(values: np.ndarray) -> np.ndarray:
    """Values at each size and overlap, (…, 4, 10) → `PRECISIONS`, (…, 6)."""
    return np.stack([values[..., size, overlaps].mean(-1) for _, size, overlaps in PRECISIONS], axis=-1)


class RankedClass:
    """The detections and gold boxes of one class.

    Args:
        table: the split's matches.
        detections: int (d,), the class' in the table, the surest first.
        gold: int (g,), the class' in the table.
    """

    def __init__(self, table: MatchTable, detections: np.ndarray, gold: np.ndarray):
        # what is less sure than all that are right somewhere changes no figure here
        detections = detections[: np.flatnonzero(table.right[detections]).max(initial=-1) + 1]
        self._pictures = table.pictures[detections]
        self._right, self._ignored = table.right[detections], table.ignored[detections]
        self._ranks = table.ranks[detections]
        self._gold_pictures = table.gold_pictures[gold]
        sizes = np.arange(len(SIZES), dtype=np.uint8)
        self._in_size = ((table.gold_sizes[gold][:, None] >> sizes) & 1).astype(np.float64)
        self._num_pictures = len(table.numbers)
        self.positives = self._in_size.sum(axis=0)
        """float64 (4,): gold boxes of each size."""

    def __len__(self) -> int:
        return len(self._pictures)

    def _read(self, size: int, overlap: int) -> tuple[np.ndarray, np.ndarray]:
        """Which detections count, int (c,), up to the last right one; and which of these are right, int (r,)."""
        counts = np.flatnonzero(~read_bit(self._ignored, size, overlap))
        right = np.flatnonzero(read_bit(self._right, size, overlap)[counts])
        return counts[: right[-1] + 1 if len(right) else 0], right

    def _iterate(self) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
        for size in np.flatnonzero(self.positives):
            for overlap in range(len(OVERLAPS)):
                yield int(size), overlap, *self._read(int(size), overlap)

    def compute_precisions(self) -> np.ndarray:
        """`PRECISIONS`, float64 (6,); NaN where no gold box is of that size."""
        values = np.full((len(SIZES), len(OVERLAPS)), np.nan)
        for size, overlap, _, right in self._iterate():
            ranks = np.arange(1.0, len(right) + 1.0)
            values[size, overlap] = average_precision(ranks / (right + 1.0), ranks / self.positives[size])
        return _summarize(values)

    def resample_precisions(self, counts: np.ndarray) -> np.ndarray:
        """The same of resamples.

        Args:
            counts: float64 (resamples, pictures), how often each picture counts.

        Returns:
            float64 (resamples, 6); NaN also where a resample has no gold box of that size.
        """
        rows = max(1, _CELLS // max(len(self), 1))
        starts = range(0, len(counts), rows)
        return np.concatenate([self._resample_block(counts[start : start + rows]) for start in starts])

    def _resample_block(self, counts: np.ndarray) -> np.ndarray:
        values = np.full((len(counts), len(SIZES), len(OVERLAPS)), np.nan)
        weights, positives = counts[:, self._pictures], self.resample_positives(counts)
        before, totals = np.empty(0, np.int64), np.empty((len(counts), 0))
        for size, overlap, counting, right in self._iterate():
            if not np.array_equal(counting, before[: len(counting)]):
                before = counting
                totals = np.cumsum(weights[:, counting], axis=1)
            places = counting[right]
            hits = np.cumsum(weights[:, places], axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                precision = np.where(hits > 0.0, hits / totals[:, right], 0.0)
                recall = hits / positives[:, size, None]
            defined = positives[:, size] > 0.0
            values[defined, size, overlap] = average_precision(precision[defined], recall[defined])
        return _summarize(values)

    def resample_positives(self, counts: np.ndarray) -> np.ndarray:
        """Gold boxes of each size in resamples, float64 (resamples, 4)."""
        return np.einsum("bg,gs->bs", counts[:, self._gold_pictures], self._in_size)

    def count_hits(self) -> tuple[np.ndarray, np.ndarray]:
        """Of the pictures with right detections of the class: their places, and of each of `RECALLS` how many gold
        boxes are found, averaged over the overlaps; int (p,) and float64 (p, 6)."""
        columns = []
        for _, size, most in RECALLS:
            bits = (self._right >> np.uint64(len(OVERLAPS) * size)) & _EACH_OVERLAP
            columns.append(np.where(self._ranks < most, np.bitwise_count(bits), 0) / len(OVERLAPS))
        places, of = np.unique(self._pictures, return_inverse=True)
        sums = [np.bincount(of, column, minlength=len(places)) for column in columns]
        return places, np.stack(sums, axis=1)

    def compute_influence(self) -> np.ndarray:
        """By how much `PRECISIONS` would rise with one more of each picture, to first order.

        Of the area under the curve of largest precisions, which COCO's 101 points approximate: with h right detections
        of W gold boxes, p_m the precision at the right detection m, N_m the detections no less sure, and S_m the right
        detections whose largest precision to come is p_m,

            one more gold box               − AP / W
            a right detection itself        + its largest precision to come / W
            each detection at or above m    − S_m·p_m / (W·N_m),  and where it is right + S_m / (W·N_m)

        Returns:
            float64 (pictures, 6); 0 where there is no gold box of that size.
        """
        influence = np.zeros((self._num_pictures, len(PRECISIONS)))
        for size, overlap, counting, right in self._iterate():
            positives = self.positives[size]
            if not len(right):
                continue
            totals = right + 1.0
            precision = np.arange(1.0, len(right) + 1.0) / totals
            best = np.maximum.accumulate(precision[::-1])[::-1]
            # each one's largest precision to come is that of the next which no later one exceeds
            peaks = np.flatnonzero(precision == best)
            target = peaks[np.searchsorted(peaks, np.arange(len(right)))]
            share = np.bincount(target, minlength=len(right)) / (positives * totals)
            to_come = np.cumsum((share * precision)[::-1])[::-1]
            terms = -to_come[np.searchsorted(right, np.arange(len(counting)))]
            terms[right] += best / positives + np.cumsum(share[::-1])[::-1]
            of_picture = np.bincount(self._pictures[counting], terms, self._num_pictures)
            of_gold = np.bincount(self._gold_pictures, self._in_size[:, size], self._num_pictures)
            of_picture -= of_gold * best.sum() / positives**2
            for place, (_, its_size, overlaps) in enumerate(PRECISIONS):
                averaged = range(len(OVERLAPS))[overlaps]
                if size == its_size and overlap in averaged:
                    influence[:, place] += of_picture / len(averaged)
        return influence


def rank_classes(table: MatchTable, num_classes: int) -> list[RankedClass]:
    """Each class' detections and gold boxes.

    Args:
        table: the split's matches, by their pictures' numbers: of equal scores the first picture's come first.
        num_classes: labels are in [0, num_classes).
    """
    order = np.lexsort((-table.scores, table.labels))
    ends = np.searchsorted(table.labels[order], np.arange(num_classes + 1))
    return [
        RankedClass(table, order[ends[label] : ends[label + 1]], np.flatnonzero(table.gold_labels == label))
        for label in range(num_classes)
    ]
