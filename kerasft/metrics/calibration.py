"""Calibration of probabilities: reliability bins and the expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DEFAULT_BINS = 15


@dataclass(frozen=True, kw_only=True)
class ReliabilityBins:
    """Equal-width bins of the top probability; bin i holds those in (edges[i], edges[i + 1]].

    Attributes:
        edges: float64 (bins + 1,), from 0 to 1.
        counts: int64 (bins,), examples in each bin.
        confidence: float64 (bins,), mean top probability; NaN where the bin is empty.
        accuracy: float64 (bins,), share of examples whose top label is right; NaN where the bin is empty.
        low: float64 (bins,), lower end of the accuracy's 95 % Wilson interval; NaN where the bin is empty.
        high: float64 (bins,), its upper end.
    """

    edges: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    low: np.ndarray
    high: np.ndarray


def compute_bin_indices(top_probability: np.ndarray, bins: int = DEFAULT_BINS) -> np.ndarray:
    """The bin, in [0, bins), of each top probability; a value on an edge belongs to the bin below it.

    Args:
        top_probability: float (examples,), in [0, 1].
        bins: number of equal-width bins.

    Returns:
        int64 (examples,).
    """
    scaled = np.ceil(np.asarray(top_probability, np.float64) * bins).astype(np.int64)
    return np.clip(scaled - 1, 0, bins - 1)


def compute_wilson_interval(successes: np.ndarray, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % Wilson score interval of a proportion; NaN where there are no trials.

    Args:
        successes: number (…,), in [0, trials].
        trials: number (…,).

    Returns:
        (low, high), float64 (…,).

    Source: Wilson 1927, J. Am. Stat. Assoc. 22:209–212.
    """
    z = 1.959963984540054
    trials = np.where(np.asarray(trials) > 0, trials, np.nan)
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    # At 0 and 1 the ends meet the share itself, but for rounding.
    return np.clip(centre - half, 0.0, share), np.clip(centre + half, share, 1.0)


def compute_reliability_bins(
    probabilities: np.ndarray, labels: np.ndarray, bins: int = DEFAULT_BINS
) -> ReliabilityBins:
    """Groups examples by the probability of their top label, and counts how often that label is right.

    Args:
        probabilities: float (examples, classes), rows sum to 1.
        labels: int (examples,), ids in [0, classes).
        bins: number of equal-width bins.

    Source: Guo et al. 2017, arXiv:1706.04599, section 2.
    """
    top = probabilities.max(axis=1).astype(np.float64)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    index = compute_bin_indices(top, bins)
    counts = np.bincount(index, minlength=bins)
    right_counts = np.bincount(index, right, minlength=bins)
    divisor = np.where(counts > 0, counts, np.nan)
    low, high = compute_wilson_interval(right_counts, counts)
    return ReliabilityBins(
        edges=np.linspace(0.0, 1.0, bins + 1),
        counts=counts,
        confidence=np.bincount(index, top, minlength=bins) / divisor,
        accuracy=right_counts / divisor,
        low=low,
        high=high,
    )


def compute_ece(probabilities: np.ndarray, labels: np.ndarray, bins: int = DEFAULT_BINS) -> float:
    """Expected calibration error: how far confidence is from accuracy, averaged over examples.

        ECE = Σ_b (n_b / n) · |accuracy_b − confidence_b|

    over `bins` equal-width bins b of the top probability; n_b of the n examples fall into bin b, accuracy_b is
    the share of them whose top label is right, confidence_b their mean top probability. 0 is perfect; 0.05
    says that probabilities are off by 5 percentage points on average. With few examples it is biased upwards.

    Args:
        probabilities: float (examples, classes), rows sum to 1.
        labels: int (examples,), ids in [0, classes).
        bins: number of equal-width bins.

    Source: Naeini et al. 2015 (AAAI), as in Guo et al. 2017, arXiv:1706.04599.
    """
    index, residuals = _compute_residuals(probabilities, labels, bins)
    return float(np.abs(np.bincount(index, residuals, minlength=bins)).sum() / len(labels))


def _compute_residuals(
    probabilities: np.ndarray, labels: np.ndarray, bins: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each example's bin, and whether its top label is right less the probability of it."""
    top = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    return compute_bin_indices(top, bins), right - top


class CalibrationResampler:
    """ECE of resamples; arguments as in `compute_ece`."""

    def __init__(self, probabilities: np.ndarray, labels: np.ndarray, bins: int = DEFAULT_BINS):
        index, residuals = _compute_residuals(probabilities, labels, bins)
        self._order = np.argsort(index, kind="stable")
        self._residuals = residuals[self._order]
        self._starts = np.flatnonzero(np.diff(index[self._order], prepend=-1))
        self._observed = np.add.reduceat(self._residuals, self._starts)

    def resample(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ECE of resamples, and how much of it is resampling's own.

        Args:
            counts: float64 (resamples, examples), how often each example counts.

        Returns:
            ECE and Σ_b |resampled − observed difference of bin b|, float64 (resamples,) each.
        """
        sums = np.add.reduceat(counts[:, self._order] * self._residuals, self._starts, axis=1)
        num_examples = len(self._order)
        return np.abs(sums).sum(axis=1) / num_examples, np.abs(sums - self._observed).sum(
            axis=1
        ) / num_examples
