"""The model card of an export."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from kerasft.metrics.figures import FigureKinds
from kerasft.printable import make_line, make_page
from kerasft.tasks.served import Served


def write_model_card(
    *,
    name: str,
    task: str,
    preset: str,
    served: Served,
    label_names: Sequence[str],
    figures: Mapping[str, Mapping[str, Mapping[str, float]]],
    kinds: FigureKinds,
    data: Mapping[str, Any],
    versions: Mapping[str, str],
) -> str:
    """The card as Markdown.

    Args:
        name: the experiment's.
        task: what it does.
        preset: what it was fine-tuned from.
        served: what goes in, and what comes out.
        label_names: the classes, in the order of the outputs; none where it answers otherwise.
        figures: `{split: {figure: {"value": …}}}` of the evaluation; may be empty.
        kinds: of figures that the task has.
        data: the dataset's manifest.
        versions: package → version.
    """
    lines = [
        f"# {name}",
        "",
        f"{task.replace('_', ' ').capitalize()}, fine-tuned from {_quote(_name_preset(preset))} with kerasft.",
        "",
        "## In and out",
        "",
        *_describe_served(served, label_names),
        "",
        "## Measured",
        "",
        *_list_figures(figures, kinds),
        "",
        "## Learned from",
        "",
        *_describe_data(data),
        "",
        "## Made with",
        "",
        ", ".join(f"{package} {version}" for package, version in versions.items()),
        "",
    ]
    return make_page("\n".join(lines))


def _describe_served(served: Served, label_names: Sequence[str]) -> list[str]:
    lines = [served.takes, "", *served.returns, ""]
    if label_names:
        lines.append(f"Classes, in the order of the outputs: {', '.join(map(_quote, label_names))}.")
    lines.append(served.limits)
    for signature in served.further:
        lines += ["", f"## The signature `{signature.name}`", "", signature.takes, "", *signature.returns]
    return lines


def _list_figures(figures: Mapping[str, Mapping[str, Mapping[str, float]]], kinds: FigureKinds) -> list[str]:
    """A table of the figures by split."""
    if not figures:
        return ["Not measured: `kerasft evaluate` was not run before the export."]
    lines = ["| figure | " + " | ".join(figures) + " |", "|---" * (len(figures) + 1) + "|"]
    for figure in (kind.name for kind in kinds if kind.place != "report"):
        cells = [_cell(split.get(figure)) for split in figures.values()]
        if any(cell != "–" for cell in cells):
            lines.append(f"| {figure} | " + " | ".join(cells) + " |")
    if any("low" in figure for split in figures.values() for figure in split.values()):
        lines += ["", "Values with 95 % bootstrap intervals over the split's examples."]
    return lines


def _describe_data(data: Mapping[str, Any]) -> list[str]:
    counts = ", ".join(f"{split} {facts['rows']:,}" for split, facts in data["splits"].items())
    return [
        f"Examples: {counts}. Data fingerprint {data['fingerprint']}.",
        "The figures are valid for similar examples; for others (another language, place or time) they are unknown.",
    ]


def _quote(text: str) -> str:
    """As code in Markdown, whatever is in it."""
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    padding = " " if "`" in text else ""
    return f"{fence}{padding}{make_line(text)}{padding}{fence}"


def _name_preset(preset: str) -> str:
    """Of a folder its last two names alone: the card goes to others, whom this machine's paths do not concern."""
    path = PurePath(preset)
    return "/".join(path.parts[-2:]) if path.is_absolute() else preset


def _cell(figure: Mapping[str, float] | None) -> str:
    if figure is None:
        return "–"
    value = figure["value"]
    shown = f"{value:.4f}" if isinstance(value, float) else str(value)
    return f"{shown} ({figure['low']:.4f}–{figure['high']:.4f})" if "low" in figure else shown
