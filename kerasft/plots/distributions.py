"""How labels are spread over splits, and how sure the model is where it is right and where it is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from kerasft.plots.style import (
    BLUE,
    INK,
    PALETTE,
    VERMILION,
    build_percent_formatter,
    draw_grid,
    in_house_style,
    new_figure,
    shorten_label,
)


@in_house_style
def build_label_balance_figure(
    counts: Mapping[str, Mapping[str, int]], label_names: Sequence[str], *, max_labels: int = 40
) -> Figure:
    """Each label's share of each split, as bars.

    Args:
        counts: split → label → number of examples.
        label_names: the labels, in the order of the bars; above `max_labels` the rarest are put together.
        max_labels: most groups of bars.
    """
    rows = {split: np.array([found.get(name, 0) for name in label_names]) for split, found in counts.items()}
    names = list(label_names)
    if len(names) > max_labels:
        order = np.argsort(-sum(rows.values()), kind="stable")
        kept, rest = np.sort(order[: max_labels - 1]), order[max_labels - 1 :]
        rows = {split: np.append(row[kept], row[rest].sum()) for split, row in rows.items()}
        names = [names[index] for index in kept] + [f"{len(rest)} others"]
    thickness = 0.8 / max(len(rows), 1)
    figure = new_figure(6.4, 0.9 + len(names) * (0.16 * len(rows) + 0.12))
    axes = figure.add_subplot()
    places = np.arange(len(names))
    for position, (split, row) in enumerate(rows.items()):
        total = int(row.sum())
        offset = places + (position - (len(rows) - 1) / 2) * thickness
        share = row / max(total, 1)
        color = PALETTE[position % len(PALETTE)]
        axes.barh(
            offset, share, height=thickness * 0.9, color=color, label=f"{shorten_label(split)} ({total:,})"
        )
        if len(names) <= 15:
            for place, value, count in zip(offset, share, row, strict=True):
                axes.annotate(
                    f"{count:,}",
                    (value, place),
                    (3, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=7.0,
                )
    axes.set_yticks(places, [shorten_label(name) for name in names], parse_math=False, color=INK)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("share of the split")
    axes.xaxis.set_major_formatter(build_percent_formatter())
    axes.margins(x=0.09, y=0.02)
    draw_grid(axes, "x")
    legend = figure.legend(loc="outside upper left", ncols=4)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


@in_house_style
def build_score_histogram_figure(probabilities: np.ndarray, labels: np.ndarray, *, bins: int = 25) -> Figure:
    """How sure the model is of right answers and of wrong ones, each as shares of its own kind.

    Args:
        probabilities: float (examples, classes), rows sum to 1.
        labels: int (examples,), ids in [0, classes).
        bins: number of bars.
    """
    top = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(1.0 / probabilities.shape[1], 1.0, bins + 1)
    figure = new_figure(5.2, 3.2)
    axes = figure.add_subplot()
    for chosen, color, name in ((right, BLUE, "right"), (~right, VERMILION, "wrong")):
        if chosen.any():
            shares = np.histogram(np.clip(top[chosen], edges[0], 1.0), edges)[0] / chosen.sum()
            label = f"{name} ({chosen.sum():,})"
            axes.stairs(shares, edges, fill=True, color=color, alpha=0.3)
            axes.stairs(shares, edges, color=color, linewidth=1.6, label=label)
    axes.set_xlim(edges[0], 1.0)
    axes.set_ylim(0.0, axes.get_ylim()[1] * 1.15)  # room for the legend
    axes.set_xlabel("how sure the model is (its highest probability)")
    axes.set_ylabel("share of right / of wrong answers")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(build_percent_formatter())
    axes.legend(loc="upper left", ncols=2)
    draw_grid(axes)
    return figure
