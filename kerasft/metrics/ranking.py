"""Area under the ROC curve: how well probabilities rank examples, whatever the threshold."""

from __future__ import annotations

import numpy as np

# Above this many (example, class, resample) triples resampled areas are taken to first order.
_EXACT_WORK = 16_000_000


class RocAuc:
    """The area under the ROC curve, of the examples themselves and of resamples of them.

    For one class, the area is the chance that an example of it gets a higher score than an example of another
    class, ties counting half:

        A = Σ_i Σ_j [s_i > s_j] + ½[s_i = s_j]  /  (positives · negatives),   i positive, j negative

    With two classes it is class 1's. With more it is the mean over classes, each against all others, of those
    classes that have positives and negatives among the examples.

    Args:
        probabilities: float (examples, classes).
        labels: int (examples,), ids in [0, classes).
        samples: how many resamples `resample` will be given in all; decides how they are computed.

    Source: Hanley and McNeil 1982, Radiology 143:29–36; Fawcett 2006, Pattern Recognit. Lett. 27:861–874.
    """

    def __init__(self, probabilities: np.ndarray, labels: np.ndarray, samples: int = 0):
        num_examples, num_classes = probabilities.shape
        present = np.unique(labels)
        if len(present) < 2:
            self.classes: list[int] = []
        elif num_classes == 2:
            self.classes = [1]
        else:
            self.classes = present.tolist()
        self.exact = num_examples * len(self.classes) * samples <= _EXACT_WORK
        self._areas = np.empty(len(self.classes))
        self._ranks: list[tuple[np.ndarray, ...]] = []
        self._influence = np.zeros(num_examples)
        for position, label in enumerate(self.classes):
            self._prepare(position, probabilities[:, label], labels == label)

    def _prepare(self, position: int, scores: np.ndarray, positive: np.ndarray) -> None:
        """Ranks positives among negatives, and where resamples are taken to first order the other way round."""
        positives, negatives = np.flatnonzero(positive), np.flatnonzero(~positive)
        negatives = negatives[np.argsort(scores[negatives], kind="stable")]
        left = np.searchsorted(scores[negatives], scores[positives], side="left")
        right = np.searchsorted(scores[negatives], scores[positives], side="right")
        area = (left + right).mean() / (2.0 * len(negatives))
        self._areas[position] = area
        if self.exact:
            self._ranks.append((positives, negatives, left, right))
            return
        # DeLong's structural components: what each example adds to the area.
        ascending = np.sort(scores[positives])
        above = 2.0 * len(positives) - (
            np.searchsorted(ascending, scores[negatives], side="left")
            + np.searchsorted(ascending, scores[negatives], side="right")
        )
        share = 1.0 / len(self.classes)
        own = (left + right) / (2.0 * len(negatives))
        self._influence[positives] += share * (own - area) / len(positives)
        self._influence[negatives] += share * (above / (2.0 * len(positives)) - area) / len(negatives)

    def compute(self) -> float:
        """The area, in [0, 1]; NaN where the labels hold one class only."""
        return float(self._areas.mean()) if self.classes else float("nan")

    def resample(self, counts: np.ndarray) -> np.ndarray:
        """The areas of resamples.

        Exact where that is cheap; else to first order in the counts, which with so many examples differs from it
        by far less than the interval's width.

        Args:
            counts: float64 (resamples, examples), how often each example counts.

        Returns:
            float64 (resamples,), NaN where a resample holds one class only.

        Source: DeLong et al. 1988, Biometrics 44:837–845 (first-order terms).
        """
        if not self.classes:
            return np.full(len(counts), np.nan)
        if not self.exact:
            return np.clip(self._areas.mean() + np.einsum("bn,n->b", counts, self._influence), 0.0, 1.0)
        areas = np.stack([self._resample_class(position, counts) for position in range(len(self.classes))])
        defined = np.isfinite(areas)
        total = np.where(defined, areas, 0.0).sum(axis=0)
        return np.where(defined.any(axis=0), total / np.maximum(defined.sum(axis=0), 1), np.nan)

    def _resample_class(self, position: int, counts: np.ndarray) -> np.ndarray:
        positives, negatives, left, right = self._ranks[position]
        below = np.zeros((len(counts), len(negatives) + 1))
        np.cumsum(counts[:, negatives], axis=1, out=below[:, 1:])
        weights = counts[:, positives]
        ranked = (weights * (below[:, left] + below[:, right])).sum(axis=1)
        pairs = weights.sum(axis=1) * below[:, -1]
        return np.where(pairs > 0, ranked / np.maximum(2.0 * pairs, 1.0), np.nan)
