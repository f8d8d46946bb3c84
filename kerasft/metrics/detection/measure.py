"""Figures of detections by COCO's rules, with intervals over pictures.

    ap, ap50, ap75                  average precision: over the overlaps 0.50, 0.55, …, 0.95; at 0.5; at 0.75
    ap_small, ap_medium, ap_large   of gold boxes below 32², up to 96², and above 96² square pixels
    ar_1, ar_10, ar_100             the largest recall with so many detections a picture and class, over the overlaps
    ar_small, ar_medium, ar_large   ar_100 of gold boxes of these sizes
    precision, recall, f1           at an overlap of 0.5, of the detections that reach a threshold; all classes together

each a mean over the classes that have gold boxes (of that size); `ap`, `ap50` and the last three of each class as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kerasft.errors import DataError
from kerasft.metrics.bootstrap import (
    compute_boundary_interval,
    compute_lowered_interval,
    compute_percentile_interval,
)
from kerasft.metrics.confusion import ConfusionSums, compute_class_figures
from kerasft.metrics.detection.curves import compute_best_f1
from kerasft.metrics.detection.error_costs import compute_error_costs, count_errors
from kerasft.metrics.detection.ranking import PRECISIONS, RECALLS, rank_classes
from kerasft.metrics.detection.table import MatchTable, read_bit
from kerasft.metrics.measure import Measure

_EXACT_WORK = 50_000_000
"""Above as many detections × resamples, resampled average precisions are taken to first order."""


_BIASED = frozenset(name for name, _, _ in PRECISIONS)
"""Larger on few pictures than on many: at each recall the largest precision to come counts."""


class DetectionMeasure(Measure):
    """The figures, and those of resamples of the pictures.

    Average precisions of resamples are exact where detections × `samples` are 50 million at most, else taken to first
    order in how often each picture counts.

    Args:
        table: the split's matches, by their pictures' numbers.
        label_names: the classes' names, all different.
        samples: how many resamples `resample` will be given in all; decides how some are computed.
        threshold: from which score on a detection counts for precision, recall and F1; without one there are none.

    Attributes:
        support: int64 (classes,), gold boxes, crowds left out.
        trials: of precisions and recalls how many pictures have a part in them, by name.

    Raises:
        ValueError: a label is not in [0, classes), or names are not different.
        DataError: there are no pictures.
    """

    def __init__(
        self,
        table: MatchTable,
        label_names: Sequence[str],
        samples: int = 0,
        threshold: float | None = None,
    ):
        self._names = tuple(label_names)
        _check_labels(table, self._names)
        self.order = np.arange(len(table.numbers))
        self._classes = rank_classes(table, len(self._names))
        self._precisions = np.stack([ranked.compute_precisions() for ranked in self._classes])
        self._hits = [ranked.count_hits() for ranked in self._classes]
        self.support = np.array([ranked.positives[0] for ranked in self._classes]).astype(np.int64)
        self._sums = None if threshold is None else count_pictures(table, len(self._names), threshold)
        ones = np.ones((1, len(table.numbers)))
        self.values = {name: value[0] for name, value in self._name(ones, self._precisions[None]).items()}
        self.trials = self._count_trials()
        self._influence: list[np.ndarray] | None = None
        if len(table.scores) * samples > _EXACT_WORK:
            self._influence = [ranked.compute_influence() for ranked in self._classes]

    def resample(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        if self._influence is None:
            precisions = np.stack([ranked.resample_precisions(counts) for ranked in self._classes], axis=1)
        else:
            shift = np.stack([_multiply(counts, influence) for influence in self._influence], axis=1)
            precisions = np.clip(self._precisions + shift, 0.0, 1.0)
        return self._name(counts, precisions)

    def _name(self, counts: np.ndarray, precisions: np.ndarray) -> dict[str, np.ndarray]:
        """The figures by name, float64 (resamples,) each.

        Args:
            counts: float64 (resamples, pictures).
            precisions: float64 (resamples, classes, 6).
        """
        named = {name: _average(precisions[..., place]) for place, (name, _, _) in enumerate(PRECISIONS)}
        recalls = self._compute_recalls(counts)
        named |= {name: _average(recalls[..., place]) for place, (name, _, _) in enumerate(RECALLS)}
        for place, name in enumerate(self._names):
            named[f"ap/{name}"], named[f"ap50/{name}"] = precisions[:, place, 0], precisions[:, place, 1]
        if self._sums is None:
            return named
        sums = _multiply(counts, self._sums).reshape(len(counts), 3, len(self._names))
        hits, support, predicted = np.moveaxis(sums, 1, 0)
        by_class = compute_class_figures(ConfusionSums(hits=hits, support=support, predicted=predicted))
        named |= compute_class_figures(
            ConfusionSums(hits=hits.sum(-1), support=support.sum(-1), predicted=predicted.sum(-1))
        )
        for kind, values in by_class.items():
            named |= {f"{kind}/{name}": values[:, place] for place, name in enumerate(self._names)}
        return named

    def _compute_recalls(self, counts: np.ndarray) -> np.ndarray:
        """float64 (resamples, classes, 6); NaN where there are no gold boxes."""
        sizes = [size for _, size, _ in RECALLS]
        recalls = []
        for ranked, (places, hits) in zip(self._classes, self._hits, strict=True):
            positives = ranked.resample_positives(counts)[:, sizes]
            with np.errstate(invalid="ignore", divide="ignore"):
                recalls.append(
                    np.where(positives > 0.0, _multiply(counts[:, places], hits) / positives, np.nan)
                )
        return np.stack(recalls, axis=1)

    def _count_trials(self) -> dict[str, int]:
        if self._sums is None:
            return {}
        _, support, predicted = self._sums.reshape(len(self), 3, len(self._names)).swapaxes(0, 1)
        trials = {}
        for kind, sums in (("precision", predicted), ("recall", support)):
            trials[kind] = int(np.count_nonzero(sums.sum(1)))
            trials |= {
                f"{kind}/{name}": int(n) for name, n in zip(self._names, (sums > 0).sum(0), strict=True)
            }
        return trials


def _check_labels(table: MatchTable, names: Sequence[str]) -> None:
    if not len(table.numbers):
        raise DataError("there are no pictures to measure", fix="Give a split that has at least one example.")
    if len(set(names)) != len(names) or not names:
        raise ValueError(f"expected different label names, at least one, got {list(names)}")
    for labels in (table.labels, table.gold_labels):
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
            raise ValueError(f"labels must lie in [0, {len(names)}), got {labels.min()} to {labels.max()}")


def _multiply(counts: np.ndarray, terms: np.ndarray) -> np.ndarray:
    # einsum and not @: a matrix product of this shape spends its time waiting for its threads.
    return np.einsum("bn,nk->bk", counts, terms)


def _average(values: np.ndarray) -> np.ndarray:
    """Means over the last axis, without NaN; NaN where all are."""
    defined = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.where(defined, values, 0.0).sum(-1) / defined.sum(-1)


def count_pictures(table: MatchTable, num_classes: int, threshold: float) -> np.ndarray:
    """What each picture adds to precision and recall at an overlap of 0.5 and a threshold.

    Returns:
        float64 (pictures, 3 × classes): right detections of each class, its gold boxes, its right and wrong detections.
    """
    sure = table.scores >= threshold
    right = sure & read_bit(table.right, 0, 0)
    counting = sure & ~read_bit(table.ignored, 0, 0)
    shape = len(table.numbers), num_classes

    def count(pictures: np.ndarray, labels: np.ndarray) -> np.ndarray:
        cells = pictures.astype(np.int64) * num_classes + labels
        return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)

    columns = (
        count(table.pictures[right], table.labels[right]),
        count(table.gold_pictures, table.gold_labels),
        count(table.pictures[counting], table.labels[counting]),
    )
    return np.concatenate(columns, axis=1).astype(np.float64)


def measure_detections(
    table: MatchTable,
    label_names: Sequence[str],
    *,
    threshold: float | None = None,
    bootstrap_samples: int = 0,
    seed: int = 0,
) -> dict[str, Mapping[str, float | int]]:
    """All figures of some pictures.

    Besides those above `best_f1`, the F1 with the threshold that is best here; `cost_<kind>`, what each kind of error
    costs of AP50, see `compute_error_costs`; with a threshold `errors_<kind>`, how many there are, see `count_errors`;
    `examples` (pictures), `boxes` (gold boxes), and `support/<class>`. Intervals have only those above.

    Never NaN: a figure that these pictures leave undefined is left out. Intervals are percentile intervals over
    pictures; of average precisions with the lower end of `compute_lowered_interval`; a precision or recall of exactly 0
    or 1 has the exact binomial one of as many trials as pictures have a part in it; a figure that all resamples agree
    on has none.

    Args:
        table: the split's matches, by their pictures' numbers.
        label_names: the classes' names.
        threshold: see `DetectionMeasure`.
        bootstrap_samples: resamples behind the intervals; 0 for values alone.
        seed: the resamples follow from it.

    Raises:
        ValueError, DataError: as `DetectionMeasure`.
    """
    measure = DetectionMeasure(table, label_names, bootstrap_samples, threshold)
    resampled = measure.draw(bootstrap_samples, seed) if bootstrap_samples else {}
    figures: dict[str, Mapping[str, float | int]] = {
        "examples": {"value": len(measure)},
        "boxes": {"value": int(measure.support.sum())},
    }
    for name, value in measure.values.items():
        if not np.isfinite(value):
            continue
        interval = None
        if resampled and name in measure.trials and value in (0.0, 1.0):
            interval = compute_boundary_interval(float(value), measure.trials[name])
        elif resampled and name.partition("/")[0] in _BIASED:
            interval = compute_lowered_interval(float(value), resampled[name])
        elif resampled:
            interval = compute_percentile_interval(resampled[name])
        ends = {} if interval is None else {"low": interval[0], "high": interval[1]}
        figures[name] = {"value": float(value), **ends}
    if len(table.scores) or len(table.gold_labels):
        figures["best_f1"] = {"value": compute_best_f1(table)}
    costs = compute_error_costs(table, len(label_names))
    figures |= {f"cost_{kind}": {"value": cost} for kind, cost in costs.items()}
    if threshold is not None:
        errors = count_errors(table, threshold)
        figures |= {f"errors_{kind}": {"value": count} for kind, count in errors.items()}
    for name, count in zip(label_names, measure.support, strict=True):
        figures[f"support/{name}"] = {"value": int(count)}
    return figures
