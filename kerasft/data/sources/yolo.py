"""YOLO's text files of boxes: one a picture, a line a box, as shares of the picture's size; classes in a YAML file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kerasft.data.box_config import YoloSource
from kerasft.data.kinds.fields import Field, InvalidValue
from kerasft.data.kinds.number import parse_number
from kerasft.data.sources.box_rows import BoxRow, Findings, check_fields, show_names, yield_batches
from kerasft.data.sources.paths import SourceFile
from kerasft.data.sources.picture_boxes import PictureBoxes
from kerasft.data.sources.rows import RawBatch
from kerasft.data.sources.yolo_folders import YoloFolder, find_label_file, open_folder
from kerasft.errors import DataError

_OUTSIDE = 1.05
"""Shares beyond this are none: tools write 1.0000001, but not 640."""


def resolve(source: YoloSource, base: Path) -> list[SourceFile]:
    """The folder that holds pictures and labels, beside it the file that names the classes.

    Raises:
        DataError: there is none.
    """
    folder = open_folder(base / source.path, base)
    folder.choose(source.split)
    return [folder.file]


def read_rows(file: SourceFile, source: YoloSource, fields: Sequence[Field]) -> Iterator[RawBatch]:
    """Streams the split's pictures with their boxes, sorted, numbered from 1.

    A picture with an empty label file is background; so is one without a label file, which is told. Of an outline
    (a line with more numbers) the box around it is taken.

    Raises:
        DataError: classes have no names, no picture has a label file, or the task needs something else.
    """
    check_fields(file, fields)
    folder = open_folder(file.beside or file.path, file.path)._replace(file=file)
    names = folder.names or source.names
    if not names:
        raise DataError(
            "No file says the names of the classes.",
            where=file.name,
            fix="Write names: [cat, dog] into data.yaml, or set names, next to path, in the order of their numbers.",
        )
    pictures = folder.list_pictures(source.split)
    findings = _Findings(folder, pictures, names)
    rows = (_read_picture(number, path, names, findings) for number, path in enumerate(pictures, 1))
    return yield_batches(rows, len(pictures), file, fields, findings)


class _Findings(Findings):
    """What is said of a split as a whole.

    Args:
        folder: the data set.
        pictures: of the split.
        names: the classes'.
    """

    def __init__(self, folder: YoloFolder, pictures: Sequence[Path], names: Sequence[str]):
        super().__init__()
        self._file, self._names = folder.file, names
        self.warnings += folder.warnings
        self.bare = [path for path in pictures if not os.path.isfile(find_label_file(path))]
        """Pictures without a label file."""
        self.used: set[int] = set()
        """Numbers of classes that occur."""
        self.outlines = 0
        self.scores = 0
        if pictures and len(self.bare) == len(pictures):
            raise DataError(
                f"None of {len(pictures):,} pictures has a label file.",
                where=folder.file.name,
                fix=f"Expected, for example, {find_label_file(pictures[0])}",
            )
        labels = {find_label_file(path) for path in pictures}
        strays = sorted(
            path
            for parent in {path.parent for path in labels}
            if os.path.isdir(parent)
            for path in parent.glob("*.txt")
            if path not in labels and path.name not in ("classes.txt", "train.txt", "val.txt", "test.txt")
        )
        # pictures of several splits may have their labels in one folder
        all_pictures = {find_label_file(path) for path in folder.list_all_pictures()} if strays else set()
        strays = [path for path in strays if path not in all_pictures]
        if strays:
            self.warnings.append(
                f"{folder.file.name}: label files without a picture: {len(strays):,} "
                f"({show_names(strays, folder.file)})."
            )

    def conclude(self) -> None:
        name = self._file.name
        if self.bare:
            self.warnings.append(
                f"{name}: pictures without a label file, read as background: {len(self.bare):,} "
                f"({show_names(self.bare, self._file)}). Remove what is not labelled yet."
            )
        if self.outlines:
            self.remarks.append(
                f"{name}: outlines, of which the box around them is taken: {self.outlines:,}."
            )
        if self.scores:
            self.remarks.append(f"{name}: boxes with a score, which is not read: {self.scores:,}.")
        if 0 not in self.used and len(self._names) in self.used:
            self.warnings.append(
                f"{name}: the numbers of classes go from {min(self.used)} to {max(self.used)}, and there are "
                f"{len(self._names)} names, which count from 0. Class numbers that start at 1 shift every class."
            )


def _read_picture(number: int, path: Path, names: Sequence[str], findings: _Findings) -> BoxRow:
    label_file = find_label_file(path)
    try:
        lines = label_file.read_bytes().decode("utf-8-sig").splitlines()
    except FileNotFoundError:
        return BoxRow(number, path, PictureBoxes([], None, True))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text, or its name is none"
        return BoxRow(number, path, InvalidValue("unreadable file", f"{label_file.name}: {why}"))
    boxes = []
    try:
        for place, line in enumerate(lines, 1):
            if line.strip():
                boxes.append(_read_line(line.split(), f"{label_file.name}:{place}", names, findings))
    except InvalidValue as error:
        return BoxRow(number, path, error)
    return BoxRow(number, path, PictureBoxes(boxes, None, True))


def _read_line(parts: Sequence[str], where: str, names: Sequence[str], findings: _Findings) -> dict[str, Any]:
    """One box, its sides as shares of the picture's size."""
    try:
        numbers = [parse_number(part) for part in parts]
    except InvalidValue as error:
        raise InvalidValue(error.reason, f"{where}: {error.detail}") from None
    if len(numbers) < 5 or (len(numbers) > 6 and len(numbers) % 2 == 0):
        detail = f"{where}: expected class, x, y, width and height, found {len(numbers)} numbers"
        raise InvalidValue("wrong column count", detail)
    index = int(numbers[0])
    findings.used.add(index)
    if index != numbers[0] or not 0 <= index < len(names):
        detail = f"{where}: {parts[0]}; there are {len(names)} classes, from 0"
        raise InvalidValue("unknown class number", detail)
    if len(numbers) <= 6:
        findings.scores += len(numbers) == 6
        x, y, width, height = numbers[1:5]
        sides = x - width / 2, y - height / 2, x + width / 2, y + height / 2
        largest = max(numbers[1:5])
    else:
        findings.outlines += 1
        across, down = numbers[1::2], numbers[2::2]
        sides = min(across), min(down), max(across), max(down)
        largest = max(sides)
    if largest > _OUTSIDE:
        raise InvalidValue(
            "sides are not shares of the picture's size", f"{where}: {largest:g}; they look like pixels"
        )
    left, top, right, bottom = sides
    return {"left": left, "top": top, "right": right, "bottom": bottom, "label": names[index]}
