"""The report's part that shows entities in their texts: gold against predicted, the worst first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kerasft.plots.highlighting import choose_colour, cut_runs
from kerasft.report.content import ReportContent, Section, TaggedText

_CHARACTERS = 600
"""A longer text is shown about its first mistake."""


def build_entities_section(content: ReportContent, split: str) -> Section | None:
    """Texts in which entities were missed, made up, or given another type."""
    found = content.tagged_texts.get(split)
    if found is None:
        return None
    wrong = [(len(_differences(text)), -index) for index, text in enumerate(found)]
    order = [-place for count, place in sorted(wrong, reverse=True) if count]
    shown = [_show(found[index], content.label_names) for index in order[: content.mistakes]]
    legend = [
        {"type": name, "colour": choose_colour(content.label_names, name)} for name in content.label_names
    ]
    data = {"texts": shown, "wrong": len(order), "examples": len(found), "legend": legend}
    return Section(heading="Entities", template="section_entities.html", data=data)


def _keys(entities: Sequence[Mapping[str, Any]]) -> set[tuple[int, int, str]]:
    return {(one["start"], one["end"], one["type"]) for one in entities}


def _differences(text: TaggedText) -> set[tuple[int, int, str]]:
    return _keys(text.entities) ^ _keys(text.predicted)


def _show(text: TaggedText, types: Sequence[str]) -> dict[str, Any]:
    first = min(start for start, _, _ in _differences(text))
    begin = max(0, first - _CHARACTERS // 3) if len(text.text) > _CHARACTERS else 0
    end = begin + _CHARACTERS
    missed, made_up = (
        _keys(text.entities) - _keys(text.predicted),
        _keys(text.predicted) - _keys(text.entities),
    )

    def cut(entities: Sequence[Mapping[str, Any]], wrong: set[tuple[int, int, str]]) -> list[dict[str, Any]]:
        inside = [one for one in entities if begin <= one["start"] and one["end"] <= end]
        moved = [{**one, "start": one["start"] - begin, "end": one["end"] - begin} for one in inside]
        marks = iter((one["start"], one["end"], one["type"]) in wrong for one in inside)
        return [
            {
                "text": run.text,
                "type": run.type,
                "colour": choose_colour(types, run.type) if run.type else "",
                "wrong": bool(run.type) and next(marks),
            }
            for run in cut_runs(text.text[begin:end], moved)
        ]

    return {
        "gold": cut(text.entities, missed),
        "predicted": cut(text.predicted, made_up),
        "missed": len(missed),
        "made_up": len(made_up),
        "origin": text.origin,
        "cut": len(text.text) > _CHARACTERS,
    }
