from __future__ import annotations

import math

import numpy as np
import pytest

from kerasft.metrics import calibration, classification


def test_ece_by_hand():
    # Bins of width 0.25: 0.6 and 0.7 fall into (0.5, 0.75], one of two right; 0.9 into (0.75, 1], right.
    probabilities = np.array([[0.6, 0.4], [0.3, 0.7], [0.9, 0.1]])
    labels = np.array([0, 0, 0])
    expected = 2 / 3 * abs(0.5 - 0.65) + 1 / 3 * abs(1.0 - 0.9)
    assert calibration.compute_ece(probabilities, labels, bins=4) == pytest.approx(expected)


def test_a_value_on_an_edge_belongs_to_the_bin_below():
    assert calibration.compute_bin_indices(np.array([0.0, 0.25, 0.26, 0.5, 1.0]), 4).tolist() == [
        0,
        0,
        1,
        1,
        3,
    ]


def test_reliability_bins_hold_every_example_and_agree_with_ece(simulate):
    probabilities, labels = simulate(1000, 5)
    bins = calibration.compute_reliability_bins(probabilities, labels)
    filled = bins.counts > 0
    assert bins.counts.sum() == 1000
    assert np.isnan(bins.accuracy[~filled]).all()
    assert (bins.confidence[filled] > bins.edges[:-1][filled]).all()
    assert (bins.confidence[filled] <= bins.edges[1:][filled]).all()
    assert (bins.low[filled] <= bins.accuracy[filled]).all()
    assert (bins.accuracy[filled] <= bins.high[filled]).all()
    gap = np.abs(bins.accuracy - bins.confidence)[filled]
    expected = (bins.counts[filled] * gap).sum() / 1000
    assert calibration.compute_ece(probabilities, labels) == pytest.approx(expected)


def test_wilson_interval_of_8_in_10():
    # Wilson's own formula by hand: 0.4902 to 0.9433.
    low, high = calibration.compute_wilson_interval(np.array([8.0, 0.0]), np.array([10.0, 0.0]))
    assert (low[0], high[0]) == (pytest.approx(0.49016, abs=1e-5), pytest.approx(0.94332, abs=1e-5))
    assert math.isnan(low[1])


def test_ece_of_a_calibrated_model_has_zero_in_its_interval():
    generator = np.random.default_rng(0)
    held = 0
    for trial in range(20):
        top = generator.uniform(0.5, 1.0, size=1000)
        labels = (generator.uniform(size=1000) > top).astype(int)
        figures = classification.compute_classification_figures(
            np.column_stack([top, 1 - top]), labels, ["a", "b"], bootstrap_samples=200, seed=trial
        )
        held += figures["ece"]["low"] == 0.0
    assert held >= 17
