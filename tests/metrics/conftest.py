"""Simulated classifiers."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def simulate():
    """A function that draws (probabilities float32 (n, classes), labels int64 (n,)) of a fair classifier."""

    def draw(num_examples, num_classes, *, seed=0, skill=1.5, balance=None):
        generator = np.random.default_rng(seed)
        labels = generator.choice(num_classes, size=num_examples, p=balance)
        logits = generator.normal(size=(num_examples, num_classes))
        logits[np.arange(num_examples), labels] += skill
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return probabilities.astype(np.float32), labels

    return draw
