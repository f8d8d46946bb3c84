"""Bars of precision and recall by label."""

from __future__ import annotations

import numpy as np
import pytest

from kerasft.plots.label_figures import build_label_figures_figure
from kerasft.plots.style import figure_to_png


def test_undefined_figures_have_no_bar():
    figure = build_label_figures_figure(
        np.array([0.5, np.nan]), np.array([1.0, np.nan]), np.array([3, 0]), ["a$b", "<c>"]
    )
    assert [bar.get_width() for bar in figure.axes[0].patches] == [0.5, 0.0, 1.0, 0.0]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a$b (3)", "<c> (0)"]


@pytest.mark.parametrize("count", [1, 12, 300])
def test_the_most_frequent_of_many_labels_are_shown(count):
    support = np.arange(count)
    figure = build_label_figures_figure(
        np.ones(count), np.ones(count), support, [f"label {k}" for k in range(count)]
    )
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(names) == min(count, 40)
    assert names[-1] == f"label {count - 1} ({count - 1})"
    assert figure_to_png(figure).startswith(b"\x89PNG")
