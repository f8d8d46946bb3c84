"""The confusion matrix as a figure: what is taken for what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from kerasft.plots.style import (
    INK,
    MUTED,
    PAPER,
    SHADES,
    build_percent_formatter,
    in_house_style,
    new_figure,
    shorten_label,
)

_SHARES_UP_TO = 12
_COUNTS_UP_TO = 30
_DARK_FROM = 0.4  # the share from which a cell's shade asks for white text


def merge_small_classes(
    matrix: np.ndarray, label_names: Sequence[str], max_classes: int
) -> tuple[np.ndarray, list[str]]:
    """Puts all but the `max_classes` − 1 most frequent labels into one last row and column.

    Args:
        matrix: int (classes, classes), row = label, column = prediction.
        label_names: the classes' names.
        max_classes: how many rows may remain.

    Returns:
        The smaller matrix and its names; what was given where it is small enough.
    """
    if len(matrix) <= max_classes:
        return matrix, list(label_names)
    kept = np.sort(np.argsort(-matrix.sum(axis=1), kind="stable")[: max_classes - 1])
    target = np.full(len(matrix), len(kept))
    target[kept] = np.arange(len(kept))
    merged = np.zeros((max_classes, max_classes), matrix.dtype)
    np.add.at(merged, (target[:, None], target[None, :]), matrix)
    return merged, [label_names[index] for index in kept] + [f"{len(matrix) - len(kept)} others"]


@in_house_style
def build_confusion_matrix_figure(
    matrix: np.ndarray, label_names: Sequence[str], *, title: str | None = None, max_classes: int = 50
) -> Figure:
    """Counts and shares of each label's examples (rows), by prediction (columns); darker is more.

    Shades follow the square root of the share, so that confusions of a few per cent can be seen.

    Up to 12 classes cells hold count and share, up to 30 the count alone; above `max_classes` the rarest labels
    are put together.

    Args:
        matrix: int (classes, classes), row = label, column = prediction.
        label_names: the classes' names; long ones are shortened.
        title: a line above; none by default.
        max_classes: most rows that are drawn.
    """
    matrix, names = merge_small_classes(np.asarray(matrix), label_names, max_classes)
    size = len(matrix)
    totals = matrix.sum(axis=1, keepdims=True)
    shares = matrix / np.maximum(totals, 1)
    labels = [shorten_label(name, 28 if size <= _SHARES_UP_TO else 22) for name in names]
    cell = 1.15 if size <= 3 else 0.62 if size <= _SHARES_UP_TO else 0.38 if size <= _COUNTS_UP_TO else 0.19
    margin = 0.85 + 0.075 * max(len(label) for label in labels)
    bar_width = 1.1 if size > _SHARES_UP_TO else 0.0
    width = max(cell * size + margin + bar_width, 3.6)
    figure = new_figure(width, max(cell * size + margin * (0.5 if size <= 3 else 0.9), 2.8))
    axes = figure.add_subplot()
    image = axes.imshow(shares, cmap=SHADES, norm=PowerNorm(0.5, vmin=0.0, vmax=1.0))
    _label_axes(axes, labels, size)
    if title:
        axes.set_title(title, parse_math=False)
    if size <= _COUNTS_UP_TO:
        _write_cells(axes, matrix, shares)
    if size > _SHARES_UP_TO:
        bar = figure.colorbar(image, ax=axes, shrink=0.5, aspect=24, format=build_percent_formatter())
        bar.outline.set_visible(False)
        bar.set_label("share of the label's examples")
    return figure


def _label_axes(axes: Axes, labels: Sequence[str], size: int) -> None:
    rotation = 0 if size <= 3 and max(map(len, labels)) <= 14 else 45 if size <= _SHARES_UP_TO else 90
    font_size = 9.0 if size <= _COUNTS_UP_TO else 7.5
    style: dict[str, Any] = {"parse_math": False, "color": INK, "fontsize": font_size}
    axes.set_xticks(
        range(size),
        labels,
        rotation=rotation,
        ha="right" if rotation == 45 else "center",
        rotation_mode="anchor" if rotation == 45 else "default",
        **style,
    )
    axes.set_yticks(range(size), labels, **style)
    axes.set_xlabel("predicted")
    axes.set_ylabel("labelled")
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    # White lines between cells, drawn as the minor grid.
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#eef1f4" if size <= _COUNTS_UP_TO else "#f6f8fa", linewidth=1.0)
    axes.tick_params(which="minor", length=0)


def _write_cells(axes: Axes, matrix: np.ndarray, shares: np.ndarray) -> None:
    size = len(matrix)
    with_shares = size <= _SHARES_UP_TO
    big, small = (13.0, 9.5) if size <= 3 else (9.0, 7.0) if with_shares else (7.0, 0.0)
    centre: dict[str, Any] = {"ha": "center", "va": "center"}
    for row, column in np.argwhere(matrix >= (0 if size <= 3 else 1)):
        count, share = matrix[row, column], shares[row, column]
        color = PAPER if share > _DARK_FROM else INK
        shift = 0.16 if with_shares else 0.0
        weight = "bold" if row == column else "normal"
        text = f"{count:,}" if count < 100_000 else f"{count / 1000:,.0f}k"
        axes.text(column, row - shift, text, color=color, fontsize=big, fontweight=weight, **centre)
        if with_shares:
            faded = PAPER if share > _DARK_FROM else MUTED
            axes.text(column, row + 0.22, f"{100 * share:.1f}\u202f%", color=faded, fontsize=small, **centre)
