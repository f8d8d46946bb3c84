"""How boxes are shown: drawn on pictures, gold beside answers, a row each in a table, and figures by class."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np

from kerasft.metrics.detection.boxes import Detections, GoldBoxes
from kerasft.metrics.detection.errors import ERROR_KINDS
from kerasft.metrics.detection.measure import DetectionMeasure
from kerasft.metrics.detection.table import match_pictures
from kerasft.metrics.measure import Measure
from kerasft.plots.boxes import describe_counts, draw_boxes, draw_gold_beside
from kerasft.plots.detection_curves import build_error_costs_figure
from kerasft.plots.pictures import build_data_uri, get_scale, open_upright
from kerasft.plots.style import figure_to_svg
from kerasft.plots.wording import format_percent, quote_label
from kerasft.tasks.display import Figures, Measured, PictureDisplay, Section, Shown, Statement
from kerasft.tasks.display_examples import build_classes_section
from kerasft.tasks.object_detection.records import (
    SIDES,
    BoxesPrediction,
    JudgedPicture,
    judge_picture,
    read_found,
    read_gold,
    show_found,
)

FOLDER = Path(__file__).parent
_COLUMNS = ("label", "score", *SIDES)
_OF_CLASSES = {"ap": "AP", "ap50": "AP50", "precision": "Precision", "recall": "Recall"}
_CLASSES_NOTE = (
    "AP: COCO's average precision, over overlaps from 0.50 to 0.95; AP50: at an overlap of 0.5. Precision: how many "
    "boxes of the class are right. Recall: how many of its objects are found. The last two are of boxes that reach the "
    "model's threshold."
)
_SHOWN_PX = 480
"""The longer side of each of two pictures side by side."""
_WRONG = {
    "class": "of the wrong class",
    "place": "that do not fit their object",
    "both": "of the wrong class, near an object",
    "duplicate": "around an object that was found already",
    "background": "where there is nothing",
}
"""What boxes of each of `WRONG_KINDS` are."""


class AnswersMeasure(Measure):
    """The figures that answers tell, as only those that reach the threshold are kept: precision, recall and F1.

    Args:
        gold: of each picture what is true.
        found: of each the answers.
        label_names: the classes.
        samples: how many resamples will be measured.
    """

    def __init__(
        self,
        gold: Sequence[GoldBoxes],
        found: Sequence[Detections],
        label_names: Sequence[str],
        samples: int,
    ):
        self._measure = DetectionMeasure(match_pictures(gold, found), label_names, samples, threshold=0.0)
        self.values, self.order = _choose_figures(self._measure.values), self._measure.order

    def resample(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        return _choose_figures(self._measure.resample(counts))


def _choose_figures(values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name: value
        for name, value in values.items()
        if name.partition("/")[0] in ("precision", "recall", "f1")
    }


class ObjectDetectionDisplay(PictureDisplay):
    """Of models that find objects in pictures."""

    record_schema = BoxesPrediction

    # Answers of `predict`

    def list_columns(self) -> list[str]:
        return list(_COLUMNS)

    def list_cells(self, answer: Mapping[str, Any]) -> list[Any]:
        """The cells of the surest box; empty where there is none."""
        return self.list_rows(answer)[0]

    def list_rows(self, answer: Mapping[str, Any]) -> list[list[Any]]:
        """A row for each box, to hundredths of a pixel; a picture without boxes has one of empty cells."""
        rows = [
            [box["label"], round(box["score"], 4), *(round(box[side], 2) for side in SIDES)]
            for box in answer.get("boxes") or ()
        ]
        return rows or [[None] * len(_COLUMNS)]

    def caption(self, answer: Mapping[str, Any]) -> str:
        """How many boxes of each class there are."""
        return describe_counts(show_found(answer["boxes"]), self.label_names)

    def draw(self, picture: Any, answer: Mapping[str, Any]) -> Any:
        boxes = show_found(answer["boxes"])
        return draw_boxes(picture, boxes, self.label_names, scale=get_scale(picture))

    def list_commands(self, run: str) -> list[tuple[str, str]]:
        asked = self.ask(run)
        _, _, *others = super().list_commands(run)
        return [
            ("Find the objects in a picture", f"{asked} photo.jpg"),
            (
                "in whole folders; a table with a row for each box, and copies of the pictures with the boxes drawn",
                f"{asked} photos/ 'more/*.png' --to boxes.csv --draw drawn/",
            ),
            *others,
        ]

    # Comparing runs

    def open_measure(self, records: Sequence[Mapping[str, Any]], samples: int) -> Measure:
        gold = [read_gold(record, self.label_names) for record in records]
        found = [read_found(record, self.label_names) for record in records]
        return AnswersMeasure(gold, found, self.label_names, samples)

    # The report

    def show(self, measured: Measured) -> Shown:
        sections = (
            self._build_classes_section(measured.figures),
            _build_errors_section(measured.figures),
            self._build_worst_section(measured),
        )
        return Shown(
            headline=_describe(measured),
            statements=self._judge(measured.figures),
            sections=[section for section in sections if section is not None],
        )

    def _judge(self, figures: Figures) -> list[Statement]:
        return [*_name_errors(figures), *self._name_weakest(figures), *_compare_sizes(figures)]

    def _name_weakest(self, figures: Figures) -> list[Statement]:
        """The class with the least AP50, where it is far below the mean."""
        known = {
            name: float(figures[f"ap50/{name}"]["value"])
            for name in self.label_names
            if f"ap50/{name}" in figures
        }
        if len(known) < 2:
            return []
        worst = min(known, key=known.__getitem__)
        mean = float(np.mean(list(known.values())))
        if known[worst] > mean - 0.05:
            return []
        count = int(figures.get(f"support/{worst}", {}).get("value", 0))
        return [
            Statement(
                "fair",
                f"It is weakest at {quote_label(worst)}: AP50 {format_percent(known[worst])}, where the classes' mean "
                f"is {format_percent(mean)} ({count:,} of them were measured).",
            )
        ]

    def _build_classes_section(self, figures: Figures) -> Section | None:
        """AP, AP50, precision and recall of each class."""
        texts = {"called": "Class", "counted": "Objects", "note": _CLASSES_NOTE}
        return build_classes_section(
            "Class by class",
            figures,
            self.config.figure_kinds,
            self.label_names,
            _OF_CLASSES,
            "ap",
            texts,
        )

    def _build_worst_section(self, measured: Measured) -> Section | None:
        """The pictures with the most boxes that are missed or wrong, gold beside answers."""
        if measured.mistakes < 1 or measured.split is None:
            return None
        counts: Counter[bool] = Counter()
        # no more are kept at a time than are shown
        worst = heapq.nlargest(
            measured.mistakes,
            self._find_errors(measured.records, counts),
            key=lambda wrong: wrong.judged.errors,
        )
        shown = [
            {
                "picture": build_data_uri(self._draw_pair(measured.split[one.number]["image"], one.judged)),
                "missed": one.judged.missed,
                "wrong": [f"{count:,} {_WRONG[kind]}" for kind, count in one.judged.wrong.items()],
                "origin": one.origin,
                "name": "/".join(PurePath(one.origin).parts[-2:]),
            }
            for one in worst
        ]
        data = {"pictures": shown, "wrong": counts[True], "examples": counts.total()}
        return Section(heading="The worst pictures", template="section_worst.html", data=data, folder=FOLDER)

    def _find_errors(
        self, records: Iterable[Mapping[str, Any]], counts: Counter[bool]
    ) -> Iterator[_WrongPicture]:
        """The pictures with boxes that are missed or wrong; counts those with and without."""
        names = self.label_names
        for number, record in enumerate(records):
            judged = judge_picture(read_gold(record, names), read_found(record, names), names)
            counts[judged.errors > 0] += 1
            if judged.errors:
                yield _WrongPicture(number, record["origin"], judged)

    def _draw_pair(self, file: bytes, judged: JudgedPicture) -> Any:
        picture = open_upright(file, _SHOWN_PX)
        return draw_gold_beside(
            picture, judged.gold, judged.found, self.label_names, scale=get_scale(picture)
        )


class _WrongPicture(NamedTuple):
    number: int
    origin: str
    judged: JudgedPicture


def _describe(measured: Measured) -> str:
    figures = measured.figures
    if not {"boxes", "examples"} <= figures.keys():
        return ""
    objects, pictures = int(figures["boxes"]["value"]), int(figures["examples"]["value"])
    start = f"Of the {objects:,} objects in {pictures:,} {measured.name} pictures"
    if "recall" not in figures or "precision" not in figures:
        return f"{start} the model finds none." if objects else f"There are no objects in {measured.name}."
    return (
        f"{start} the model finds {format_percent(figures['recall']['value'])}, and of its boxes "
        f"{format_percent(figures['precision']['value'])} are right: of the right class, with an overlap "
        "of at least 0.5."
    )


def _name_errors(figures: Figures) -> list[Statement]:
    """How often it is wrong in which way, the most frequent first."""
    counts = {
        kind: int(figures[f"errors_{kind}"]["value"]) for kind in ERROR_KINDS if f"errors_{kind}" in figures
    }
    if not counts:
        return []
    named = sorted((kind for kind in counts if counts[kind]), key=lambda kind: -counts[kind])
    if not named:
        return [Statement("good", "It makes no mistakes on these pictures.")]
    parts = [
        f"{counts[kind]:,} object{'s' * (counts[kind] != 1)} missed"
        if kind == "missed"
        else f"{counts[kind]:,} box{'es' * (counts[kind] != 1)} {_WRONG[kind]}"
        for kind in named[:3]
    ]
    return [Statement("plain", f"Its most frequent mistakes: {'; '.join(parts)}.")]


def _compare_sizes(figures: Figures) -> list[Statement]:
    if not {"ap_small", "ap"} <= figures.keys():
        return []
    small, whole = (float(figures[name]["value"]) for name in ("ap_small", "ap"))
    if small > whole - 0.1:
        return []
    return [
        Statement(
            "fair",
            f"It finds small objects less well: AP is {format_percent(small)} up to 32 × 32 pixels, "
            f"{format_percent(whole)} overall. A larger model.image_size_px, or model.stride: 4, may help.",
        )
    ]


def _build_errors_section(figures: Figures) -> Section | None:
    """What each kind of error costs."""
    costs = {
        kind: float(figures[f"cost_{kind}"]["value"]) for kind in ERROR_KINDS if f"cost_{kind}" in figures
    }
    if not costs:
        return None
    data = {"svg": figure_to_svg(build_error_costs_figure(costs))}
    return Section(heading="Kinds of errors", template="section_errors.html", data=data, folder=FOLDER)


DisplayClass = ObjectDetectionDisplay
