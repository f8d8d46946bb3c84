"""Average precision: how high a class' own examples rank by its probability."""

from __future__ import annotations

import numpy as np

# Above this many (example, class, resample) triples resampled figures are taken to first order.
_EXACT_WORK = 16_000_000


class AveragePrecision:
    """The average precision of each class, of the examples themselves and of resamples of them.

    With T_i the positives and N_i the examples that score no lower than example i, ties included,

        AP = Σ_i T_i / N_i  /  positives,   i positive

    which is the area under the precision–recall curve, as a sum and without interpolation.

    Args:
        probabilities: float (examples, classes).
        references: bool (examples, classes).
        samples: how many resamples `resample` will be given in all; decides how they are computed.

    Source: Manning et al. 2008, Introduction to Information Retrieval, section 8.4.
    """

    def __init__(self, probabilities: np.ndarray, references: np.ndarray, samples: int = 0):
        num_examples, num_classes = references.shape
        self.exact = num_examples * num_classes * samples <= _EXACT_WORK
        self.values = np.full(num_classes, np.nan)
        self._ranks: list[tuple[np.ndarray, ...]] = []
        self._influence = np.zeros((num_examples, num_classes))
        for label in range(num_classes):
            self._prepare(label, probabilities[:, label], references[:, label])

    def _prepare(self, label: int, scores: np.ndarray, positive: np.ndarray) -> None:
        order = np.argsort(-scores, kind="stable")
        ranked, hits = -scores[order], positive[order]
        last = np.searchsorted(ranked, ranked, side="right") - 1  # the last example of each one's ties
        self._ranks.append((order, hits, last[hits]))
        positives = int(hits.sum())
        if not positives:
            return
        above, ranks = np.cumsum(hits)[last], last + 1.0
        precision = above / ranks
        value = precision[hits].mean()
        self.values[label] = value
        if self.exact:
            return
        # what one more of each example adds: to its own term, and to those of all positives that score no higher
        first = np.searchsorted(ranked, ranked, side="left")

        def sum_below(terms: np.ndarray) -> np.ndarray:
            return np.cumsum(np.where(hits, terms, 0.0)[::-1])[::-1][first]

        influence = sum_below(-above / ranks**2)
        influence += np.where(hits, sum_below(1.0 / ranks) + precision - value, 0.0)
        self._influence[order, label] = influence / positives

    def resample(self, counts: np.ndarray) -> np.ndarray:
        """The figures of resamples: exact where that is cheap, else to first order in the counts.

        Args:
            counts: float64 (resamples, examples), how often each example counts.

        Returns:
            float64 (resamples, classes); NaN where a resample has no positives.
        """
        if not self.exact:
            return np.clip(self.values + np.einsum("bn,nk->bk", counts, self._influence), 0.0, 1.0)
        return np.stack([self._resample_class(counts, *ranks) for ranks in self._ranks], axis=1)

    def _resample_class(
        self, counts: np.ndarray, order: np.ndarray, hits: np.ndarray, last: np.ndarray
    ) -> np.ndarray:
        ranked = counts[:, order]
        examples = np.cumsum(ranked, axis=1)[:, last]
        positives = np.cumsum(ranked * hits, axis=1)[:, last]
        weights = ranked[:, hits]
        terms = weights * positives / np.maximum(examples, 1.0)
        total = weights.sum(axis=1)
        return np.where(total > 0, terms.sum(axis=1) / np.maximum(total, 1.0), np.nan)
