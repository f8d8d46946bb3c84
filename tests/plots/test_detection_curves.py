"""Curves of detectors: few points are drawn of many scores, and names are text."""

from __future__ import annotations

import numpy as np

from kerasft.metrics.detection.curves import Curve
from kerasft.plots.detection_curves import (
    build_confidence_figure,
    build_error_costs_figure,
    build_precision_recall_figure,
)
from kerasft.plots.style import figure_to_png

COUNT = 200_000
THRESHOLDS = np.linspace(1.0, 0.0, COUNT)
CURVE = Curve(THRESHOLDS, THRESHOLDS**0.5, 1.0 - THRESHOLDS**2, THRESHOLDS * (1.0 - THRESHOLDS))


def test_a_thousand_points_of_many_follow_the_curve() -> None:
    axes = build_confidence_figure(CURVE, 0.5).axes[0]
    precision = axes.lines[0]
    places, values = np.array(precision.get_xdata()), np.array(precision.get_ydata())
    assert 900 < len(places) <= 1001
    np.testing.assert_allclose(values, places**0.5, atol=1e-12)
    assert places.min() == 0.0
    assert places.max() == 1.0
    assert [line.get_label() for line in axes.lines][-1] == "threshold 0.50"


def test_the_most_frequent_classes_have_lines_and_their_names_are_no_formulas() -> None:
    names = [f"class ${place}$" for place in range(9)]
    support = np.array([5, 0, 9, 1, 8, 7, 6, 3, 2])
    figure = build_precision_recall_figure([CURVE] * 9, support, names)
    lines = figure.axes[0].lines
    assert [str(line.get_label()) for line in lines] == [
        rf"class \${place}\$ ({support[place]})" for place in (2, 4, 5, 6, 0, 7)
    ]
    assert all(line.get_xdata()[0] == 0.0 and len(line.get_xdata()) <= 1002 for line in lines)
    assert figure.legends[0].get_title().get_text() == "the 6 most frequent of 8 classes"
    assert figure_to_png(figure).startswith(b"\x89PNG")


def test_a_class_whose_name_begins_with_an_underscore_is_in_the_legend() -> None:
    figure = build_precision_recall_figure([CURVE] * 2, np.array([1, 2]), ["_blob", "cell"])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["cell (2)", "_blob (1)"]


def test_each_kind_of_error_has_a_bar() -> None:
    costs = {"class": 0.02, "place": 0.1, "both": 0.0, "duplicate": 0.01, "background": 0.05, "missed": 0.3}
    axes = build_error_costs_figure(costs).axes[0]
    assert [bar.get_width() for bar in axes.patches] == list(costs.values())
    assert [label.get_text() for label in axes.get_yticklabels()][-1] == "object missed"
    assert [text.get_text() for text in axes.texts] == ["2.0", "10.0", "0.0", "1.0", "5.0", "30.0"]
