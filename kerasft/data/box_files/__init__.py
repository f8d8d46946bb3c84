"""Writes boxes that a model found as annotation tools read them: COCO's results, YOLO, Pascal VOC, Label Studio."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

from kerasft.data.box_files.found import FoundPicture

WRITERS = {
    "coco": "kerasft.data.box_files.coco",
    "yolo": "kerasft.data.box_files.yolo",
    "voc": "kerasft.data.box_files.voc",
    "label_studio": "kerasft.data.box_files.label_studio",
}
"""Format → module with `write(path, pictures, label_names)`."""


def write_boxes(
    format: str, path: str | Path, pictures: Sequence[FoundPicture], label_names: Sequence[str]
) -> None:
    """Writes boxes whole or not at all.

    Args:
        format: `coco` (a JSON file), `label_studio` (a JSON file of pre-annotations), `yolo` or `voc` (a new folder
            with a file for each picture).
        path: the file, which is replaced, or the folder, which must not be there or be empty.
        pictures: with what was found in each.
        label_names: the classes, in the order of their numbers.

    Raises:
        ConfigError: two pictures would have one file, or the folder holds something.
        StorageError: it cannot be written; what stands at `path` is as it was.
        ValueError: there is no such format, or a box has a class that is not among `label_names`.
    """
    if format not in WRITERS:
        raise ValueError(f"format must be one of {', '.join(WRITERS)}; got {format!r}")
    strange = {box["label"] for picture in pictures for box in picture.boxes} - set(label_names)
    if strange:
        raise ValueError(f"the class {min(strange)!r} is not among {', '.join(label_names)}")
    importlib.import_module(WRITERS[format]).write(Path(path), pictures, label_names)


__all__ = ["WRITERS", "FoundPicture", "write_boxes"]
