"""How entities are shown: true above predicted ones, the worst texts first, and figures by type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from kerasft.metrics.entities import EntityMeasure
from kerasft.metrics.measure import Measure
from kerasft.plots.highlighting import choose_colour, cut_runs, highlight_html, highlight_text
from kerasft.plots.wording import format_percent
from kerasft.tasks.display import Figures, Measured, Section, Shown, TextDisplay
from kerasft.tasks.display_examples import build_labels_section

_CHARACTERS = 600
"""A longer text is shown about its first mistake."""


class _Span(pydantic.BaseModel):
    text: str
    start: pydantic.NonNegativeInt
    end: pydantic.NonNegativeInt
    type: str
    score: pydantic.FiniteFloat | None = None


class TaggedPrediction(pydantic.BaseModel):
    """A line of predictions/<split>.jsonl."""

    origin: str
    text: str
    entities: list[_Span]
    predicted: list[_Span]


@dataclass(frozen=True, kw_only=True)
class TaggedText:
    """A text with the entities in it, and those that the model said.

    Attributes:
        text: whole.
        entities: with `start`, `end` (in characters) and `type`, in order.
        predicted: likewise.
        origin: `file:row`; empty where not known.
    """

    text: str
    entities: Sequence[Mapping[str, Any]]
    predicted: Sequence[Mapping[str, Any]]
    origin: str = ""


class TokenClassificationDisplay(TextDisplay):
    """Of models that find entities in texts."""

    record_schema = TaggedPrediction
    text = "Ada Brandt flew to Lisbon."
    can_mark = True
    marked_title = "Entities"

    def mark(self, answer: Mapping[str, Any], *, in_colour: bool) -> str:
        return highlight_text(answer["text"], answer["entities"], self.label_names, coloured=in_colour)

    def mark_as_html(self, answer: Mapping[str, Any]) -> str:
        return highlight_html(answer["text"], answer["entities"], self.label_names)

    def show(self, measured: Measured) -> Shown:
        keys = ("text", "entities", "predicted", "origin")
        found = [TaggedText(**{key: row[key] for key in keys}) for row in measured.records]
        by_type = build_labels_section(
            measured.figures, self.config.figure_kinds, self.label_names, self.noun
        )
        entities = self._build_entities_section(found, measured.mistakes)
        return Shown(
            headline=_describe_entities(measured.figures, measured.name),
            sections=[section for section in (by_type, entities) if section is not None],
        )

    def open_measure(self, records: Sequence[Mapping[str, Any]], samples: int) -> Measure:
        index = {name: number for number, name in enumerate(self.label_names)}
        gold, predicted = (
            [[(one["start"], one["end"], index[one["type"]]) for one in row[side]] for row in records]
            for side in ("entities", "predicted")
        )
        return EntityMeasure(gold, predicted, self.label_names)

    def _build_entities_section(self, found: Sequence[TaggedText], count: int) -> Section:
        """Texts in which entities were missed, made up, or given another type."""
        wrong = [(len(_differences(text)), -index) for index, text in enumerate(found)]
        order = [-place for count, place in sorted(wrong, reverse=True) if count]
        shown = [_show(found[index], self.label_names) for index in order[:count]]
        legend = [
            {"type": name, "colour": choose_colour(self.label_names, name)} for name in self.label_names
        ]
        data = {"texts": shown, "wrong": len(order), "examples": len(found), "legend": legend}
        return Section(
            heading="Entities", template="section_entities.html", data=data, folder=Path(__file__).parent
        )

    def list_commands(self, run: str) -> list[tuple[str, str]]:
        asked = f'{self.ask(run)} "{self.text}" --highlight'
        page = f"{self.ask(run)} --input texts.txt --highlight --to texts.html"
        return [("Ask it", asked), ("about a file; the answers as a page to look at", page)]


def _describe_entities(figures: Figures, split: str) -> str:
    entities, texts = int(figures["entities"]["value"]), int(figures["examples"]["value"])
    start = f"Of the {entities:,} entities in {texts:,} {split} texts"
    if "recall" not in figures or "precision" not in figures:
        return f"{start} the model finds none."
    return (
        f"{start} the model finds {format_percent(figures['recall']['value'])}, and of those that it names "
        f"{format_percent(figures['precision']['value'])} are right, to the character and the type."
    )


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


DisplayClass = TokenClassificationDisplay
