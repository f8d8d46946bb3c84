"""Figures of several labels an example: scikit-learn as the oracle, intervals, and what is left undefined."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as oracle

from kerasft.errors import DataError
from kerasft.metrics.average_precision import AveragePrecision
from kerasft.metrics.figures import MULTI_LABEL
from kerasft.metrics.multi_label import compute_multi_label_figures


def name_labels(count: int) -> list[str]:
    return [f"c{index}" for index in range(count)]


def draw(examples: int, classes: int, seed: int = 0, skill: float = 1.2) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    references = generator.random((examples, classes)) < generator.uniform(0.1, 0.6, classes)
    logits = generator.normal(size=(examples, classes)) + skill * (2.0 * references - 1.0)
    return 1.0 / (1.0 + np.exp(-logits)), references.astype(np.uint8)


def compute_oracle(probabilities: np.ndarray, references: np.ndarray) -> dict[str, float]:
    """Without what is undefined."""
    predicted = (probabilities >= 0.5).astype(int)
    held = references.astype(int)
    names = name_labels(held.shape[1])
    found: dict[str, float] = {
        "accuracy": oracle.accuracy_score(held, predicted),
        "hamming_loss": oracle.hamming_loss(held, predicted),
        "log_loss": np.mean(
            [oracle.log_loss(held[:, k], probabilities[:, k], labels=[0, 1]) for k in range(len(names))]
        ),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for average in ("micro", "macro", "weighted"):
            scores = oracle.precision_recall_fscore_support(
                held, predicted, average=average, zero_division=np.nan
            )
            found |= dict(
                zip((f"{average}_{k}" for k in ("precision", "recall", "f1")), scores, strict=False)
            )
        by_class = oracle.precision_recall_fscore_support(held, predicted, zero_division=np.nan)
        for kind, values in zip(("precision", "recall", "f1", "support"), by_class, strict=True):
            found |= {f"{kind}/{name}": value for name, value in zip(names, values, strict=True)}
    for kind in ("precision", "recall", "f1"):
        defined = [found[f"support/{name}"] for name in names if np.isfinite(found[f"{kind}/{name}"])]
        if not sum(defined):  # a mean of nothing, for which scikit-learn has a convention
            found.pop(f"weighted_{kind}")
    ranked = [k for k in range(len(names)) if held[:, k].any()]
    for k in ranked:
        found[f"average_precision/{names[k]}"] = oracle.average_precision_score(
            held[:, k], probabilities[:, k]
        )
    if ranked:
        found["mean_average_precision"] = np.mean([found[f"average_precision/{names[k]}"] for k in ranked])
    told_apart = [k for k in ranked if not held[:, k].all()]
    if told_apart:
        areas = [oracle.roc_auc_score(held[:, k], probabilities[:, k]) for k in told_apart]
        found["roc_auc"] = np.mean(areas)
    found["examples"] = len(held)
    return {name: value for name, value in found.items() if np.isfinite(value)}


def assert_equal(figures, expected) -> None:
    assert set(figures) == set(expected)
    for name, value in expected.items():
        assert figures[name]["value"] == pytest.approx(value, rel=1e-9, abs=1e-9), name


@pytest.mark.parametrize(("examples", "classes"), [(300, 3), (200, 12), (1, 2)])
def test_figures_equal_scikit_learns(examples, classes):
    probabilities, references = draw(examples, classes)
    figures = compute_multi_label_figures(
        probabilities, references, name_labels(classes), bootstrap_samples=0
    )
    assert_equal(figures, compute_oracle(probabilities, references))


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_figures_equal_scikit_learns_on_any_small_case(data):
    shape = data.draw(st.tuples(st.integers(1, 8), st.integers(2, 4)))
    probabilities = data.draw(
        arrays.arrays(np.float64, shape, elements=st.sampled_from([0.01, 0.3, 0.5, 0.7, 0.99]))
    )
    references = data.draw(arrays.arrays(np.uint8, shape, elements=st.integers(0, 1)))
    figures = compute_multi_label_figures(
        probabilities, references, name_labels(shape[1]), bootstrap_samples=0
    )
    assert_equal(figures, compute_oracle(probabilities, references))


def test_a_label_that_no_example_has_is_left_out_of_the_means():
    probabilities, references = draw(100, 3)
    references[:, 1] = 0
    figures = compute_multi_label_figures(probabilities, references, name_labels(3), bootstrap_samples=20)
    assert figures["support/c1"] == {"value": 0}
    assert {"recall/c1", "average_precision/c1"}.isdisjoint(figures)
    assert figures["f1/c1"]["value"] == 0.0
    means = [figures[f"average_precision/c{k}"]["value"] for k in (0, 2)]
    assert figures["mean_average_precision"]["value"] == pytest.approx(np.mean(means))


def test_nothing_held_and_nothing_predicted_leaves_no_nan():
    figures = compute_multi_label_figures(np.full((5, 2), 0.1), np.zeros((5, 2), int), ["a", "b"])
    assert {name.split("/")[0] for name in figures} == {
        "examples",
        "accuracy",
        "hamming_loss",
        "log_loss",
        "support",
    }
    assert figures["accuracy"]["value"] == 1.0
    assert figures["accuracy"]["low"] == pytest.approx(0.025 ** (1 / 5))
    assert figures["hamming_loss"]["high"] == pytest.approx(1 - 0.025 ** (1 / 5))


def test_intervals_hold_the_value_and_follow_from_the_seed():
    probabilities, references = draw(250, 4)
    figures = compute_multi_label_figures(probabilities, references, name_labels(4), bootstrap_samples=200)
    for name, figure in figures.items():
        if name != "examples" and not name.startswith("support/"):
            assert figure["low"] <= figure["value"] <= figure["high"], name
    assert figures == compute_multi_label_figures(
        probabilities, references, name_labels(4), bootstrap_samples=200
    )
    assert figures != compute_multi_label_figures(
        probabilities, references, name_labels(4), bootstrap_samples=200, seed=1
    )


def test_a_resample_s_figures_are_those_of_the_examples_drawn():
    probabilities, references = draw(60, 3)
    probabilities = probabilities.round(1)  # ties
    counts = np.random.default_rng(0).multinomial(60, np.full(60, 1 / 60), size=5).astype(float)
    ranking = AveragePrecision(probabilities, references.astype(bool), samples=5)
    assert ranking.exact
    for row, found in zip(counts, ranking.resample(counts), strict=True):
        rows = np.repeat(np.arange(60), row.astype(int))
        expected = [
            oracle.average_precision_score(references[rows, k], probabilities[rows, k]) for k in range(3)
        ]
        assert found == pytest.approx(expected)


def test_resamples_of_many_examples_are_right_to_first_order():
    probabilities, references = draw(4000, 2)
    probabilities = probabilities.round(2)
    counts = np.random.default_rng(0).multinomial(4000, np.full(4000, 1 / 4000), size=40).astype(float)
    exact = AveragePrecision(probabilities, references.astype(bool)).resample(counts)
    ranking = AveragePrecision(probabilities, references.astype(bool), samples=10**6)
    assert not ranking.exact
    fast = ranking.resample(counts)
    assert np.abs(fast - exact).max() < 0.25 * exact.std(axis=0).min()


@pytest.mark.parametrize(
    ("probabilities", "references", "error"),
    [
        (np.zeros((0, 2)), np.zeros((0, 2), int), DataError),
        (np.full((2, 2), np.nan), np.zeros((2, 2), int), DataError),
        (np.full((2, 2), 1.5), np.zeros((2, 2), int), DataError),
        (np.zeros((2, 2)), np.full((2, 2), 2), ValueError),
        (np.zeros((2, 2)), np.zeros((2, 3), int), ValueError),
        (np.zeros((2, 2)), np.zeros(2, int), ValueError),
        (np.zeros((2, 3)), np.zeros((2, 3), int), ValueError),
    ],
)
def test_what_cannot_be_measured_is_refused(probabilities, references, error):
    with pytest.raises(error):
        compute_multi_label_figures(probabilities, references, ["a", "b"])


def test_every_figure_that_an_epoch_can_be_chosen_by_is_computed():
    probabilities, references = draw(40, 3)
    figures = compute_multi_label_figures(probabilities, references, name_labels(3), bootstrap_samples=0)
    assert {name for name in figures if "/" not in name} == {kind.name for kind in MULTI_LABEL}


def test_of_a_loss_less_is_better():
    assert not MULTI_LABEL.higher_is_better("hamming_loss")
    assert MULTI_LABEL.higher_is_better("mean_average_precision")
