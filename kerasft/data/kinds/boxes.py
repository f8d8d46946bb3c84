"""Boxes in a picture, each with a class: what object detection learns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kerasft.data.kinds.base import Kind, ReadValue
from kerasft.data.kinds.fields import InvalidValue, describe_value, parse_label
from kerasft.data.kinds.number import parse_number
from kerasft.data.kinds.tagging import zip_lists
from kerasft.data.sources.paths import SourceFile
from kerasft.data.sources.picture_boxes import PictureBoxes
from kerasft.vision.files.rotation import turn_box

SIDES = ("left", "top", "right", "bottom")
_CORNERS = (SIDES, ("x_min", "y_min", "x_max", "y_max"), ("xmin", "ymin", "xmax", "ymax"))
_COCO = ("bbox", "box")
_CLASSES = ("label", "category", "categories", "class", "type")
_CROWDS = ("crowd", "iscrowd", "is_crowd", "difficult", "is_difficult")
_NAMED_BOXES = 5
"""So many boxes of a picture are named where they were left out or cut."""


class Box(NamedTuple):
    """A box's sides in pixels, from the picture's upper left corner, and its class; no class is an empty name."""

    left: float
    top: float
    right: float
    bottom: float
    label: str
    crowd: bool = False
    """Whether it is around many objects that are not told apart, or is otherwise not to be counted as missed."""
    area: float | None = None
    """Square pixels of the object itself; None: the box's own width × height."""

    @property
    def is_empty(self) -> bool:
        """Whether it has no area."""
        return self.right <= self.left or self.bottom <= self.top


def parse_boxes(value: Any) -> list[Box]:
    """The boxes of a picture, of which there may be none.

    A box is an object with its sides (`left`, `top`, `right`, `bottom`, or `x_min`, `y_min`, `x_max`, `y_max`), or with
    COCO's `bbox`: [left, top, width, height]; all in pixels. Its class stands under `label` or `category`. It may have
    a `crowd` (COCO's `iscrowd`, Pascal VOC's `difficult`: true or false, 1 or 0) and an `area` in square pixels. Lists
    side by side in one object, as Hugging Face keeps them, are read as well. A box may turn out to have no area.

    Raises:
        InvalidValue: they are no such things.
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
        crowd = next((_parse_crowd(item[name]) for name in _CROWDS if name in item), False)
        area = None if item.get("area") is None else parse_number(item["area"])
    except InvalidValue as error:
        raise InvalidValue(error.reason, f"box {number}: {error.detail}".rstrip(": ")) from None
    # an area of 0 or less is what tools write that do not compute it
    return Box(left, top, right, bottom, label, crowd, area if area is not None and area > 0 else None)


def _parse_crowd(value: Any) -> bool:
    if value in (True, False, None):  # 1 and 0 as well
        return bool(value)
    raise InvalidValue("crowd is neither true nor false", f"found {value!r:.50}")


NO_CLASS = -1
"""The number that stands for the class of a box without one."""


class BoxesKind(Kind):
    """Any number of boxes, in pixels. Their classes are the labels of a field `of` it; without one they have none.

    Boxes that reach beyond the picture are cut at its edges; those without area, or wholly outside of the picture, are
    left out. Both are listed as mended.
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

    def check_size(
        self, value: ReadValue, size_px: tuple[int, int], orientation: int = 1
    ) -> ReadValue | InvalidValue:
        given = _unpack(value.payload)
        height, width = size_px
        what, notes = [], []
        turns = 1
        if given.size_px not in (None, (width, height)):
            if given.size_px == (height, width) and orientation >= 5:
                turns = orientation
                what.append("the boxes were turned as EXIF turns the picture")
                notes.append("boxes turned as EXIF turns the picture")
            elif _fit(given, width, height):
                notes.append("size of the picture written wrongly in its annotation")
            else:
                told = _describe_size(*(given.size_px or (0, 0)))
                detail = f"its boxes are of {told}, and it has {_describe_size(width, height)}"
                return InvalidValue("picture of another size", detail)
        elif orientation != 1 and (given.size_px is None or width == height or orientation < 5):
            notes.append("turned by EXIF; boxes taken as drawn on the turned picture")
        boxes = []
        lost, cut = list(given.left_out), []
        for number, box in _place(given, turns, width, height):
            inside = box._replace(
                left=max(box.left, 0.0),
                top=max(box.top, 0.0),
                right=min(box.right, float(width)),
                bottom=min(box.bottom, float(height)),
            )
            if inside.is_empty:
                lost.append(f"{_describe_box(number, box)} is outside of {_describe_size(width, height)}")
                continue
            if not _is_rounding(inside, box):
                cut.append(f"{_describe_box(number, box)} reaches beyond {_describe_size(width, height)}")
            boxes.append(inside)
        notes += ["boxes without area or outside of the picture, left out"] if lost else []
        notes += ["boxes beyond the picture's edges"] if cut else []
        return value._replace(
            payload=_pack(boxes),
            labels=_list_labels(boxes),
            note="; ".join(notes),
            mended="; ".join((what + lost + cut)[:_NAMED_BOXES]),
            left_out="; ".join(lost[:_NAMED_BOXES]),
        )

    def build_features(self, label_names: Sequence[str]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        self._classified = bool(label_names)
        return {
            self.field.name: tfds.features.Sequence(
                {
                    **{side: tfds.features.Scalar(np.float32) for side in SIDES},
                    **({"label": tfds.features.ClassLabel(names=list(label_names))} if label_names else {}),
                    "crowd": tfds.features.Scalar(np.bool_),
                    "area": tfds.features.Scalar(np.float32),
                }
            )
        }

    def unpack(self, payload: bytes) -> dict[str, Any]:
        stored = []
        for _, box in _unpack(payload).boxes:
            values = box._asdict()
            label = values.pop("label")
            if self._classified:
                values["label"] = label or NO_CLASS
            if box.area is None:
                values["area"] = (box.right - box.left) * (box.bottom - box.top)
            stored.append(values)
        return {self.field.name: stored}

    def decode(self, stored: Any) -> list[tuple[float | int | bool, ...]]:
        """(left, top, right, bottom, label, crowd, area) of each box.

        Sides are floats, in pixels. `label` is the number of its class; -1 where it has none. `crowd` is a bool. `area`
        is in square pixels: what the data says of the object, otherwise the box's own.
        """
        sides = zip(*(np.asarray(stored[side], np.float32).tolist() for side in SIDES), strict=True)
        areas = np.asarray(stored["area"], np.float32).tolist()
        labels = stored["label"] if "label" in stored else [NO_CLASS] * len(areas)
        return [
            (*box, int(label), bool(crowd), area)
            for box, label, crowd, area in zip(sides, labels, stored["crowd"], areas, strict=True)
        ]


class _Given(NamedTuple):
    """Boxes while rows are read."""

    boxes: list[tuple[int, Box]]
    """Each with its number in the file, from 1."""
    size_px: tuple[int, int] | None = None
    """See `PictureBoxes`."""
    in_shares: bool = False
    left_out: tuple[str, ...] = ()


def _read(value: Any) -> ReadValue | InvalidValue:
    drawn = value if isinstance(value, PictureBoxes) else PictureBoxes(value)
    try:
        numbered = list(enumerate(parse_boxes(drawn.boxes), 1))
    except InvalidValue as error:
        return error
    lost = [f"{_describe_box(number, box)} has no area" for number, box in numbered if box.is_empty]
    numbered = [(number, box) for number, box in numbered if not box.is_empty]
    size_px = drawn.size_px if drawn.size_px and all(side > 0 for side in drawn.size_px) else None
    given = _Given(numbered, size_px, drawn.in_shares, (*drawn.left_out, *lost))
    payload = json.dumps(given, ensure_ascii=False).encode("utf-8")
    return ReadValue(payload, labels=_list_labels([box for _, box in numbered]))


def _list_labels(boxes: Sequence[Box]) -> tuple[str, ...]:
    return tuple(sorted({box.label for box in boxes if box.label}))


def _fit(given: _Given, width: int, height: int) -> bool:
    """Whether boxes fit a picture although their file says another size: they are shares, or width and height are
    swapped there, and all lie within it."""
    if given.in_shares:
        return True
    swapped = given.size_px == (height, width)
    return swapped and all(box.right <= width and box.bottom <= height for _, box in given.boxes)


def _place(given: _Given, turns: int, width: int, height: int) -> Iterator[tuple[int, Box]]:
    """The boxes in pixels of the upright picture.

    Args:
        given: as the file has them.
        turns: EXIF's orientation, where boxes were drawn on the pixels as they are stored; else 1.
        width: of the upright picture.
        height: of the upright picture.
    """
    drawn_width, drawn_height = (height, width) if turns >= 5 else (width, height)
    for number, box in given.boxes:
        sides = box[:4]
        if given.in_shares:
            sizes = (drawn_width, drawn_height, drawn_width, drawn_height)
            left, top, right, bottom = (side * size for side, size in zip(sides, sizes, strict=True))
            sides = left, top, right, bottom
        yield number, Box(*turn_box(sides, turns, drawn_width, drawn_height), *box[4:])


def _is_rounding(first: Box, second: Box) -> bool:
    """Whether sides differ by no more than a hundredth of a pixel, as those written with few digits do."""
    return all(abs(one - other) < 0.01 for one, other in zip(first[:4], second[:4], strict=True))


def _describe_box(number: int, box: Box) -> str:
    name = f" {box.label!r}" if box.label else ""
    return f"box {number}{name} ({box.left:g}, {box.top:g}, {box.right:g}, {box.bottom:g})"


def _describe_size(width: int, height: int) -> str:
    return f"{width} × {height} pixels"


def _pack(boxes: Sequence[Box]) -> bytes:
    return json.dumps(_Given(list(enumerate(boxes, 1))), ensure_ascii=False).encode("utf-8")


def _unpack(payload: bytes) -> _Given:
    boxes, size_px, in_shares, left_out = json.loads(payload)
    numbered = [(number, Box(*box)) for number, box in boxes]
    return _Given(numbered, tuple(size_px) if size_px else None, in_shares, tuple(left_out))


KindClass = BoxesKind
