"""Curves of an object detector: precision by recall, figures by threshold, and what each kind of error costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from matplotlib.figure import Figure

from kerasft.plots.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    PALETTE,
    VERMILION,
    build_percent_formatter,
    draw_grid,
    in_house_style,
    new_figure,
    shorten_label,
)

_POINTS = 1001
"""No more points of a curve are drawn: a split may have a million scores."""
_ERRORS = {
    "class": "wrong class",
    "place": "right class, box does not fit",
    "both": "wrong class, box does not fit",
    "duplicate": "object found already",
    "background": "nothing there",
    "missed": "object missed",
}


class Curve(Protocol):
    """Figures by threshold, the highest first: float (thresholds,) each, as `kerasft.metrics.detection.curves`' are."""

    @property
    def thresholds(self) -> np.ndarray: ...
    @property
    def precision(self) -> np.ndarray: ...
    @property
    def recall(self) -> np.ndarray: ...
    @property
    def f1(self) -> np.ndarray: ...
    @property
    def envelope(self) -> np.ndarray: ...


@in_house_style
def build_precision_recall_figure(
    curves: Sequence[Curve], support: np.ndarray, label_names: Sequence[str]
) -> Figure:
    """Precision by recall at an overlap of 0.5, a line a class; the area below is nearly its AP50.

    Args:
        curves: of each class.
        support: (classes,), gold boxes; classes without any have no line.
        label_names: the classes; where there are more than colours, the most frequent are shown.
    """
    present = np.flatnonzero(np.asarray(support) > 0)
    shown = present[np.argsort(-np.asarray(support)[present], kind="stable")[: len(PALETTE)]]
    figure = new_figure(5.6, 4.6)
    axes = figure.add_subplot()
    for color, index in zip(PALETTE, shown.tolist(), strict=False):
        curve = curves[index]
        points = _thin(curve.recall)
        precision = curve.envelope[points]
        recall = np.concatenate([[0.0], curve.recall[points]])
        precision = np.concatenate([precision[:1] if len(points) else [0.0], precision])
        name = f"{shorten_label(label_names[index])} ({int(support[index]):,})".replace("$", r"\$")
        axes.plot(recall, precision, color=color, drawstyle="steps-pre", label=name)
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.0, 1.02)
    axes.set_xlabel("recall: share of objects that are found")
    axes.set_ylabel("precision: share of boxes that are right")
    axes.xaxis.set_major_formatter(build_percent_formatter())
    axes.yaxis.set_major_formatter(build_percent_formatter())
    draw_grid(axes, "both")
    if len(shown):
        title = (
            "" if len(shown) == len(present) else f"the {len(shown)} most frequent of {len(present)} classes"
        )
        # by itself Matplotlib leaves out names that begin with an underscore
        figure.legend(
            handles=axes.lines, loc="outside lower center", ncols=min(len(shown), 3), title=title or None
        )
    return figure


@in_house_style
def build_confidence_figure(curve: Curve, threshold: float | None = None) -> Figure:
    """Precision, recall and F1 by threshold, all classes together.

    Args:
        curve: of all classes' detections.
        threshold: one to mark.
    """
    figure = new_figure(5.6, 4.0)
    axes = figure.add_subplot()
    points = _thin(-curve.thresholds)
    for name, values, color in (
        ("precision", curve.precision, BLUE),
        ("recall", curve.recall, VERMILION),
        ("F1", curve.f1, GREEN),
    ):
        axes.plot(curve.thresholds[points], values[points], color=color, drawstyle="steps-post", label=name)
    if threshold is not None:
        axes.axvline(threshold, color=MUTED, linewidth=1.0, dashes=(2, 2), label=f"threshold {threshold:.2f}")
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.0, 1.02)
    axes.set_xlabel("score from which on a box counts")
    axes.yaxis.set_major_formatter(build_percent_formatter())
    draw_grid(axes, "both")
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def _thin(places: np.ndarray) -> np.ndarray:
    """Which of any number of points on an axis to draw, some thousand at most, int (p,); `places` ascend."""
    if not len(places):
        return np.empty(0, np.int64)
    even = np.searchsorted(places, np.linspace(places[0], places[-1], _POINTS))
    return np.unique(np.minimum(even, len(places) - 1))


@in_house_style
def build_error_costs_figure(costs: Mapping[str, float]) -> Figure:
    """A bar for each kind of error: by how much AP50 would rise without it.

    Args:
        costs: as `kerasft.metrics.detection.error_costs.compute_error_costs` gives them.
    """
    figure = new_figure(5.6, 0.9 + 0.36 * len(costs))
    axes = figure.add_subplot()
    values = list(costs.values())
    bars = axes.barh(range(len(values)), values, height=0.62, color=BLUE)
    axes.bar_label(bars, [f"{100.0 * value:.1f}" for value in values], padding=3, color=INK, fontsize=9)
    axes.set_yticks(range(len(values)), [_ERRORS[kind] for kind in costs], color=INK)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0.0, max([*values, 0.01]) * 1.15)
    axes.set_xlabel("percentage points of AP50 that these errors cost")
    axes.xaxis.set_major_formatter(build_percent_formatter())
    draw_grid(axes, "x")
    return figure
