"""Lines of predictions/<split>.jsonl: the boxes of a picture that are true, and those that were found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pydantic

from kerasft.metrics.detection.boxes import Detections, GoldBoxes, make_detections, make_gold_boxes
from kerasft.metrics.detection.errors import WRONG_KINDS
from kerasft.metrics.detection.matching import MAX_DETECTIONS, match_picture, rank_within_classes
from kerasft.plots.box_canvas import ShownBox, make_box

SIDES = ("left", "top", "right", "bottom")


class _Box(pydantic.BaseModel):
    label: str
    left: pydantic.FiniteFloat
    top: pydantic.FiniteFloat
    right: pydantic.FiniteFloat
    bottom: pydantic.FiniteFloat


class _GoldBox(_Box):
    crowd: bool = False


class _FoundBox(_Box):
    score: pydantic.FiniteFloat


class BoxesPrediction(pydantic.BaseModel):
    """A line of predictions/<split>.jsonl."""

    origin: str
    boxes: list[_GoldBox]
    predicted: list[_FoundBox]


class JudgedPicture(NamedTuple):
    """The boxes of a picture; those that are missed or wrong are filled."""

    gold: list[ShownBox]
    found: list[ShownBox]
    """The surest first."""
    missed: int
    """Gold boxes that no box of their class overlaps by half."""
    wrong: dict[str, int]
    """How many boxes that were found are wrong in each way, by `kerasft.metrics.detection.errors.WRONG_KINDS`."""

    @property
    def errors(self) -> int:
        """How many boxes are missed or wrong."""
        return self.missed + sum(self.wrong.values())


def read_gold(record: Mapping[str, Any], label_names: Sequence[str]) -> GoldBoxes:
    """The true boxes of a record.

    Raises:
        KeyError: a box has a class that is none of the model's.
    """
    boxes, index = record["boxes"], {name: number for number, name in enumerate(label_names)}
    return make_gold_boxes(
        [_list_sides(box) for box in boxes],
        [index[box["label"]] for box in boxes],
        [box.get("crowd", False) for box in boxes],
    )


def read_found(record: Mapping[str, Any], label_names: Sequence[str]) -> Detections:
    """The answers of a record; see `read_gold`."""
    boxes, index = record["predicted"], {name: number for number, name in enumerate(label_names)}
    return make_detections(
        [_list_sides(box) for box in boxes],
        [box["score"] for box in boxes],
        [index[box["label"]] for box in boxes],
    )


def show_found(boxes: Sequence[Mapping[str, Any]]) -> list[ShownBox]:
    """The boxes of an answer as they are drawn."""
    return [make_box(_list_sides(box), box["label"], score=box["score"]) for box in boxes]


def judge_picture(gold: GoldBoxes, found: Detections, label_names: Sequence[str]) -> JudgedPicture:
    """Which of a picture's boxes are missed, and which answers are wrong: at an overlap of 0.5, as COCO counts.

    Args:
        gold: what is true.
        found: the answers that count.
        label_names: the classes.
    """
    matches = match_picture(gold, found)
    missed = np.zeros(len(gold.boxes), bool)
    missed[~gold.crowd] = np.isneginf(matches.errors.found)
    # of a class only so many count
    counting = np.flatnonzero(rank_within_classes(found.labels) < MAX_DETECTIONS)
    kinds = np.zeros(len(found.boxes), np.uint8)
    kinds[counting] = matches.errors.kinds
    counts = np.bincount(kinds, minlength=len(WRONG_KINDS) + 1)[1:].tolist()
    return JudgedPicture(
        [
            make_box(box, label_names[label], filled=bool(filled), dashed=bool(crowd))
            for box, label, filled, crowd in zip(
                gold.boxes.tolist(), gold.labels, missed, gold.crowd, strict=True
            )
        ],
        [
            make_box(box, label_names[label], score=float(score), filled=bool(kind))
            for box, label, score, kind in zip(
                found.boxes.tolist(), found.labels, found.scores, kinds, strict=True
            )
        ],
        int(missed.sum()),
        {kind: count for kind, count in zip(WRONG_KINDS, counts, strict=True) if count},
    )


def _list_sides(box: Mapping[str, Any]) -> list[float]:
    return [float(box[side]) for side in SIDES]
