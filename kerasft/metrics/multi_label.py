"""Figures of multi-label classification, from probabilities and sets of labels, with 95 % bootstrap intervals.

All functions take probabilities, float (examples, classes) in [0, 1], each standing for itself, and references, 0 or 1
(examples, classes): which labels hold. A label is predicted where its probability reaches the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasft.errors import DataError
from kerasft.metrics.average_precision import AveragePrecision
from kerasft.metrics.bootstrap import (
    compute_boundary_interval,
    compute_percentile_interval,
)
from kerasft.metrics.classification import Figure
from kerasft.metrics.confusion import ConfusionSums, compute_class_figures
from kerasft.metrics.measure import Measure
from kerasft.metrics.ranking import RocAuc

THRESHOLD = 0.5
"""The probability from which a label is predicted."""


def check_multi_label_predictions(
    probabilities: np.ndarray, references: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Float64 probabilities and boolean references, looked over.

    Raises:
        ValueError: their shapes disagree, or references are not 0 and 1.
        DataError: there are no examples, or probabilities are not finite or not in [0, 1].
    """
    probabilities, references = np.asarray(probabilities, np.float64), np.asarray(references)
    if probabilities.ndim != 2 or probabilities.shape != references.shape:
        raise ValueError(
            "expected probabilities and references (examples, classes), got shapes "
            f"{probabilities.shape} and {references.shape}"
        )
    if not np.isin(references, (0, 1)).all():
        raise ValueError("expected references of 0 and 1")
    if len(references) == 0:
        raise DataError("there are no examples to measure", fix="Give a split that has at least one example.")
    bad = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
    if bad.size:
        raise DataError(
            f"the model's probabilities are not finite for {bad.size} of {len(references)} examples, "
            f"the first of them number {bad[0]}",
            fix="The weights are damaged or training diverged: lower the learning rate and train again.",
        )
    if probabilities.min() < 0.0 or probabilities.max() > 1.0:
        raise DataError("these are not probabilities: they are outside [0, 1]", fix="Give sigmoid outputs.")
    return probabilities, references.astype(bool)


def compute_label_sums(probabilities: np.ndarray, references: np.ndarray, threshold: float) -> ConfusionSums:
    """Of each label how often it was predicted rightly, held, and was predicted."""
    predicted, held = probabilities >= threshold, np.asarray(references, bool)

    def count(cells: np.ndarray) -> np.ndarray:
        return cells.sum(axis=0).astype(np.float64)

    return ConfusionSums(hits=count(predicted & held), support=count(held), predicted=count(predicted))


def compute_example_multi_label_log_loss(probabilities: np.ndarray, references: np.ndarray) -> np.ndarray:
    """−ln of the probability of what holds, averaged over labels: nats a label, float64 (examples,).

    Probabilities within float32's epsilon of 0 or 1 count as that far away: a sigmoid in it cannot tell them apart.
    """
    chosen = np.where(references, probabilities, 1.0 - probabilities)
    return -np.log(np.maximum(chosen, np.finfo(np.float32).eps)).mean(axis=1)


def compute_multi_label_figures(
    probabilities: np.ndarray,
    references: np.ndarray,
    label_names: Sequence[str],
    *,
    threshold: float = THRESHOLD,
    bootstrap_samples: int = 1000,
    seed: int = 0,
) -> dict[str, Figure]:
    """All figures by name, with 95 % intervals from a bootstrap over examples.

        accuracy                 share of examples of which all labels are right
        hamming_loss             share of (example, label) cells that are wrong
        micro_…                  precision, recall and F1 of all cells together
        macro_…                  their means over the labels of which they are defined
        weighted_…               the same, weighted by how often a label holds
        mean_average_precision   mean of `AveragePrecision` over the labels that any example has
        roc_auc                  mean of `RocAuc` over the labels that some examples have and some have not
        log_loss                 nats a label

    Besides `examples`, and for each label `precision/<label>`, `recall/<label>`, `f1/<label>`,
    `average_precision/<label>` and `support/<label>`. Never NaN: a figure that these examples leave undefined is left
    out. Intervals are percentile intervals, but a proportion that is exactly 0 or 1 has its exact binomial interval,
    and a figure that all resamples agree on has none.

    Args:
        probabilities: float (examples, classes).
        references: 0 or 1 (examples, classes).
        label_names: classes' names, all different.
        threshold: from which probability a label is predicted.
        bootstrap_samples: resamples behind the intervals; 0 for values alone.
        seed: the resamples follow from it.

    Raises:
        ValueError: shapes disagree, or names are too few, too many or not different.
        DataError: see `check_multi_label_predictions`.

    Source: Sorower 2010, "A literature survey on algorithms for multi-label learning", section 6.
    """
    measure = MultiLabelMeasure(
        probabilities, references, label_names, bootstrap_samples, threshold=threshold
    )
    trials = {"accuracy": float(len(measure)), "hamming_loss": float(len(measure))}
    for index, name in enumerate(label_names):
        trials[f"precision/{name}"] = float(measure.sums.predicted[index])
        trials[f"recall/{name}"] = float(measure.sums.support[index])
    resampled = measure.draw(bootstrap_samples, seed) if bootstrap_samples else {}
    figures: dict[str, Figure] = {"examples": {"value": len(measure)}}
    for name, value in measure.values.items():
        if np.isfinite(value):
            figures[name] = {"value": float(value)}
            interval = _compute_interval(name, float(value), trials, resampled) if resampled else None
            if interval is not None:
                figures[name] |= {"low": interval[0], "high": interval[1]}
    for index, name in enumerate(label_names):
        figures[f"support/{name}"] = {"value": int(measure.sums.support[index])}
    return figures


def _compute_interval(
    name: str, value: float, trials: dict[str, float], resampled: dict[str, np.ndarray]
) -> tuple[float, float] | None:
    if name in trials and value in (0.0, 1.0):
        return compute_boundary_interval(value, trials[name])
    return compute_percentile_interval(resampled[name])


class MultiLabelMeasure(Measure):
    """The figures of `compute_multi_label_figures`, and of resamples.

    Args:
        probabilities, references, label_names, threshold: as there.
        samples: how many resamples `resample` will be given in all; decides how some are computed.

    Attributes:
        sums: of each label.

    Raises:
        ValueError, DataError: as there.
    """

    def __init__(
        self,
        probabilities: np.ndarray,
        references: np.ndarray,
        label_names: Sequence[str],
        samples: int = 0,
        *,
        threshold: float = THRESHOLD,
    ):
        probabilities, held = check_multi_label_predictions(probabilities, references)
        if len(label_names) != held.shape[1] or len(set(label_names)) != len(label_names):
            raise ValueError(f"expected {held.shape[1]} different label names, got {list(label_names)}")
        self._label_names = tuple(label_names)
        self.order = np.arange(len(held))
        predicted = probabilities >= threshold
        self.sums = compute_label_sums(probabilities, held, threshold)
        self._cells = [cells.astype(np.float64) for cells in (predicted & held, held, predicted)]
        self._ranking = AveragePrecision(probabilities, held, samples)
        both = np.flatnonzero(held.any(axis=0) & ~held.all(axis=0))
        self._areas = [
            RocAuc(
                np.stack([-probabilities[:, k], probabilities[:, k]], 1),
                held[:, k].astype(np.int64),
                samples * len(both),
            )
            for k in both
        ]
        wrong = predicted != held
        self._means = {
            "accuracy": (~wrong.any(axis=1)).astype(np.float64),
            "hamming_loss": wrong.mean(axis=1),
            "log_loss": compute_example_multi_label_log_loss(probabilities, held),
        }
        figures = {name: values.mean() for name, values in self._means.items()}
        areas = np.array([area.compute() for area in self._areas])
        self.values = _name_figures(figures, self.sums, areas, self._ranking.values, label_names)

    def resample(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        # einsum and not @: a matrix product of this shape spends its time waiting for its threads.
        hits, support, predicted = (np.einsum("bn,nk->bk", counts, cells) for cells in self._cells)
        sums = ConfusionSums(hits=hits, support=support, predicted=predicted)
        figures = {
            name: np.einsum("bn,n->b", counts, values) / len(self) for name, values in self._means.items()
        }
        areas = np.array([area.resample(counts) for area in self._areas]).reshape(-1, len(counts)).T
        return _name_figures(figures, sums, areas, self._ranking.resample(counts), self._label_names)


def _name_figures(
    figures: dict[str, np.ndarray],
    sums: ConfusionSums,
    areas: np.ndarray,
    average_precision: np.ndarray,
    label_names: Sequence[str],
) -> dict[str, np.ndarray]:
    """All figures under their names, float64 (…,) each, of arrays (…, classes)."""
    by_class = compute_class_figures(sums)
    total = ConfusionSums(
        hits=sums.hits.sum(-1), support=sums.support.sum(-1), predicted=sums.predicted.sum(-1)
    )
    micro = compute_class_figures(total)
    named = dict(figures)
    for kind in ("f1", "precision", "recall"):
        values = by_class[kind]
        named[f"micro_{kind}"] = micro[kind]
        named[f"macro_{kind}"] = _average(values, np.ones_like(values))
        named[f"weighted_{kind}"] = _average(values, sums.support)
    named["mean_average_precision"] = _average(average_precision, np.ones_like(average_precision))
    named["roc_auc"] = _average(areas, np.ones_like(areas))
    for index, name in enumerate(label_names):
        for kind, values in by_class.items():
            named[f"{kind}/{name}"] = values[..., index]
        named[f"average_precision/{name}"] = average_precision[..., index]
    return named


def _average(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The weighted mean of those that are defined, over the last axis; NaN where none is."""
    weights = np.where(np.isfinite(values), weights, 0.0)
    total = weights.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, (np.nan_to_num(values) * weights).sum(axis=-1) / total, np.nan)
