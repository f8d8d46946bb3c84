"""Figures that follow from a confusion matrix: accuracy, precision, recall, F1, Matthews correlation."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class ConfusionSums:
    """What the figures here need of a confusion matrix, or of many at once (leading axes).

    Attributes:
        hits: float64 (…, classes), the diagonal: examples of a class that were predicted as it.
        support: float64 (…, classes), row sums: examples of the class.
        predicted: float64 (…, classes), column sums: examples predicted as the class.
    """

    hits: np.ndarray
    support: np.ndarray
    predicted: np.ndarray


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a mean of nothing is NaN, as it should be
        return np.nanmean(values, axis=-1)


def compute_class_figures(sums: ConfusionSums) -> dict[str, np.ndarray]:
    """Precision, recall and F1 of each class; NaN where they are 0/0.

        precision = hits / predicted,  recall = hits / support,  F1 = 2·hits / (support + predicted)

    Returns:
        `precision`, `recall` and `f1`, float64 (…, classes).
    """
    return {
        "precision": _divide(sums.hits, sums.predicted),
        "recall": _divide(sums.hits, sums.support),
        "f1": _divide(2.0 * sums.hits, sums.support + sums.predicted),
    }


def compute_overall_figures(sums: ConfusionSums) -> dict[str, np.ndarray]:
    """Accuracy, F1 averaged over classes, and Matthews correlation, of all classes together.

        accuracy    = Σ hits / n
        macro_f1    = mean of F1 over the classes that occur as a label or as a prediction
        weighted_f1 = Σ support·F1 / n
        mcc         = (n·Σ hits − Σ support·predicted) / sqrt((n² − Σ predicted²)(n² − Σ support²)),
                      0 where that is 0/0 (one class only among the labels, or among the predictions)

    Returns:
        float64 (…,) each.

    Source: Gorodkin 2004, Comput. Biol. Chem. 28:367–374 (mcc for any number of classes).
    """
    n = sums.support.sum(axis=-1)
    f1 = compute_class_figures(sums)["f1"]
    covariance = n * sums.hits.sum(axis=-1) - (sums.support * sums.predicted).sum(axis=-1)
    variances = (n**2 - (sums.predicted**2).sum(axis=-1)) * (n**2 - (sums.support**2).sum(axis=-1))
    mcc = np.where(variances > 0, covariance / np.sqrt(np.where(variances > 0, variances, 1.0)), 0.0)
    return {
        "accuracy": sums.hits.sum(axis=-1) / n,
        "macro_f1": _mean_of_defined(f1),
        "weighted_f1": np.nansum(sums.support * f1, axis=-1) / n,
        "mcc": mcc,
    }


class ConfusionCounter:
    """Turns how often each example counts into `ConfusionSums`, for many resamples at once.

    Time and memory follow the examples and the cells in use, not classes².

    Args:
        labels: int (examples,), sorted; `order` gives the sort that the caller has to apply to everything.
        predictions: int (examples,), sorted within equal labels.
        num_classes: number of classes.
    """

    def __init__(self, labels: np.ndarray, predictions: np.ndarray, num_classes: int):
        cells = labels.astype(np.int64) * num_classes + predictions
        self._cell_starts = np.flatnonzero(np.concatenate([[True], cells[1:] != cells[:-1]]))
        self._cell_labels = labels[self._cell_starts]
        self._cell_predictions = predictions[self._cell_starts]
        self._by_prediction = np.argsort(self._cell_predictions, kind="stable")
        self._num_classes = num_classes

    @staticmethod
    def order(labels: np.ndarray, predictions: np.ndarray) -> np.ndarray:
        """The order, int64 (examples,), by label and then by prediction."""
        return np.lexsort((predictions, labels))

    def _sum_runs(self, cells: np.ndarray, classes: np.ndarray) -> np.ndarray:
        starts = np.flatnonzero(np.concatenate([[True], classes[1:] != classes[:-1]]))
        sums = np.zeros((len(cells), self._num_classes))
        sums[:, classes[starts]] = np.add.reduceat(cells, starts, axis=1)
        return sums

    def count(self, counts: np.ndarray) -> ConfusionSums:
        """Sums up.

        Args:
            counts: float64 (resamples, examples), how often each example counts.

        Returns:
            Sums of shape (resamples, classes).
        """
        cells = np.add.reduceat(counts, self._cell_starts, axis=1)
        hits = np.zeros((len(counts), self._num_classes))
        diagonal = self._cell_labels == self._cell_predictions
        hits[:, self._cell_labels[diagonal]] = cells[:, diagonal]
        by_prediction = self._by_prediction
        return ConfusionSums(
            hits=hits,
            support=self._sum_runs(cells, self._cell_labels),
            predicted=self._sum_runs(cells[:, by_prediction], self._cell_predictions[by_prediction]),
        )
