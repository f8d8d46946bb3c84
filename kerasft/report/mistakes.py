"""The report's part that shows the worst mistakes: texts one below the other, pictures in a grid."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from kerasft.metrics.mistakes import find_mistakes
from kerasft.plots.pictures import build_data_uri, open_upright
from kerasft.report.content import ReportContent, Section, SeveralLabels, SplitPredictions
from kerasft.report.wording import format_percent, name_label

THUMBNAIL_PX = 160
"""The longer side of a picture, as it is shown and, where it is no smaller, embedded."""
_SHORT_TEXT = 420
_LONG_TEXT = 10_000


def build_mistakes_section(content: ReportContent, split: str) -> Section | None:
    """The examples that the model is surest of and wrong about."""
    found = content.predictions.get(split)
    if found is None or content.mistakes < 1:
        return None
    wrong = find_mistakes(found.probabilities, found.labels)
    predicted = found.probabilities.argmax(axis=1)
    mistakes = []
    for index in wrong[: content.mistakes].tolist():
        label, prediction = int(found.labels[index]), int(predicted[index])
        mistakes.append(
            {
                "label": name_label(content.label_names[label]),
                "predicted": name_label(content.label_names[prediction]),
                "sure": format_percent(float(found.probabilities[index, prediction])),
                "label_probability": format_percent(float(found.probabilities[index, label])),
                "origin": found.origins[index] if len(found.origins) else "",
                **show_example(found, index),
            }
        )
    return Section(
        heading="The worst mistakes",
        template="section_mistakes.html",
        data={"mistakes": mistakes, "total": len(wrong), "examples": len(predicted), "noun": content.noun},
    )


def show_example(found: SplitPredictions | SeveralLabels, index: int) -> dict[str, Any]:
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
