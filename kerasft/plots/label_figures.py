"""Precision and recall of each label: where a classifier of several labels is wrong, and in which way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from kerasft.plots.style import (
    BLUE,
    INK,
    ORANGE,
    build_percent_formatter,
    draw_grid,
    in_house_style,
    new_figure,
    shorten_label,
)

_KINDS = (
    ("precision", "share of predictions that are right (precision)", BLUE),
    ("recall", "share of true labels that are found (recall)", ORANGE),
)


@in_house_style
def build_label_figures_figure(
    precision: np.ndarray,
    recall: np.ndarray,
    support: np.ndarray,
    label_names: Sequence[str],
    *,
    max_labels: int = 40,
) -> Figure:
    """Two bars a label.

    Args:
        precision: float (classes,); NaN, and no bar, where a label is never predicted.
        recall: float (classes,); NaN, and no bar, where a label never holds.
        support: (classes,), how many examples have the label.
        label_names: the labels, in the order of the bars; above `max_labels` the most frequent are shown.
        max_labels: most pairs of bars.
    """
    shown = np.sort(np.argsort(-np.asarray(support), kind="stable")[:max_labels])
    figure = new_figure(6.4, 1.1 + 0.44 * len(shown))
    axes = figure.add_subplot()
    places = np.arange(len(shown))
    for position, (values, (name, meaning, color)) in enumerate(
        zip((precision, recall), _KINDS, strict=True)
    ):
        bars = np.nan_to_num(np.asarray(values, np.float64)[shown])
        axes.barh(places + (position - 0.5) * 0.4, bars, height=0.36, color=color, label=f"{name}: {meaning}")
    names = [f"{shorten_label(label_names[index])} ({int(support[index]):,})" for index in shown]
    axes.set_yticks(places, names, parse_math=False, color=INK)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0.0, 1.0)
    axes.xaxis.set_major_formatter(build_percent_formatter())
    if len(shown) < len(label_names):
        axes.set_xlabel(f"the {len(shown)} most frequent of {len(label_names)} labels")
    draw_grid(axes, "x")
    figure.legend(loc="outside upper left", ncols=1)
    return figure
