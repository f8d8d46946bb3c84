"""Figures of single-label classification, from probabilities and labels, with 95 % bootstrap intervals.

All functions take probabilities, float (examples, classes) with rows that sum to 1, and labels, int (examples,)
with ids in [0, classes). The predicted class is the most probable one, the first of equals.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasft.errors import DataError
from kerasft.metrics.bootstrap import (
    compute_boundary_interval,
    compute_distance_interval,
    compute_percentile_interval,
)
from kerasft.metrics.calibration import CalibrationResampler, compute_ece
from kerasft.metrics.confusion import (
    ConfusionCounter,
    ConfusionSums,
    compute_class_figures,
    compute_overall_figures,
)
from kerasft.metrics.measure import Measure
from kerasft.metrics.ranking import RocAuc

Figure = dict[str, float | int]
"""`{"value": …}`, with `"low"` and `"high"` where there is an interval."""


def check_predictions(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Arrays of probabilities and labels, looked over.

    Raises:
        ValueError: the shapes or dtypes disagree with what this module says.
        DataError: there are no examples, probabilities are not finite or not probabilities, or a label is not
            the id of a class.
    """
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    if probabilities.ndim != 2 or labels.ndim != 1 or len(probabilities) != len(labels):
        raise ValueError(
            "expected probabilities (examples, classes) and labels (examples,), got shapes "
            f"{probabilities.shape} and {labels.shape}"
        )
    if len(labels) == 0:
        raise DataError("there are no examples to measure", fix="Give a split that has at least one example.")
    if probabilities.shape[1] < 2 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"expected two classes or more and integer labels, got {probabilities.shape[1]} and {labels.dtype}"
        )
    bad = np.flatnonzero(~np.isfinite(probabilities).all(axis=1))
    if bad.size:
        raise DataError(
            f"the model's probabilities are not finite for {bad.size} of {len(labels)} examples, "
            f"the first of them number {bad[0]}",
            fix="The weights are damaged or training diverged: lower the learning rate and train again.",
        )
    off = np.abs(probabilities.sum(axis=1, dtype=np.float64) - 1.0)
    if probabilities.min() < 0.0 or off.max() > 1e-2:
        raise DataError(
            f"these are not probabilities: the row of example {off.argmax()} is {probabilities[off.argmax()]}",
            fix="Give softmax outputs: not negative, and with rows that sum to 1.",
        )
    if labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise DataError(
            f"labels must be in [0, {probabilities.shape[1]}), got {labels.min()} to {labels.max()}"
        )
    return probabilities, labels


def compute_confusion_matrix(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts, int64 (classes, classes): row = label, column = prediction."""
    num_classes = probabilities.shape[1]
    cells = labels.astype(np.int64) * num_classes + probabilities.argmax(axis=1)
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def _compute_sums(probabilities: np.ndarray, labels: np.ndarray) -> ConfusionSums:
    predictions = probabilities.argmax(axis=1)
    num_classes = probabilities.shape[1]

    def count(ids: np.ndarray) -> np.ndarray:
        return np.bincount(ids, minlength=num_classes).astype(np.float64)

    return ConfusionSums(
        hits=count(labels[labels == predictions]), support=count(labels), predicted=count(predictions)
    )


def compute_accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Share of examples whose most probable class is their label."""
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def compute_f1(probabilities: np.ndarray, labels: np.ndarray, *, average: str = "macro") -> float:
    """F1 averaged over classes: `macro`, each alike; `weighted`, by support. See `compute_overall_figures`."""
    return float(compute_overall_figures(_compute_sums(probabilities, labels))[f"{average}_f1"])


def compute_precision_recall_f1(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """`precision`, `recall`, `f1` and `support` of each class, float64 (classes,); NaN where they are 0/0."""
    sums = _compute_sums(probabilities, labels)
    return {**compute_class_figures(sums), "support": sums.support}


def compute_mcc(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Matthews correlation coefficient, in [−1, 1]; 0 is chance. See `compute_overall_figures`."""
    return float(compute_overall_figures(_compute_sums(probabilities, labels))["mcc"])


def compute_roc_auc(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve, of class 1 (two classes) or one against the rest, macro; see `RocAuc`."""
    return RocAuc(probabilities, labels).compute()


def compute_example_log_loss(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """−ln of the probability of each example's label, nats, float64 (examples,).

    Probabilities below their dtype's epsilon count as that: a softmax in it cannot tell them from 0.
    """
    chosen = probabilities[np.arange(len(labels)), labels]
    return -np.log(np.maximum(chosen, np.finfo(probabilities.dtype).eps).astype(np.float64))


def compute_log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean of `compute_example_log_loss`, nats an example."""
    return float(compute_example_log_loss(probabilities, labels).mean())


def compute_example_brier(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Squared distance of each example's probabilities to its label, float64 (examples,).

    Two classes: (p_1 − y)², in [0, 1]. More: Σ_k (p_k − [y = k])², in [0, 2].

    Source: Brier 1950, Mon. Weather Rev. 78:1–3.
    """
    if probabilities.shape[1] == 2:
        return (probabilities[:, 1].astype(np.float64) - labels) ** 2
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return np.einsum("nk,nk->n", probabilities, probabilities, dtype=np.float64) - 2.0 * chosen + 1.0


def compute_brier(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean of `compute_example_brier`."""
    return float(compute_example_brier(probabilities, labels).mean())


def compute_classification_figures(
    probabilities: np.ndarray,
    labels: np.ndarray,
    label_names: Sequence[str],
    *,
    bootstrap_samples: int = 1000,
    seed: int = 0,
) -> dict[str, Figure]:
    """All figures by name, with 95 % intervals from a bootstrap over examples.

    `accuracy`, `macro_f1`, `weighted_f1`, `mcc`, `roc_auc`, `log_loss`, `brier`, `ece`, `examples`, and for each
    label `precision/<label>`, `recall/<label>`, `f1/<label>`, `support/<label>`.

    Never NaN: a figure that these examples leave undefined is left out, and `explain_missing_figures` says why.
    Intervals are percentile intervals, but: ECE's is `compute_distance_interval`; a proportion that is
    exactly 0 or 1 has its exact binomial interval; and a figure that all resamples agree on has none.

    Args:
        probabilities: float (examples, classes).
        labels: int (examples,).
        label_names: classes' names, all different.
        bootstrap_samples: resamples behind the intervals; 0 for values alone.
        seed: the resamples follow from it.

    Raises:
        ValueError: shapes disagree, or names are too few, too many or not different.
        DataError: see `check_predictions`.
    """
    measure = ClassificationMeasure(probabilities, labels, label_names, bootstrap_samples)
    values, sums = measure.values, measure.sums
    trials = {"accuracy": float(len(labels))}
    for index, name in enumerate(label_names):
        trials[f"precision/{name}"] = float(sums.predicted[index])
        trials[f"recall/{name}"] = float(sums.support[index])
    resampled = measure.draw(bootstrap_samples, seed) if bootstrap_samples else {}
    figures: dict[str, Figure] = {"examples": {"value": len(labels)}}
    for name, value in values.items():
        if np.isfinite(value):
            figures[name] = {"value": float(value)}
            interval = _compute_interval(name, float(value), trials, resampled) if resampled else None
            if interval is not None:
                figures[name] |= {"low": interval[0], "high": interval[1]}
    for index, name in enumerate(label_names):
        figures[f"support/{name}"] = {"value": int(sums.support[index])}
    return figures


class ClassificationMeasure(Measure):
    """The figures of `compute_classification_figures`, and of resamples.

    Args:
        probabilities, labels, label_names: as there.
        samples: how many resamples `resample` will be given in all; decides how some are computed.

    Attributes:
        sums: of the confusion matrix.

    Raises:
        ValueError, DataError: as there.
    """

    def __init__(
        self, probabilities: np.ndarray, labels: np.ndarray, label_names: Sequence[str], samples: int = 0
    ):
        probabilities, labels = check_predictions(probabilities, labels)
        num_classes = probabilities.shape[1]
        if len(label_names) != num_classes or len(set(label_names)) != len(label_names):
            raise ValueError(f"expected {num_classes} different label names, got {list(label_names)}")
        self._label_names = tuple(label_names)
        self.sums = _compute_sums(probabilities, labels)
        self.values = _name_figures(self.sums, label_names) | {
            "roc_auc": np.array(compute_roc_auc(probabilities, labels)),
            "log_loss": np.array(compute_log_loss(probabilities, labels)),
            "brier": np.array(compute_brier(probabilities, labels)),
            "ece": np.array(compute_ece(probabilities, labels)),
        }
        if not np.isfinite(self.values["roc_auc"]):
            # one class among the labels: 0 by convention, which would read as "no better than chance"
            del self.values["mcc"]
        self.order = ConfusionCounter.order(labels, probabilities.argmax(axis=1))
        if samples:
            self._prepare(probabilities[self.order], labels[self.order], samples)

    def _prepare(self, probabilities: np.ndarray, labels: np.ndarray, samples: int) -> None:
        self._counter = ConfusionCounter(labels, probabilities.argmax(axis=1), probabilities.shape[1])
        self._area = RocAuc(probabilities, labels, samples)
        self._log_loss = compute_example_log_loss(probabilities, labels)
        self._brier = compute_example_brier(probabilities, labels)
        self._calibration = CalibrationResampler(probabilities, labels)

    def resample(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        # einsum and not @: a matrix product of this shape spends its time waiting for its threads.
        ece, noise = self._calibration.resample(counts)
        return _name_figures(self._counter.count(counts), self._label_names) | {
            "roc_auc": self._area.resample(counts),
            "log_loss": np.einsum("bn,n->b", counts, self._log_loss) / len(self),
            "brier": np.einsum("bn,n->b", counts, self._brier) / len(self),
            "ece": ece,
            "ece_noise": noise,
        }


def _name_figures(sums: ConfusionSums, label_names: Sequence[str]) -> dict[str, np.ndarray]:
    """The confusion matrix' figures under their names, float64 (…,) each."""
    figures = compute_overall_figures(sums)
    by_class = compute_class_figures(sums)
    for index, name in enumerate(label_names):
        for kind, values in by_class.items():
            figures[f"{kind}/{name}"] = values[..., index]
    return figures


def _compute_interval(
    name: str, value: float, trials: dict[str, float], resampled: dict[str, np.ndarray]
) -> tuple[float, float] | None:
    if name == "ece":
        return compute_distance_interval(value, resampled["ece"], resampled["ece_noise"])
    if name in trials and value in (0.0, 1.0):
        return compute_boundary_interval(value, trials[name])
    return compute_percentile_interval(resampled[name])


def explain_missing_figures(
    probabilities: np.ndarray, labels: np.ndarray, label_names: Sequence[str]
) -> dict[str, str]:
    """Why `compute_classification_figures` leaves figures out: figure → reason; empty where it gives all."""
    sums = _compute_sums(probabilities, labels)
    reasons: dict[str, str] = {}
    if np.count_nonzero(sums.support) < 2:
        reasons["roc_auc"] = reasons["mcc"] = "the examples have only one label"
    for index, name in enumerate(label_names):
        if not sums.predicted[index]:
            reasons[f"precision/{name}"] = f"{name!r} is never predicted"
        if not sums.support[index]:
            reasons[f"recall/{name}"] = f"no example is labelled {name!r}"
        if not sums.predicted[index] and not sums.support[index]:
            reasons[f"f1/{name}"] = f"{name!r} is neither a label nor a prediction here"
    return reasons
