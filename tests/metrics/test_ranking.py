from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from kerasft.metrics import bootstrap, ranking


@pytest.mark.parametrize("num_classes", [2, 4])
def test_resampled_areas_equal_scikit_learns_weighted_ones(simulate, num_classes):
    probabilities, labels = simulate(150, num_classes)
    probabilities = np.round(probabilities, 2)  # ties
    area = ranking.RocAuc(probabilities, labels, samples=20)
    counts = next(bootstrap.iterate_resample_counts(150, 20, seed=0))
    classes = [1] if num_classes == 2 else range(num_classes)
    for row, value in zip(counts, area.resample(counts), strict=True):
        expected = np.mean(
            [roc_auc_score(labels == k, probabilities[:, k], sample_weight=row) for k in classes]
        )
        assert value == pytest.approx(expected)


@pytest.mark.parametrize("num_classes", [2, 6])
def test_first_order_areas_are_near_the_exact_ones(simulate, num_classes, monkeypatch):
    probabilities, labels = simulate(12_000, num_classes)
    exact = ranking.RocAuc(probabilities, labels, samples=10)
    monkeypatch.setattr(ranking, "_EXACT_WORK", 0)
    linear = ranking.RocAuc(probabilities, labels, samples=10)
    assert (exact.exact, linear.exact) == (True, False)
    counts = next(bootstrap.iterate_resample_counts(12_000, 10, seed=0))
    expected, found = exact.resample(counts), linear.resample(counts)
    assert np.abs(expected - found).max() < 0.1 * expected.std()


def test_a_resample_of_one_class_has_no_area():
    area = ranking.RocAuc(np.array([[0.3, 0.7], [0.6, 0.4]]), np.array([1, 0]), samples=2)
    values = area.resample(np.array([[2.0, 0.0], [1.0, 1.0]]))
    assert np.isnan(values[0])
    assert values[1] == 1.0
