"""Figures of language models, by hand and against the definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kerasft.metrics.language import LanguageMeasure, measure_language
from kerasft.metrics.paired import compare_measures

# log_loss, right, predicted, tokens, bytes
TWO = np.array([[3.0, 1, 2, 10, 40], [5.0, 2, 2, 20, 60]])


def test_figures_worked_by_hand() -> None:
    figures = measure_language(TWO)
    # a scored token of the first stands for 5 tokens, one of the second for 10
    assert figures["log_loss"]["value"] == pytest.approx((5 * 3 + 10 * 5) / 30)
    assert figures["perplexity"]["value"] == pytest.approx(math.exp(65 / 30))
    assert figures["accuracy"]["value"] == pytest.approx((5 * 1 + 10 * 2) / 30)
    # 65 / 30 nats a token, 30 tokens in 100 bytes
    assert figures["bits_per_byte"]["value"] == pytest.approx(65 / 30 / math.log(2) * 0.3)
    assert [figures[name]["value"] for name in ("examples", "tokens", "predicted_tokens")] == [2, 30, 4]


def test_a_uniform_guess_over_bytes_has_8_bits_per_byte() -> None:
    counts = np.array([[1000 * math.log(256), 0, 1000, 1000, 1000]])
    figures = measure_language(counts)
    assert figures["bits_per_byte"]["value"] == pytest.approx(8)
    assert figures["perplexity"]["value"] == pytest.approx(256)


def test_short_documents_do_not_weigh_more_than_their_tokens() -> None:
    short = np.tile([10.0, 0, 1, 1, 4], (100, 1))
    long = np.array([[15 * 2.0, 15, 15, 100, 400]])
    figures = measure_language(np.concatenate([short, long]))
    assert figures["log_loss"]["value"] == pytest.approx((100 * 10 + 100 * 2) / 200)
    assert figures["accuracy"]["value"] == pytest.approx(0.5)


def test_documents_without_tokens_count_and_change_nothing() -> None:
    empty = np.array([[0.0, 0, 0, 0, 0]])
    before, after = measure_language(TWO), measure_language(np.concatenate([TWO, empty]))
    assert after.pop("examples")["value"] == 3
    before.pop("examples")
    assert before == after
    assert set(measure_language(empty)) == {"examples", "tokens", "predicted_tokens"}


def test_intervals_are_over_documents() -> None:
    generator = np.random.default_rng(0)
    predicted = generator.integers(5, 50, 200)
    losses = predicted * generator.normal(4.0, 0.5, 200)
    counts = np.stack([losses, predicted // 3, predicted, predicted * 7, predicted * 30], 1)
    figures = measure_language(counts, bootstrap_samples=500, seed=1)
    for name in ("log_loss", "perplexity", "bits_per_byte"):
        assert figures[name]["low"] < figures[name]["value"] < figures[name]["high"]
    # the ratio estimator's standard error, by the delta method
    mean = losses.sum() / predicted.sum()
    error = np.std(losses - mean * predicted) / predicted.mean() / math.sqrt(200)
    width = figures["log_loss"]["high"] - figures["log_loss"]["low"]
    assert width == pytest.approx(2 * 1.96 * error, rel=0.2)
    assert measure_language(counts, bootstrap_samples=500, seed=1) == figures
    assert "low" not in measure_language(counts[:1], bootstrap_samples=50)["log_loss"]


def test_tokenizers_of_other_lengths_are_compared_by_bits_per_byte() -> None:
    """Halving a text's tokens at twice the loss each tells the same about its bytes."""
    generator = np.random.default_rng(0)
    losses = generator.normal(4.0, 0.5, 100) * 10
    tens = np.full(100, 10)
    one = LanguageMeasure(np.stack([losses, tens // 2, tens, 20 * tens, 100 * tens], 1))
    other = LanguageMeasure(np.stack([2 * losses, tens // 2, tens, 10 * tens, 100 * tens], 1))
    compared = compare_measures(one, other, samples=100)
    assert compared["bits_per_byte"].difference == pytest.approx(0, abs=1e-12)
    assert compared["log_loss"].difference == pytest.approx(4.0, rel=0.05)
