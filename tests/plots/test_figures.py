"""All figures: they hold what they are of, whatever the data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from kerasft.plots import calibration, confusion, curves, distributions
from kerasft.plots.style import figure_to_png, figure_to_svg


def simulate(num_examples, num_classes, seed=0):
    generator = np.random.default_rng(seed)
    labels = generator.integers(num_classes, size=num_examples)
    logits = generator.normal(size=(num_examples, num_classes))
    logits[np.arange(num_examples), labels] += 2.0
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), labels


def texts_of(axes):
    return [text.get_text() for text in axes.texts]


def test_confusion_matrix_shows_counts_and_row_shares():
    figure = confusion.build_confusion_matrix_figure(
        np.array([[90, 10], [0, 0]]), ["no", "yes"], title="test"
    )
    axes = figure.axes[0]
    assert {"90", "10", "0", "90.0\u202f%", "10.0\u202f%", "0.0\u202f%"} == set(texts_of(axes))
    assert [label.get_text() for label in axes.get_yticklabels() if label.get_text()] == ["no", "yes"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "labelled")
    np.testing.assert_allclose(np.asarray(axes.images[0].get_array()), [[0.9, 0.1], [0.0, 0.0]])


@pytest.mark.parametrize("num_classes", [2, 7, 20, 120])
def test_confusion_matrix_of_any_size_fits_its_figure(num_classes):
    matrix = np.eye(num_classes, dtype=int) * 5 + 1
    names = [f"a rather long name of class number {index}" for index in range(num_classes)]
    figure = confusion.build_confusion_matrix_figure(matrix, names)
    assert figure.get_figwidth() <= 16
    assert len(figure_to_png(figure, dpi=40)) > 1000
    axes = figure.axes[0]
    box = axes.get_tightbbox(FigureCanvasAgg(figure).get_renderer())
    assert box.x0 >= -1
    assert box.y0 >= -1
    assert len(axes.images[0].get_array()) == min(num_classes, 50)


def test_rare_classes_are_merged_and_no_example_is_lost():
    matrix = np.array([[5, 1, 1, 0], [0, 1, 0, 0], [1, 0, 9, 2], [0, 0, 1, 1]])
    merged, names = confusion.merge_small_classes(matrix, ["a", "b", "c", "d"], 3)
    assert names == ["a", "c", "2 others"]
    assert merged.tolist() == [[5, 1, 1], [1, 9, 2], [0, 1, 2]]


@pytest.mark.parametrize(("num_examples", "num_classes"), [(1, 2), (2, 3), (500, 2), (500, 30)])
def test_calibration_histogram_counts_every_example(num_examples, num_classes):
    figure = calibration.build_calibration_figure(*simulate(num_examples, num_classes))
    upper, lower = figure.axes
    assert sum(bar.get_height() for bar in lower.patches) == num_examples
    assert upper.get_ylabel() == "share that is right"
    figure_to_svg(figure)


@pytest.mark.parametrize(("num_examples", "num_classes"), [(1, 2), (300, 2), (300, 9)])
def test_score_histogram_shares_sum_to_one_for_each_kind(num_examples, num_classes):
    probabilities, labels = simulate(num_examples, num_classes)
    figure = distributions.build_score_histogram_figure(probabilities, labels)
    outlines = [patch for patch in figure.axes[0].patches if patch.get_label()]
    right = int((probabilities.argmax(axis=1) == labels).sum())
    expected = [f"right ({right})"] * (right > 0) + [f"wrong ({num_examples - right})"] * (
        right < num_examples
    )
    assert [patch.get_label() for patch in outlines] == expected
    for patch in outlines:
        assert patch.get_data().values.sum() == pytest.approx(1.0)
    figure_to_svg(figure)


def test_label_balance_shows_shares_of_each_split():
    counts = {"train": {"a": 30, "b": 10}, "test": {"a": 1, "b": 1}, "validation": {}}
    figure = distributions.build_label_balance_figure(counts, ["a", "b"])
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == [0.75, 0.25, 0.5, 0.5, 0.0, 0.0]
    assert texts_of(figure.axes[0]) == ["30", "10", "1", "1", "0", "0"]


def test_label_balance_of_many_labels_merges_the_rarest():
    names = [f"label {index}" for index in range(100)]
    counts = {"train": {name: index + 1 for index, name in enumerate(names)}}
    figure = distributions.build_label_balance_figure(counts, names)
    ticks = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(ticks) == 40
    assert ticks[-1] == "61 others"
    assert sum(bar.get_width() for bar in figure.axes[0].patches) == pytest.approx(1.0)


HISTORY = [
    {"step": 10, "epoch": 1, "loss": 0.9, "learning_rate": 1e-5},
    {"step": 20, "epoch": 2, "loss": math.nan, "learning_rate": 5e-6},
    {"step": 30, "epoch": 2, "loss": 0.5, "learning_rate": 0.0},
    {"epoch": 1, "validation_loss": 0.8, "validation_accuracy": 0.7},
    {"epoch": 2, "validation_loss": 0.6, "validation_accuracy": None},
]


def test_epoch_rows_stand_at_the_end_of_their_epoch_and_what_is_not_finite_is_left_out():
    steps, values = curves.select_series(HISTORY, "validation_loss")
    assert (steps.tolist(), values.tolist()) == ([15.0, 30.0], [0.8, 0.6])
    assert curves.select_series(HISTORY, "loss")[0].tolist() == [10.0, 30.0]
    assert curves.select_series(HISTORY[3:], "validation_loss")[0].tolist() == [1.0, 2.0]
    assert curves.select_series([], "loss")[0].size == 0


def test_learning_curves_draw_the_panels_that_have_data():
    assert curves.list_learning_curve_panels(HISTORY) == ["loss", "validation", "learning_rate"]
    assert curves.list_learning_curve_panels(HISTORY[3:]) == ["loss", "validation"]
    assert curves.list_learning_curve_panels([]) == []
    figure = curves.build_learning_curves_figure(HISTORY, best_step=30)
    assert [axes.get_title("left") for axes in figure.axes] == ["Loss", "Validation", "Learning rate"]
    figure_to_svg(figure)
    assert len(curves.build_learning_curves_figure(HISTORY, panels=["loss"]).axes) == 1
    assert curves.build_learning_curves_figure([]).axes == []


def test_what_a_model_is_chosen_by_is_drawn_first_where_figures_are_many():
    names = ["exact_recall", "type_recall", "brier", "ece", "mcc", "roc_auc", "weighted_f1", "recall", "f1"]
    history = [{"epoch": epoch, **{f"validation_{name}": 0.5 for name in names}} for epoch in (1, 2)]

    (axes,) = curves.build_learning_curves_figure(history, panels=["validation"]).axes

    drawn = axes.get_legend_handles_labels()[1]
    assert drawn[:2] == ["f1", "recall"]
    assert len(drawn) < len(names)


def test_the_legend_lies_below_the_axes_where_it_hides_no_curve():
    names = ["f1", "recall", "precision", "token_accuracy", "macro_f1"]
    history = [
        *HISTORY,
        *({"epoch": epoch, **{f"validation_{name}": 0.5 for name in names}} for epoch in (1, 2)),
    ]
    figure = curves.build_learning_curves_figure(history, best_step=30)
    figure.draw_without_rendering()
    for axes in figure.axes[:2]:
        legend, plot = axes.get_legend().get_window_extent(), axes.get_window_extent()
        assert legend.y1 < plot.y0
        assert legend.y0 >= 0


def test_what_the_note_says_of_a_thin_line_is_so():
    def count_lines(steps):
        history = [{"step": step, "loss": 1.0 / (1 + step)} for step in range(steps)]
        (axes,) = curves.build_learning_curves_figure(history).axes
        assert curves.is_smoothed(history) == (len(axes.lines) == 2)
        return len(axes.lines)

    assert count_lines(12) == 1
    assert count_lines(39) == 1
    assert count_lines(40) == 2


def test_log_loss_stands_beside_the_training_loss():
    history = [*HISTORY[:3], {"epoch": 2, "step": 30, "validation_log_loss": 0.6, "validation_accuracy": 0.8}]
    loss, validation, _ = curves.build_learning_curves_figure(history).axes
    assert loss.get_legend_handles_labels()[1] == ["train", "validation"]
    assert validation.get_legend_handles_labels()[1] == ["accuracy"]


def test_figures_without_a_scale_have_a_panel_of_their_own():
    row = {"epoch": 2, "validation_log_loss": 3.0, "validation_perplexity": 20.1, "validation_accuracy": 0.4}
    history = [*HISTORY[:3], row]
    unbounded = ["perplexity", "log_loss", "bits_per_byte"]
    panels = curves.list_learning_curve_panels(history, unbounded)
    assert panels == ["loss", "validation", "perplexity", "learning_rate"]
    _, validation, perplexity, _ = curves.build_learning_curves_figure(history, unbounded=unbounded).axes
    assert validation.get_legend_handles_labels()[1] == ["accuracy"]
    assert perplexity.get_title("left") == "Perplexity"
    assert perplexity.get_legend_handles_labels()[1] == ["perplexity"]
    assert perplexity.lines[0].get_ydata().tolist() == [20.1]


def test_earlier_phases_lie_on_shaded_ground():
    for axes in curves.build_learning_curves_figure(HISTORY, phase_ends=[7]).axes:
        (shade,) = axes.patches
        assert shade.get_x() == axes.get_xlim()[0] <= 0
        assert shade.get_x() + shade.get_width() == pytest.approx(7)
        assert axes.get_xlim()[1] > 7


def test_smoothing_keeps_a_constant_and_averages_neighbours():
    np.testing.assert_allclose(curves.smooth_values(np.full(7, 2.0), 3), 2.0)
    np.testing.assert_allclose(curves.smooth_values(np.array([0.0, 3.0, 0.0, 3.0]), 3), [1.5, 1.0, 2.0, 1.5])
