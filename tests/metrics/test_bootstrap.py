from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kerasft.metrics import bootstrap
from kerasft.metrics.calibration import CalibrationResampler, compute_ece


@pytest.mark.parametrize(("num_examples", "samples"), [(1, 5), (7, 100), (300_000, 3), (1000, 450)])
def test_every_resample_holds_as_many_examples_as_there_are(num_examples, samples):
    blocks = list(bootstrap.iterate_resample_counts(num_examples, samples, seed=0))
    assert sum(len(block) for block in blocks) == samples
    for block in blocks:
        assert block.shape[1] == num_examples
        assert (block.sum(axis=1) == num_examples).all()


def test_counts_are_those_of_drawing_with_replacement():
    counts = np.concatenate(list(bootstrap.iterate_resample_counts(50, 4000, seed=1)))
    assert counts.mean() == 1.0
    assert counts.var() == pytest.approx(1 - 1 / 50, rel=0.02)
    assert (counts == 0).mean() == pytest.approx((1 - 1 / 50) ** 50, rel=0.02)
    assert abs(np.corrcoef(counts[:-1, 3], counts[1:, 3])[0, 1]) < 0.05


def test_intervals_of_constant_or_undefined_values_are_none():
    assert bootstrap.compute_percentile_interval(np.full(10, 0.5)) is None
    assert bootstrap.compute_percentile_interval(np.full(10, np.nan)) is None
    assert bootstrap.compute_percentile_interval(np.array([np.nan, 1.0, 2.0])) == pytest.approx(
        (1.025, 1.975)
    )


def test_a_share_that_resamples_exceed_has_its_lower_end_lower_by_twice_as_much():
    compute, resamples = bootstrap.compute_lowered_interval, np.linspace(0.5, 0.7, 1001)
    assert compute(0.57, resamples) == pytest.approx((0.505 - 2 * 0.03, 0.695))
    assert compute(0.63, resamples) == pytest.approx((0.505, 0.695))
    assert compute(0.75, resamples) == pytest.approx((0.505, 0.75))
    assert compute(0.1, resamples)[0] == 0.0
    assert compute(0.5, np.full(10, 0.5)) is None


def test_a_distance_lies_within_its_interval_and_above_its_lower_end_by_more():
    resamples, noise = np.linspace(0.3, 0.5, 1001), np.linspace(0.0, 0.1, 1001)
    compute = bootstrap.compute_distance_interval
    assert compute(0.4, resamples, noise) == pytest.approx((0.305, 0.495))
    assert compute(0.4, resamples, noise + 0.4) == pytest.approx((0.0, 0.495))
    # a value below nearly all its resamples: the lower end gives their excess back, the upper end does not
    assert compute(0.31, resamples, noise) == pytest.approx((0.125, 0.405))
    assert compute(0.2, resamples, noise) == pytest.approx((0.0, 0.295))
    assert compute(0.4, np.full(9, 0.4), noise) is None


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.05, 0.15])
def test_intervals_of_ece_hold_a_known_truth_and_do_not_end_at_the_estimate(shift):
    draws, held, inside = 100, 0, 0
    for seed in range(draws):
        generator = np.random.default_rng(seed)
        sure = 0.65 + 0.35 * generator.beta(4, 1.2, 200)
        right = generator.random(200) < sure - shift
        probabilities, labels = np.stack([sure, 1 - sure], 1), np.where(right, 0, 1)
        value = compute_ece(probabilities, labels)
        resampler = CalibrationResampler(probabilities, labels)
        blocks = [resampler.resample(counts) for counts in bootstrap.iterate_resample_counts(200, 200, seed)]
        low, high = bootstrap.compute_distance_interval(
            value, *map(np.concatenate, zip(*blocks, strict=True))
        )
        held += low <= shift <= high
        inside += low < value < high
    assert held >= 0.9 * draws
    assert inside == draws


@pytest.mark.parametrize("trials", [1, 10, 500])
def test_boundary_intervals_are_clopper_and_pearsons(trials):
    exact = stats.binomtest(trials, trials).proportion_ci(0.95, "exact")
    assert bootstrap.compute_boundary_interval(1.0, trials) == pytest.approx((exact.low, exact.high))
    exact = stats.binomtest(0, trials).proportion_ci(0.95, "exact")
    assert bootstrap.compute_boundary_interval(0.0, trials) == pytest.approx((exact.low, exact.high))
