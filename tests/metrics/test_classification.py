from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from kerasft.errors import DataError
from kerasft.metrics import classification

SHAPES = [(300, 2), (500, 3), (700, 12)]


@pytest.mark.parametrize(("num_examples", "num_classes"), SHAPES)
def test_figures_equal_scikit_learns(simulate, num_examples, num_classes):
    probabilities, labels = simulate(num_examples, num_classes)
    predictions = probabilities.argmax(axis=1)
    scores = probabilities[:, 1] if num_classes == 2 else probabilities.astype(np.float64)
    if num_classes > 2:
        scores /= scores.sum(axis=1, keepdims=True)
    expected = {
        "accuracy": oracle.accuracy_score(labels, predictions),
        "macro_f1": oracle.f1_score(labels, predictions, average="macro"),
        "weighted_f1": oracle.f1_score(labels, predictions, average="weighted"),
        "mcc": oracle.matthews_corrcoef(labels, predictions),
        "roc_auc": oracle.roc_auc_score(labels, scores, multi_class="ovr"),
        "log_loss": oracle.log_loss(labels, probabilities.astype(np.float64)),
        "brier": oracle.brier_score_loss(labels, scores),
        "examples": num_examples,
    }
    precision, recall, f1, support = oracle.precision_recall_fscore_support(labels, predictions)
    for index in range(num_classes):
        expected |= {
            f"precision/c{index}": precision[index],
            f"recall/c{index}": recall[index],
            f"f1/c{index}": f1[index],
            f"support/c{index}": support[index],
        }
    names = [f"c{index}" for index in range(num_classes)]
    figures = classification.compute_classification_figures(probabilities, labels, names, bootstrap_samples=0)
    assert set(figures) == set(expected) | {"ece"}
    for name, value in expected.items():
        assert figures[name] == {"value": pytest.approx(value, rel=1e-6, abs=1e-7)}, name


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 4), st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12))
def test_confusion_figures_equal_scikit_learns_on_any_small_case(num_classes, pairs):
    labels = np.array([label % num_classes for label, _ in pairs])
    predictions = np.array([prediction % num_classes for _, prediction in pairs])
    probabilities = np.eye(num_classes)[predictions]
    assert classification.compute_mcc(probabilities, labels) == pytest.approx(
        oracle.matthews_corrcoef(labels, predictions), abs=1e-12
    )
    for average in ("macro", "weighted"):
        assert classification.compute_f1(probabilities, labels, average=average) == pytest.approx(
            oracle.f1_score(labels, predictions, average=average, zero_division=0.0)
        )
    np.testing.assert_array_equal(
        classification.compute_confusion_matrix(probabilities, labels),
        oracle.confusion_matrix(labels, predictions, labels=range(num_classes)),
    )
    names = [str(index) for index in range(num_classes)]
    figures = classification.compute_classification_figures(
        probabilities, labels, names, bootstrap_samples=20
    )
    json.dumps(figures, allow_nan=False)
    every = {"accuracy", "macro_f1", "weighted_f1", "mcc", "roc_auc", "log_loss", "brier", "ece", "examples"}
    every |= {f"{kind}/{name}" for kind in ("precision", "recall", "f1", "support") for name in names}
    missing = classification.explain_missing_figures(probabilities, labels, names)
    assert set(figures) | set(missing) == every
    assert not set(figures) & set(missing)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=30))
def test_roc_auc_with_ties_equals_scikit_learns(pairs):
    labels = np.array([int(label) for label, _ in pairs])
    scores = np.array([score / 5 for _, score in pairs])
    value = classification.compute_roc_auc(np.column_stack([1 - scores, scores]), labels)
    if len(set(labels.tolist())) < 2:
        assert math.isnan(value)
    else:
        assert value == pytest.approx(oracle.roc_auc_score(labels, scores))


def test_roc_auc_averages_over_the_classes_present(simulate):
    probabilities, labels = simulate(200, 4, balance=[0.4, 0.3, 0.3, 0.0])
    expected = np.mean([oracle.roc_auc_score(labels == k, probabilities[:, k]) for k in range(3)])
    assert classification.compute_roc_auc(probabilities, labels) == pytest.approx(expected)


def test_a_class_without_examples_leaves_its_recall_out_and_says_so(simulate):
    probabilities, labels = simulate(200, 3, balance=[0.5, 0.5, 0.0])
    names = ["yes", "no", "maybe"]
    figures = classification.compute_classification_figures(probabilities, labels, names)
    assert "recall/maybe" not in figures
    assert figures["support/maybe"] == {"value": 0}
    assert figures["precision/maybe"]["value"] == 0.0
    assert classification.explain_missing_figures(probabilities, labels, names) == {
        "recall/maybe": "no example is labelled 'maybe'"
    }
    json.dumps(figures, allow_nan=False)


def test_one_example_has_no_roc_auc_and_a_wide_accuracy():
    figures = classification.compute_classification_figures(np.array([[0.2, 0.8]]), np.array([1]), ["a", "b"])
    assert figures["accuracy"] == {"value": 1.0, "low": pytest.approx(0.025), "high": 1.0}
    assert figures["log_loss"] == {"value": pytest.approx(-math.log(0.8))}
    assert not {"roc_auc", "mcc", "precision/a", "recall/a", "f1/a"} & set(figures)


def test_perfect_accuracy_has_the_exact_binomial_interval():
    labels = np.arange(100) % 2
    figures = classification.compute_classification_figures(np.eye(2)[labels], labels, ["a", "b"])
    assert figures["accuracy"]["low"] == pytest.approx(0.025 ** (1 / 100))
    assert figures["recall/a"]["low"] == pytest.approx(0.025 ** (1 / 50))


def test_a_probability_of_zero_for_the_label_gives_a_finite_log_loss():
    probabilities = np.array([[1.0, 0.0]], np.float32)
    value = classification.compute_log_loss(probabilities, np.array([1]))
    assert value == pytest.approx(-math.log(np.finfo(np.float32).eps))


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        (np.empty((0, 2)), np.empty(0, int), "no examples"),
        ([[0.5, 0.5], [np.nan, 0.5]], [0, 1], "not finite for 1 of 2 examples, the first of them number 1"),
        ([[np.inf, 0.5]], [0], "not finite"),
        ([[2.0, 3.0]], [0], "not probabilities"),
        ([[-0.5, 1.5]], [0], "not probabilities"),
        ([[0.5, 0.5]], [2], "labels must be in"),
        ([[0.5, 0.5]], [-1], "labels must be in"),
    ],
)
def test_unusable_predictions_are_refused_by_name(probabilities, labels, message):
    with pytest.raises(DataError, match=message):
        classification.compute_classification_figures(np.array(probabilities), np.array(labels), ["a", "b"])


@pytest.mark.parametrize("names", [["a"], ["a", "a"], ["a", "b", "c"]])
def test_label_names_must_fit(names):
    with pytest.raises(ValueError, match="2 different label names"):
        classification.compute_classification_figures(np.array([[0.5, 0.5]]), np.array([0]), names)


def test_shapes_that_disagree_are_refused():
    with pytest.raises(ValueError, match="got shapes"):
        classification.check_predictions(np.ones((3, 2)) / 2, np.array([0]))


def test_intervals_follow_from_the_seed_and_not_from_the_order_of_equal_examples(simulate):
    probabilities, labels = simulate(200, 3)
    names = ["a", "b", "c"]
    first = classification.compute_classification_figures(probabilities, labels, names, seed=1)
    assert first == classification.compute_classification_figures(probabilities, labels, names, seed=1)
    assert first != classification.compute_classification_figures(probabilities, labels, names, seed=2)
    for figure in first.values():
        if "low" in figure:
            assert figure["low"] <= figure["value"] <= figure["high"]


def test_intervals_are_those_of_a_plain_loop_over_resamples(simulate):
    probabilities, labels = simulate(250, 3, seed=3)
    names = ["a", "b", "c"]
    figures = classification.compute_classification_figures(
        probabilities, labels, names, bootstrap_samples=2000
    )
    generator = np.random.default_rng(99)
    plain = {name: [] for name in ("accuracy", "macro_f1", "mcc", "roc_auc", "log_loss", "brier", "recall/b")}
    for _ in range(1000):
        rows = generator.integers(len(labels), size=len(labels))
        values = classification.compute_classification_figures(
            probabilities[rows], labels[rows], names, bootstrap_samples=0
        )
        for name, found in plain.items():
            found.append(values[name]["value"])
    for name, found in plain.items():
        low, high = np.percentile(found, (2.5, 97.5))
        assert figures[name]["low"] == pytest.approx(low, abs=0.15 * (high - low)), name
        assert figures[name]["high"] == pytest.approx(high, abs=0.15 * (high - low)), name


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_claim(simulate):
    names = [str(index) for index in range(4)]
    everything, labels = simulate(400_000, 4, seed=7)
    truth = classification.compute_classification_figures(everything, labels, names, bootstrap_samples=0)
    kept = ("accuracy", "macro_f1", "weighted_f1", "mcc", "roc_auc", "log_loss", "brier", "ece", "f1/1")
    hits = dict.fromkeys(kept, 0)
    trials = 400
    for trial in range(trials):
        rows = slice(trial * 500, trial * 500 + 500)
        figures = classification.compute_classification_figures(
            everything[rows], labels[rows], names, bootstrap_samples=400, seed=trial
        )
        for name in kept:
            hits[name] += figures[name]["low"] <= truth[name]["value"] <= figures[name]["high"]
    # 95 % of 400, give or take three standard errors (1.1 points each) and the bootstrap's own error.
    shares = {name: count / trials for name, count in hits.items()}
    assert all(0.91 <= share <= 0.985 for share in shares.values()), shares
