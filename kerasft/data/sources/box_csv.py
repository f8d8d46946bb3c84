"""CSV of boxes: one box a row, with the picture's path, the sides and the class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kerasft.data.box_config import BoxCsvSource
from kerasft.data.config import CsvSource
from kerasft.data.kinds.fields import Field, InvalidValue, is_missing, spell_label
from kerasft.data.kinds.number import parse_number
from kerasft.data.sources.annotation_files import resolve_annotations
from kerasft.data.sources.box_rows import (
    BoxRow,
    Findings,
    PictureFinder,
    check_fields,
    list_picture_folders,
    yield_batches,
)
from kerasft.data.sources.csv import read_rows as read_csv_rows
from kerasft.data.sources.lines import read_lines
from kerasft.data.sources.paths import SourceFile
from kerasft.data.sources.picture_boxes import PictureBoxes
from kerasft.data.sources.rows import RawBatch, Reject
from kerasft.errors import DataError

_NAMES = {
    "image": ("image", "filename", "file_name", "file", "path", "image_path", "img", "image_id", "imageid"),
    "label": ("label", "class", "class_name", "category", "name", "labelname", "label_name"),
    "left": ("left", "xmin", "x_min", "x1", "bbox_x1"),
    "top": ("top", "ymin", "y_min", "y1", "bbox_y1"),
    "right": ("right", "xmax", "x_max", "x2", "bbox_x2"),
    "bottom": ("bottom", "ymax", "y_max", "y2", "bbox_y2"),
}
"""What a column may be called, in small letters."""
_OPTIONAL = {
    "width": ("width", "image_width", "img_width"),
    "height": ("height", "image_height", "img_height"),
    "crowd": ("crowd", "iscrowd", "is_crowd", "difficult", "isgroupof"),
}
_RETINANET = {"image": 0, "left": 1, "top": 2, "right": 3, "bottom": 4, "label": 5}
"""Without a header: keras-retinanet's columns."""
_SIDES = ("left", "top", "right", "bottom")


class _Picture(NamedTuple):
    """A picture, as its rows say."""

    line: int
    """Of the first."""
    name: str
    boxes: list[dict[str, Any]]
    size_px: tuple[int, int] | None
    faults: list[InvalidValue]


def resolve(source: BoxCsvSource, base: Path) -> list[SourceFile]:
    """The files.

    Raises:
        DataError: there are none.
    """
    return resolve_annotations(source, base, (".csv", ".tsv"))


def read_rows(file: SourceFile, source: BoxCsvSource, fields: Sequence[Field]) -> Iterator[RawBatch]:
    """Streams the pictures in the order of their first rows, numbered by these.

    A header names the columns: `image` (or `filename`, `path`, …), `left`, `top`, `right`, `bottom` (or `xmin`, …) and
    `label` (or `class`, …). Without one, rows are as keras-retinanet has them: path, left, top, right, bottom, class. A
    row with a picture alone says that it is background.

    Raises:
        DataError: a column is missing, or the task needs something else.
    """
    check_fields(file, fields)
    header = _read_header(file, source)
    columns = _find_columns(file, header) if _is_header(header) else dict(_RETINANET)
    pictures, rejects = _read_pictures(file, source, columns, _is_header(header))
    finder = PictureFinder(list_picture_folders(file))
    findings = Findings()
    in_shares = _are_shares(pictures)
    if in_shares:
        findings.remarks.append(
            f"{file.name}: all sides are between 0 and 1, and are read as shares of the picture's size."
        )
    rows = (_build_row(picture, finder, in_shares) for picture in pictures)
    for number, batch in enumerate(yield_batches(rows, len(pictures), file, fields, findings)):
        batch.rejects += rejects if number == 0 else []
        yield batch


def looks_like_boxes(file: SourceFile, source: BoxCsvSource) -> bool:
    """Whether a CSV file's first row names the columns of boxes, or is a box."""
    header = _read_header(file, source)
    if not _is_header(header):
        return len(header) == len(_RETINANET) and all(
            cell.replace(".", "", 1).isdigit() or not cell for cell in header[1:5]
        )
    return all(_find(header, names) is not None for names in _NAMES.values())


def _read_header(file: SourceFile, source: BoxCsvSource) -> list[str]:
    for lines, _ in read_lines(file, source.encoding):
        for line in lines:
            if line.text.strip():
                return [cell.strip().strip('"') for cell in line.text.strip("\r\n").split(source.delimiter)]
    return []


def _is_header(header: Sequence[str]) -> bool:
    """Whether the first row names columns: two of the sides at least."""
    return sum(_find(header, _NAMES[side]) is not None for side in _SIDES) >= 2


def _find(header: Sequence[str], names: Sequence[str]) -> int | None:
    plain = [cell.strip().casefold() for cell in header]
    return next((plain.index(name) for name in names if name in plain), None)


def _find_columns(file: SourceFile, header: Sequence[str]) -> dict[str, int]:
    """Name → the number of its column.

    Raises:
        DataError: one is missing.
    """
    columns = {}
    for name, names in _NAMES.items():
        place = _find(header, names)
        if place is None:
            raise DataError(
                f"There is no column for {name}; there are {', '.join(header[:20])}.",
                where=f"{file.name}:1",
                fix=f"Call it {', '.join(names[:4])} or the like.",
            )
        columns[name] = place
    found = {name: _find(header, names) for name, names in _OPTIONAL.items()}
    return columns | {name: place for name, place in found.items() if place is not None}


def _read_pictures(
    file: SourceFile, source: BoxCsvSource, columns: dict[str, int], has_header: bool
) -> tuple[list[_Picture], list[Reject]]:
    """The pictures by their rows, and the rows that cannot be read."""
    names = list(columns)
    wanted = [Field(name, "part") for name in names]
    plain = CsvSource.model_validate(
        {
            "format": "csv",
            "path": str(file.path),
            "delimiter": source.delimiter,
            "encoding": source.encoding,
            "header": has_header,
            "columns": columns,
        }
    )
    pictures: dict[str, _Picture] = {}
    rejects: list[Reject] = []
    for batch in read_csv_rows(file, plain, wanted):
        rejects += batch.rejects
        for line, values in zip(batch.rows, batch.values, strict=True):
            row = dict(zip(names, values, strict=True))
            name = str(row["image"]).strip()
            picture = pictures.get(name)
            if picture is None:
                size = tuple(_read_whole(row.get(side)) for side in ("width", "height"))
                size_px = (size[0], size[1]) if all(size) else None
                picture = pictures[name] = _Picture(line, name, [], size_px, [])
            if all(is_missing(row[side]) for side in _SIDES):
                continue
            try:
                box: dict[str, Any] = {side: parse_number(row[side]) for side in _SIDES}
            except InvalidValue as error:
                picture.faults.append(InvalidValue(error.reason, f"line {line}: {error.detail}"))
                continue
            label, crowd = spell_label(str(row["label"])), _read_whole(row.get("crowd")) == 1
            picture.boxes.append({**box, "label": label, "crowd": crowd})
    return list(pictures.values()), rejects


def _read_whole(value: Any) -> int:
    """A whole number; 0 where there is none."""
    try:
        return int(parse_number(value))
    except InvalidValue:
        return 0


def _are_shares(pictures: Sequence[_Picture]) -> bool:
    """Whether all sides are shares of the picture's size: none is above 1, and some are no whole numbers."""
    sides = [box[side] for picture in pictures for box in picture.boxes for side in _SIDES]
    return bool(sides) and max(sides) <= 1.0 and any(0.0 < side < 1.0 for side in sides)


def _build_row(picture: _Picture, finder: PictureFinder, in_shares: bool) -> BoxRow:
    path = finder.find(picture.name, picture.name.replace("\\", "/").rsplit("/", 1)[-1])
    if picture.faults:
        return BoxRow(picture.line, path, picture.faults[0])
    if not picture.name:
        return BoxRow(picture.line, path, InvalidValue("no picture named", "the path is empty"))
    return BoxRow(picture.line, path, PictureBoxes(picture.boxes, picture.size_px, in_shares))
