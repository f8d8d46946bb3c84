"""Sources of boxes in pictures, as annotation tools write them: parts of the `data` section."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from kerasft.config.base import Config, PathField
from kerasft.data.encodings import find_codec


def _check_encoding(encoding: str) -> str:
    find_codec(encoding)
    return encoding


Encoding = Annotated[str, pydantic.AfterValidator(_check_encoding)]
"""A character encoding that files can be read line by line in."""


class _BoxSource(Config):
    path: Annotated[str | tuple[str, ...], PathField()]
    """An annotation file, a glob that matches some, or a list of these; or, with `split`, the folder of the data set.
    Relative to the config file."""
    images: Annotated[str | None, PathField()] = None
    """The folder that the file's names of pictures start from; relative to the config file. Null: it is looked for at
    and beside the annotation file."""
    split: str | None = pydantic.Field(None, min_length=1)
    """In a folder: which of its splits, `train`, `val` or `test`. Null: `data.train` means its train, and its other
    splits are taken as validation and test unless the config names others."""


class CocoSource(_BoxSource):
    """Boxes in pictures, as COCO's JSON has them (`instances_train.json`); outlines are not read."""

    format: Literal["coco"]


class LabelStudioSource(_BoxSource):
    """Boxes in pictures, exported from Label Studio as JSON or JSON-MIN."""

    format: Literal["label_studio"]


class BoxCsvSource(_BoxSource):
    """Boxes in pictures, one box a row: the picture's path, left, top, right and bottom in pixels, and the class."""

    format: Literal["box_csv"]
    delimiter: str = pydantic.Field(",", min_length=1, max_length=1)
    """One character; write "\\t" for a tab."""
    encoding: Encoding = "utf-8"
    """Character encoding of the files; a byte order mark is ignored."""


class VocSource(Config):
    """Boxes in pictures, one XML file a picture, as Pascal VOC has them."""

    format: Literal["voc"]
    path: Annotated[str, PathField()]
    """The folder that contains `Annotations/` and `JPEGImages/`, or XML files beside their pictures; relative to the
    config file."""
    split: str | None = pydantic.Field(None, min_length=1)
    """A list in `ImageSets/Main/`, or a folder: `train`, `val` or `test`. Null: `data.train` means its train, and the
    other splits are taken as validation and test unless the config names others; without splits, all pictures that
    have an XML file."""
    coordinates: Literal["auto", "edges", "pixels_from_1"] = "auto"
    """What `xmin`, `ymin`, `xmax` and `ymax` are. `edges`: the box's sides, as LabelImg and most tools write them.
    `pixels_from_1`: its first and last pixels, counted from 1, as in the data sets of Pascal VOC; the left side is then
    xmin - 1. `auto`: `pixels_from_1` if a file's `database` says that it is from VOC, otherwise `edges`."""


class YoloSource(Config):
    """Boxes in pictures, one text file a picture: class, centre and size as shares of the picture's size."""

    format: Literal["yolo"]
    path: Annotated[str, PathField()]
    """The `data.yaml`, or the folder that contains it; without one, a folder with `images/`, `labels/` and
    `classes.txt`. Relative to the config file."""
    split: str | None = pydantic.Field(None, min_length=1)
    """A split that `data.yaml` names, or a folder in `images/`: `train`, `val` or `test`. Null: `data.train` means its
    train, and the other splits are taken as validation and test unless the config names others."""
    names: tuple[str, ...] = ()
    """The class names, in the order of their numbers, if no file says them."""


class AutoSource(Config):
    """A folder, or a file, of boxes in pictures: `prepare` finds out the format and reports it."""

    format: Literal["auto"]
    path: Annotated[str, PathField()]
    """The folder, or the file; relative to the config file."""
    split: str | None = pydantic.Field(None, min_length=1)
    """Which of its splits, `train`, `val` or `test`. Null: `data.train` means its train, and the other splits are taken
    as validation and test unless the config names others."""


BoxSource = CocoSource | VocSource | YoloSource | LabelStudioSource | BoxCsvSource
"""Formats of boxes whose folders may hold several splits."""
