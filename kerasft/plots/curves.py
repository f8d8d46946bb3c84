"""Learning curves: loss, validation figures and learning rate over training."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerasft.plots.style import (
    BLUE,
    GREEN,
    MUTED,
    PALETTE,
    VERMILION,
    draw_grid,
    in_house_style,
    new_figure,
    shorten_label,
)

_VALIDATION = "validation_"
_LOSSES = (f"{_VALIDATION}loss", f"{_VALIDATION}log_loss")
"""What stands beside the training loss, on its scale; the first that there is."""
_SMOOTHED_FROM = 40
"""From how many values on the training loss is smoothed."""
_FIRST = (
    *("accuracy", "f1", "macro_f1", "precision", "recall", "partial_f1", "token_accuracy"),
    *("ap", "ap50", "ap75", "ar_100", "best_f1"),
)
"""Validation figures that come first, where there are more than colours."""


def smooth_values(values: np.ndarray, window: int) -> np.ndarray:
    """Centred moving mean over `window` values (odd), over fewer at the ends; float64 (values,)."""
    kernel = np.ones(window)
    return np.convolve(values, kernel, "same") / np.convolve(np.ones(len(values)), kernel, "same")


def select_series(history: Sequence[Mapping[str, Any]], key: str) -> tuple[np.ndarray, np.ndarray]:
    """The steps at which `key` was written, and its finite values.

    A row without `step` stands at the end of its `epoch` (1 is the first): the last step times its share of epochs.

    Args:
        history: rows of metrics.jsonl, `{"step": …, "loss": …}` or `{"epoch": …, "validation_loss": …}`.
        key: which figure.

    Returns:
        (steps, values), float64 (rows,) each.
    """
    last_step = max((row["step"] for row in history if "step" in row), default=0)
    last_epoch = max((row["epoch"] for row in history if "epoch" in row and "step" not in row), default=0)
    points = []
    for row in history:
        value = row.get(key)
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            continue
        if "step" in row:
            points.append((row["step"], value))
        elif "epoch" in row:
            points.append((last_step * row["epoch"] / last_epoch if last_step else row["epoch"], value))
    if not points:
        return np.empty(0), np.empty(0)
    steps, values = np.array(points, np.float64).T
    return steps, values


def _list_validation_figures(
    history: Sequence[Mapping[str, Any]], unbounded: Collection[str] = ()
) -> list[str]:
    names = {key: None for row in history for key in row if key.startswith(_VALIDATION)}
    first = [f"{_VALIDATION}{name}" for name in _FIRST]
    ordered = sorted(names, key=lambda name: first.index(name) if name in first else len(first))
    apart = {*_LOSSES, *(f"{_VALIDATION}{name}" for name in unbounded)}
    return [name for name in ordered if name not in apart and len(select_series(history, name)[0])]


def list_learning_curve_panels(
    history: Sequence[Mapping[str, Any]], unbounded: Sequence[str] = ()
) -> list[str]:
    """Which panels the history has data for: `loss`, `validation`, one for each of `unbounded`, `learning_rate`.

    Args:
        history: rows as in `select_series`.
        unbounded: validation figures without a scale from 0 to 1; losses, which stand beside the training loss, aside.
    """
    own = [name for name in unbounded if f"{_VALIDATION}{name}" not in _LOSSES]
    found = {
        "loss": any(len(select_series(history, key)[0]) for key in ("loss", *_LOSSES)),
        "validation": bool(_list_validation_figures(history, unbounded)),
        **{name: len(select_series(history, f"{_VALIDATION}{name}")[0]) > 0 for name in own},
        "learning_rate": len(select_series(history, "learning_rate")[0]) > 0,
    }
    return [name for name, present in found.items() if present]


@in_house_style
def build_learning_curves_figure(
    history: Sequence[Mapping[str, Any]],
    *,
    panels: Sequence[str] | None = None,
    unbounded: Sequence[str] = (),
    best_step: float | None = None,
    phase_ends: Sequence[float] = (),
) -> Figure:
    """Training and validation loss, the other validation figures, and the learning rate, side by side by step.

    Args:
        history: rows as in `select_series`; keys used are `loss`, `learning_rate` and `validation_*`.
        panels: which panels to draw; by default those of `list_learning_curve_panels`.
        unbounded: validation figures that each have a panel of their own.
        best_step: where the chosen weights were reached; marked where given.
        phase_ends: the last step of each part of the training but the last part; these are on shaded ground.
    """
    panels = list_learning_curve_panels(history, unbounded) if panels is None else panels
    figure = new_figure(3.7 * max(len(panels), 1), 3.5)
    for position, name in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), position + 1)
        if name == "loss":
            _draw_loss(axes, history)
        elif name == "learning_rate":
            _draw_learning_rate(axes, history)
        elif name == "validation":
            _draw_validation(axes, history, "Validation", _list_validation_figures(history, unbounded))
        else:
            title = name.replace("_", " ").capitalize()
            _draw_validation(axes, history, title, [f"{_VALIDATION}{name}"])
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        draw_grid(axes)
        _shade_phases(axes, phase_ends)
        if best_step is not None and name != "learning_rate":
            axes.axvline(best_step, color=MUTED, linewidth=1.0, dashes=(2, 2), label="chosen")
        if axes.get_legend_handles_labels()[1]:
            # below the axes: within, with several curves, there is no place where it hides none
            axes.legend(
                loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, frameon=False, columnspacing=1.2
            )
    return figure


def is_smoothed(history: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the training loss is drawn smoothed, over a thin line of what was measured."""
    return len(select_series(history, "loss")[1]) >= _SMOOTHED_FROM


def _shade_phases(axes: Axes, phases: Sequence[float]) -> None:
    left, right = axes.get_xlim()
    start = left = min(left, 0.0)
    for position, stop in enumerate(phases):
        shade = 0.13 - 0.06 * (position % 2)
        axes.axvspan(start, stop, color=MUTED, alpha=shade, linewidth=0, zorder=0)
        start = stop
    if phases:
        axes.set_xlim(left, right)


def _draw_loss(axes: Axes, history: Sequence[Mapping[str, Any]]) -> None:
    axes.set_title("Loss")
    steps, values = select_series(history, "loss")
    if len(values):
        window = len(values) // 20 | 1 if is_smoothed(history) else 1
        if window > 1:
            axes.plot(steps, values, color=BLUE, linewidth=0.8, alpha=0.3)
        axes.plot(steps, smooth_values(values, window), color=BLUE, label="train")
    for key in _LOSSES:
        steps, values = select_series(history, key)
        if len(values):
            axes.plot(steps, values, "o-", color=VERMILION, markersize=5, label="validation")
            break
    axes.set_ylim(bottom=0.0 if axes.get_ylim()[0] >= 0 else None)


def _draw_validation(
    axes: Axes, history: Sequence[Mapping[str, Any]], title: str, names: Sequence[str]
) -> None:
    axes.set_title(title)
    for position, name in enumerate(names[: len(PALETTE)]):
        steps, values = select_series(history, name)
        label = shorten_label(name.removeprefix(_VALIDATION).replace("_", " "))
        axes.plot(steps, values, "o-", color=PALETTE[position], markersize=5, label=label)
    axes.margins(y=0.15)
    axes.set_xlim(left=0)


def _draw_learning_rate(axes: Axes, history: Sequence[Mapping[str, Any]]) -> None:
    axes.set_title("Learning rate")
    steps, values = select_series(history, "learning_rate")
    axes.plot(steps, values, color=GREEN)
    axes.set_ylim(bottom=0.0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("e-0", "e-"))
