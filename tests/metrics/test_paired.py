"""The paired bootstrap of two models: worked by hand, against all resamples there are, and what holds of any two."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.metrics.classification import ClassificationMeasure, compute_classification_figures
from kerasft.metrics.entities import EntityMeasure, measure_entities
from kerasft.metrics.multi_label import MultiLabelMeasure, compute_multi_label_figures
from kerasft.metrics.paired import compare_measures

NAMES = ("a", "b", "c")


def measure_answers(labels, answers, samples: int = 0, sure: float = 0.8) -> ClassificationMeasure:
    """A model that gives its answers this probability."""
    probabilities = np.full((len(labels), len(NAMES)), (1 - sure) / 2)
    probabilities[np.arange(len(labels)), answers] = sure
    return ClassificationMeasure(probabilities, np.array(labels), NAMES, samples)


def draw_measures(seed: int, kind: str, samples: int, examples: int = 30):
    """Two models' measures on the same examples, and their figures by the functions that measure one alone."""
    random = np.random.default_rng(seed)
    shape = examples, len(NAMES)
    if kind == "entities":

        def draw():
            return [
                [(at, at + 2, int(random.integers(3))) for at in (0, 3, 6) if random.random() < 0.5]
                for _ in range(examples)
            ]

        gold, sides = draw(), (draw(), draw())
        return (
            [EntityMeasure(gold, side, NAMES) for side in sides],
            [measure_entities(gold, side, NAMES, bootstrap_samples=0) for side in sides],
        )
    logits = random.normal(size=(2, *shape))
    if kind == "multi_label":
        held, sides = random.integers(0, 2, shape), 1 / (1 + np.exp(-logits))
        return (
            [MultiLabelMeasure(side, held, NAMES, samples) for side in sides],
            [compute_multi_label_figures(side, held, NAMES, bootstrap_samples=0) for side in sides],
        )
    labels, sides = random.integers(0, 3, examples), np.exp(logits)
    sides = sides / sides.sum(-1, keepdims=True)
    return (
        [ClassificationMeasure(side, labels, NAMES, samples) for side in sides],
        [compute_classification_figures(side, labels, NAMES, bootstrap_samples=0) for side in sides],
    )


KINDS = ("classification", "multi_label", "entities")


def test_differences_worked_by_hand() -> None:
    labels = [0, 0, 1, 1]
    first, second = measure_answers(labels, [0, 1, 1, 0], 200), measure_answers(labels, [0, 0, 1, 0], 200)
    compared = compare_measures(first, second, samples=200)
    accuracy = compared["accuracy"]
    assert accuracy[:3] == (0.5, 0.75, 0.25)
    assert (accuracy.low, accuracy.high) == (0.0, 0.75)
    # F1 of a: 2/(2 + 2) and 2·2/(2 + 3)
    assert compared["f1/a"].difference == pytest.approx(4 / 5 - 1 / 2)
    # −ln 0.8 where it is right, −ln 0.1 elsewhere
    assert compared["log_loss"].difference == pytest.approx(-(np.log(8.0)) / 4)
    assert "recall/c" not in compared
    assert "precision/c" not in compared


def test_all_resamples_of_four_examples_are_the_oracle() -> None:
    labels, answers = [0, 0, 1, 1], ([0, 1, 1, 0], [0, 0, 1, 2])
    right = [np.array(labels) == np.array(one) for one in answers]
    drawn = np.array(list(itertools.product(range(4), repeat=4)))
    differences = right[1][drawn].mean(1) - right[0][drawn].mean(1)
    samples = 20_000
    found = compare_measures(*(measure_answers(labels, one, samples) for one in answers), samples=samples)
    accuracy = found["accuracy"]
    assert (accuracy.low, accuracy.high) == tuple(np.percentile(differences, (2.5, 97.5)))
    expected = 2 * min((differences <= 0).mean(), (differences >= 0).mean())
    assert 0.3 < expected < 1
    assert accuracy.p_value == pytest.approx(expected, abs=4 / np.sqrt(samples))


def test_what_is_hard_for_both_does_not_hide_a_difference() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 400)
    answers = np.where(random.random(400) < 0.3, 1 - labels, labels)
    better = np.where(random.random(400) < 0.05, labels, answers)
    alone = [measure_answers(labels, one, 500).draw(500, 0)["accuracy"] for one in (answers, better)]
    accuracy = compare_measures(
        measure_answers(labels, answers, 500), measure_answers(labels, better, 500), samples=500
    )
    accuracy = accuracy["accuracy"]
    assert 0 < accuracy.low <= accuracy.difference <= accuracy.high
    assert accuracy.p_value < 0.05
    assert np.percentile(alone[0], 97.5) > np.percentile(alone[1], 2.5)


def test_a_model_without_a_difference_is_seldom_told_apart() -> None:
    told = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        labels = random.integers(0, 2, 150)
        one, other = (np.where(random.random(150) < 0.3, 1 - labels, labels) for _ in range(2))
        measures = [measure_answers(labels, answers, 200) for answers in (one, other)]
        told += compare_measures(*measures, samples=200, seed=seed)["accuracy"].p_value < 0.05
    assert told <= 11  # of Binomial(100, 0.05) 99.6 % lie there


@settings(deadline=None, max_examples=8)
@given(st.integers(0, 2**32 - 1), st.sampled_from(KINDS))
def test_of_any_two_models(seed: int, kind: str) -> None:
    (first, second), figures = draw_measures(seed, kind, 40)
    compared = compare_measures(first, second, samples=40, seed=seed)
    assert compared
    for name, one in compared.items():
        assert (one.first, one.second) == tuple(side[name]["value"] for side in figures)
        assert 0 < one.p_value <= 1
    assert compare_measures(first, second, samples=40, seed=seed) == compared
    for name, back in compare_measures(second, first, samples=40, seed=seed).items():
        one = compared[name]
        assert (back.difference, back.p_value) == (-one.difference, one.p_value)
        if one.low is not None:
            assert (back.low, back.high) == pytest.approx((-one.high, -one.low), abs=1e-12)
    for one in compare_measures(first, first, samples=40, seed=seed).values():
        assert one[2:] == (0.0, None, None, 1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_paired_by_their_numbers_however_a_measure_sorts_them(kind: str) -> None:
    (first, second), _ = draw_measures(3, kind, 10)
    counts = np.random.default_rng(0).multinomial(30, np.full(30, 1 / 30), 10).astype(float)
    for measure in (first, second):
        found = measure.resample(counts[:, measure.order])
        ones = measure.resample(np.ones((1, 30))[:, measure.order])
        for name, value in measure.values.items():
            np.testing.assert_allclose(ones[name][0], value, atol=1e-12)
        assert set(measure.values) <= set(found)
    # counts that leave all but the first half out give the figures of that half
    half = np.repeat([[2.0, 0.0]], 15, axis=1)
    if kind == "entities":
        gold = [[(0, 1, 0)]] * 15 + [[(0, 1, 1)]] * 15
        measure = EntityMeasure(gold, [[(0, 1, 0)]] * 30, NAMES)
        assert measure.resample(half[:, measure.order])["f1"][0] == 1.0
    elif kind == "classification":
        measure = measure_answers([1] * 15 + [0] * 15, [1] * 15 + [2] * 15, 1)
        assert measure.resample(half[:, measure.order])["accuracy"][0] == 1.0


def test_other_numbers_of_examples_are_refused() -> None:
    with pytest.raises(ValueError, match="the same examples, got 2 and 3"):
        compare_measures(
            measure_answers([0, 1], [0, 1], 5), measure_answers([0, 1, 1], [0, 1, 1], 5), samples=5
        )
