"""Boxes in a picture, each with a class: what object detection learns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kerasft.data.kinds.base import Kind, ReadValue
from kerasft.data.kinds.fields import InvalidValue, describe_value, parse_label
from kerasft.data.kinds.number import parse_number
from kerasft.data.kinds.tagging import zip_lists
from kerasft.data.sources.paths import SourceFile

SIDES = ("left", "top", "right", "bottom")
_CORNERS = (SIDES, ("x_min", "y_min", "x_max", "y_max"), ("xmin", "ymin", "xmax", "ymax"))
_COCO = ("bbox", "box")
_CLASSES = ("label", "category", "class", "type")


class Box(NamedTuple):
    """A box's sides in pixels, from the picture's upper left corner, and its class; no class is an empty name."""

    left: float
    top: float
    right: float
    bottom: float
    label: str


def parse_boxes(value: Any) -> list[Box]:
    """The boxes of a picture, of which there may be none.

    A box is an object with its sides (`left`, `top`, `right`, `bottom`, or `x_min`, `y_min`, `x_max`, `y_max`), or with
    COCO's `bbox`: [left, top, width, height]; all in pixels. Its class stands under `label` or `category`. Lists side
    by side in one object, as Hugging Face keeps them, are read as well.

    Raises:
        InvalidValue: they are no such things, or a box has no area.
    """
    if isinstance(value, Mapping):
        value = zip_lists(value)
    if value is None:
        raise InvalidValue("missing boxes", "found null; write [] for no boxes")
    if not isinstance(value, list | tuple):
        raise InvalidValue("boxes are not a list", f"found {describe_value(value)}")
    return [_parse_box(item, number) for number, item in enumerate(value, 1)]


def _parse_box(item: Any, number: int) -> Box:
    if not isinstance(item, Mapping):
        detail = f"box {number}: expected an object with {', '.join(SIDES)}, found {describe_value(item)}"
        raise InvalidValue("box is not an object", detail)
    corners = next((names for names in _CORNERS if all(name in item for name in names)), None)
    coco = next((item[name] for name in _COCO if name in item), None)
    try:
        if corners is not None:
            left, top, right, bottom = (parse_number(item[name]) for name in corners)
        elif isinstance(coco, list | tuple) and len(coco) == 4:
            left, top, width, height = map(parse_number, coco)
            right, bottom = left + width, top + height
        else:
            keys = ", ".join(map(str, list(item)[:10]))
            raise InvalidValue("missing key", f"it needs {', '.join(SIDES)}, or bbox; there is {keys}")
        label = next((parse_label(item[name]) for name in _CLASSES if name in item), "")
    except InvalidValue as error:
        raise InvalidValue(error.reason, f"box {number}: {error.detail}".rstrip(": ")) from None
    if right <= left or bottom <= top:
        detail = f"box {number}: left {left:g}, top {top:g}, right {right:g}, bottom {bottom:g}"
        raise InvalidValue("box has no area", detail)
    return Box(left, top, right, bottom, label)


NO_CLASS = -1
"""The number that stands for the class of a box without one, among boxes with classes."""


class BoxesKind(Kind):
    """Any number of boxes, in pixels. Their classes are the labels of a field `of` it; without one they have none.

    Boxes that reach beyond the picture are cut at its edges, and the row is listed as mended.
    """

    noun = "boxes"
    in_pixels = True
    part_noun = "box"

    def __init__(self, field: Any):
        super().__init__(field)
        self._classified = False

    def read(self, values: Sequence[Any], file: SourceFile) -> list[ReadValue | InvalidValue]:
        return [_read(value) for value in values]

    def read_missing(self) -> ReadValue:
        return ReadValue(_pack([]))

    def check_size(self, value: ReadValue, size_px: tuple[int, int]) -> ReadValue | InvalidValue:
        height, width = size_px
        boxes, mended = [], []
        for number, box in enumerate(_unpack(value.payload), 1):
            inside = Box(
                max(box.left, 0.0),
                max(box.top, 0.0),
                min(box.right, width),
                min(box.bottom, height),
                box.label,
            )
            place = f"box {number} ({box.left:g}, {box.top:g}, {box.right:g}, {box.bottom:g})"
            if inside.right <= inside.left or inside.bottom <= inside.top:
                return InvalidValue("box outside of the picture", f"{place} of {width} × {height} pixels")
            if inside != box:
                mended.append(f"{place} reaches beyond {width} × {height} pixels")
            boxes.append(inside)
        if not mended:
            return value
        note = "boxes beyond the picture's edges"
        return value._replace(payload=_pack(boxes), note=note, mended="; ".join(mended[:5]))

    def build_features(self, label_names: Sequence[str]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        self._classified = bool(label_names)
        return {
            self.field.name: tfds.features.Sequence(
                {
                    **{side: tfds.features.Scalar(np.float32) for side in SIDES},
                    **({"label": tfds.features.ClassLabel(names=list(label_names))} if label_names else {}),
                }
            )
        }

    def unpack(self, payload: bytes) -> dict[str, Any]:
        kept = (*SIDES, "label") if self._classified else SIDES
        boxes = [box._asdict() for box in _unpack(payload)]
        if self._classified:
            for box in boxes:
                box["label"] = box["label"] or NO_CLASS
        return {self.field.name: [{name: box[name] for name in kept} for box in boxes]}

    def decode(self, stored: Any) -> list[tuple[float | int, ...]]:
        """(left, top, right, bottom) of each box, and the number of its class where boxes have one, or -1."""
        sides = zip(*(np.asarray(stored[side], np.float32).tolist() for side in SIDES), strict=True)
        if "label" not in stored:
            return list(sides)
        return [(*box, int(label)) for box, label in zip(sides, stored["label"], strict=True)]


def _read(value: Any) -> ReadValue | InvalidValue:
    try:
        boxes = parse_boxes(value)
    except InvalidValue as error:
        return error
    return ReadValue(_pack(boxes), labels=tuple(sorted({box.label for box in boxes if box.label})))


def _pack(boxes: Sequence[Box]) -> bytes:
    return json.dumps(boxes, ensure_ascii=False).encode("utf-8")


def _unpack(payload: bytes) -> list[Box]:
    return [Box(*box) for box in json.loads(payload)]


KindClass = BoxesKind
