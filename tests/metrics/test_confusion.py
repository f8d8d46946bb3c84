from __future__ import annotations

import numpy as np

from kerasft.metrics import confusion


def test_weighted_sums_are_those_of_the_repeated_examples():
    generator = np.random.default_rng(0)
    labels, predictions = generator.integers(5, size=60), generator.integers(4, size=60)
    order = confusion.ConfusionCounter.order(labels, predictions)
    labels, predictions = labels[order], predictions[order]
    counts = generator.integers(0, 4, size=(7, 60)).astype(float)
    sums = confusion.ConfusionCounter(labels, predictions, num_classes=6).count(counts)
    for row in range(7):
        repeats = counts[row].astype(int)
        label, prediction = np.repeat(labels, repeats), np.repeat(predictions, repeats)
        np.testing.assert_array_equal(sums.support[row], np.bincount(label, minlength=6))
        np.testing.assert_array_equal(sums.predicted[row], np.bincount(prediction, minlength=6))
        np.testing.assert_array_equal(sums.hits[row], np.bincount(label[label == prediction], minlength=6))
