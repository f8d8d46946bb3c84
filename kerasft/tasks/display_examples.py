"""How the report shows examples: the beginning of a text, or a small picture; and figures by class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from kerasft.data.prepared import Split
from kerasft.metrics.figures import FigureKinds
from kerasft.plots.pictures import build_data_uri, open_upright
from kerasft.plots.wording import format_figure, format_interval, place_bar
from kerasft.tasks.display import Figures, Section

FOLDER = Path(__file__).parent
THUMBNAIL_PX = 160
"""The longer side of a picture, as it is shown and, where it is no smaller, embedded."""
_SHORT_TEXT = 420
_LONG_TEXT = 10_000


class Pictures(Sequence[bytes]):
    """A split's pictures by number, read from the prepared dataset as they are asked for."""

    def __init__(self, split: Split):
        self._split = split

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, index: Any) -> Any:
        return self._split[index]["image"]


@dataclass(frozen=True, kw_only=True)
class ShownExamples:
    """A split's examples, as far as they are shown.

    Attributes:
        texts: of each; any sequence, read where needed only.
        pictures: where they are pictures, their JPEG or PNG files; likewise.
        origins: `file:row` or name of each; empty where not known.
    """

    texts: Sequence[str] = ()
    pictures: Sequence[bytes] = ()
    origins: Sequence[str] = ()


def show_example(found: ShownExamples, index: int) -> dict[str, Any]:
    """What the templates show of one example: the beginning of its text, or its picture."""
    if len(found.pictures):
        picture = open_upright(found.pictures[index], THUMBNAIL_PX)
        enlarged = THUMBNAIL_PX / max(picture.size)
        name = PurePath(found.origins[index]).parts[-2:] if len(found.origins) else ()
        return {
            "picture": build_data_uri(picture),
            "width": round(picture.width * enlarged),
            "height": round(picture.height * enlarged),
            "small": enlarged > 2,
            "name": "/".join(name),
        }
    text = found.texts[index]
    return {
        "start": _cut_at_word(text, _SHORT_TEXT),
        "whole": text[:_LONG_TEXT] if len(text) > _SHORT_TEXT else "",
        "length": len(text),
        "left_out": max(len(text) - _LONG_TEXT, 0),
    }


def _cut_at_word(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    start = text[:length]
    space = start.rfind(" ")
    return (start[:space] if space > length * 3 // 4 else start).rstrip() + " …"


def build_labels_section(
    figures: Figures, kinds: FigureKinds, label_names: Sequence[str], noun: str
) -> Section | None:
    """Precision, recall and F1 of each label; the worst first where there are many."""
    titles = {"precision": "Precision", "recall": "Recall", "f1": "F1"}
    note = (
        "Precision: how often the label is right when the model gives it. Recall: how many of the label's "
        f"{noun}s the model finds. F1: both in one. Bars run from 0 to 100 %."
    )
    texts = {"called": "Label", "counted": f"{noun.capitalize()}s", "note": note}
    return build_classes_section("Label by label", figures, kinds, label_names, titles, "f1", texts)


def build_classes_section(
    heading: str,
    figures: Figures,
    kinds: FigureKinds,
    label_names: Sequence[str],
    titles: Mapping[str, str],
    by: str,
    texts: Mapping[str, str],
) -> Section | None:
    """A table of figures by class; None where no class has any.

    Args:
        heading: the section's.
        figures: a split's.
        kinds: of figures that the task has.
        label_names: the classes.
        titles: name of a figure that classes have → its column's title.
        by: the figure by which classes are sorted, the worst first, where there are many.
        texts: what a class is `called` and what is `counted` of it, as the first columns' titles; a `note` below.
    """
    rows: list[dict[str, Any]] = []
    for name in label_names:
        cells = [_describe_figure(figures, kinds, f"{kind}/{name}") for kind in titles]
        support = figures.get(f"support/{name}", {}).get("value")
        if support is not None or any(cells):
            rows.append({"name": name, "support": support, "cells": cells})
    if not rows:
        return None
    worst_first = len(rows) > 5
    if worst_first:
        rows.sort(key=lambda row: figures.get(f"{by}/{row['name']}", {}).get("value", math.inf))
    data = {"rows": rows, "worst_first": worst_first, "titles": list(titles.values()), **texts}
    return Section(heading=heading, template="section_labels.html", data=data, folder=FOLDER)


def _describe_figure(figures: Figures, kinds: FigureKinds, name: str) -> Mapping[str, Any] | None:
    if name not in figures:
        return None
    figure, kind = figures[name], kinds.find(name)
    return {
        "value": format_figure(kind, float(figure["value"])),
        "interval": format_interval(kind, figure),
        "bar": place_bar(figure, 0.0, 1.0),
    }
