"""Two models on the same examples: by how much each figure differs, and whether chance alone might explain it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kerasft.metrics.bootstrap import compute_percentile_interval, iterate_resample_counts
from kerasft.metrics.measure import Measure


class Comparison(NamedTuple):
    """One figure of two models."""

    first: float
    second: float
    difference: float
    """Second less first."""
    low: float | None
    """Where the difference's 95 % interval begins; None where all resamples agree."""
    high: float | None
    p_value: float
    """Two-sided, of no difference."""


def compare_measures(
    first: Measure, second: Measure, *, samples: int = 1000, seed: int = 0
) -> dict[str, Comparison]:
    """Each figure that both have, by the paired bootstrap: resamples are drawn once, and both measured on each.

    What is hard for both models cancels, so that far smaller differences show than intervals that overlap would tell.
    Those are percentile intervals, and with B resamples on which both figures are defined

        p = min(1, 2·(1 + min(#{difference* ≤ 0}, #{difference* ≥ 0})) / (1 + B))

    which no smaller than 2 / (1 + B) can be. Many figures are compared at once: of twenty that do not differ, one has
    a p-value below 0.05.

    Args:
        first: of some examples; made for `samples` resamples at least.
        second: of the same, in the same order.
        samples: resamples, 1 or more.
        seed: the resamples follow from it.

    Raises:
        ValueError: the numbers of examples differ.

    Source: Koehn 2004, "Statistical significance tests for machine translation evaluation", EMNLP (pairs); Davison and
    Hinkley 1997, Bootstrap Methods and their Application, chapter 4 (p-values with their one added resample).
    """
    if len(first) != len(second):
        raise ValueError(f"expected the same examples, got {len(first)} and {len(second)}")
    names = [name for name in first.values if name in second.values]
    blocks = []
    for counts in iterate_resample_counts(len(first), samples, seed):
        one, other = (measure.resample(counts[:, measure.order]) for measure in (first, second))
        blocks.append([other[name] - one[name] for name in names])
    compared = {}
    for place, name in enumerate(names):
        ends = float(first.values[name]), float(second.values[name])
        if np.isfinite(ends).all():
            compared[name] = _compare(*ends, np.concatenate([block[place] for block in blocks]))
    return compared


def _compare(first: float, second: float, differences: np.ndarray) -> Comparison:
    low, high = compute_percentile_interval(differences) or (None, None)
    defined = differences[np.isfinite(differences)]
    rarer = min(np.count_nonzero(defined <= 0), np.count_nonzero(defined >= 0))
    p_value = min(1.0, 2.0 * (1 + rarer) / (1 + len(defined)))
    return Comparison(first, second, second - first, low, high, p_value)
