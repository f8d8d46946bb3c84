"""What all readers of boxes share: rows of a picture with its boxes, and what is said of a file as a whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kerasft.data.kinds.fields import Field, InvalidValue
from kerasft.data.sources.paths import SourceFile, measure, name_member
from kerasft.data.sources.picture_boxes import PictureBoxes
from kerasft.data.sources.rows import RawBatch, Reject, shorten
from kerasft.errors import DataError
from kerasft.json_values import check_depth
from kerasft.vision.pictures import MAX_SIDE_PX

_BATCH_PICTURES = 64
_SHOWN = 5
BACKGROUND_NAMES = ("background", "__background__", "_background_", "bg")


class BoxRow(NamedTuple):
    """A picture and its boxes, as a file of annotations has them."""

    number: int
    """The row's, from 1: its line or its place in the file."""
    image: Path
    boxes: PictureBoxes | InvalidValue
    """`InvalidValue`: why the row is rejected."""


class Findings:
    """What a reader finds out about a file as a whole while it reads rows; it is said at the end."""

    def __init__(self) -> None:
        self.remarks: list[str] = []
        """What is worth saying, as whole sentences."""
        self.warnings: list[str] = []
        """What is probably wrong, as whole sentences."""

    def conclude(self) -> None:
        """Adds what is known after the last row."""


def yield_batches(
    rows: Iterable[BoxRow], count: int, file: SourceFile, fields: Sequence[Field], findings: Findings
) -> Iterator[RawBatch]:
    """Rows in batches, with what is said of the file in the last.

    Args:
        rows: in the file's order.
        count: how many there are.
        file: which.
        fields: what a row's values are.
        findings: what the reader found out by the end.
    """
    size, done, empty = measure(file), 0, []
    background: dict[str, int] = {}
    batch = RawBatch()
    for row in rows:
        done += 1
        if isinstance(row.boxes, InvalidValue):
            name = shorten(name_member(row.image, file))
            batch.rejects.append(Reject(row.number, row.boxes.reason, row.boxes.detail, name))
        else:
            values = {"image": row.image, "boxes": row.boxes}
            batch.rows.append(row.number)
            batch.values.append(tuple(values.get(field.kind) for field in fields))
            empty += [] if row.boxes.boxes else [row.image]
            for box in row.boxes.boxes:
                if str(box.get("label")).casefold() in BACKGROUND_NAMES:
                    background[box["label"]] = background.get(box["label"], 0) + 1
        if done % _BATCH_PICTURES == 0:
            batch.size_bytes = size * done // count - size * (done - _BATCH_PICTURES) // count
            yield batch
            batch = RawBatch()
    whole = done - done % _BATCH_PICTURES
    batch.size_bytes = size - (size * whole // count if count else 0)
    if empty:
        batch.remarks.append(
            f"{file.name}: pictures without boxes: {len(empty):,} of {done:,} ({show_names(empty, file)})."
        )
    for name, number in background.items():
        batch.warnings.append(
            f"{file.name}: boxes of the class {name!r}: {number:,}. They are learned as objects; a detector needs no "
            "class for the background. Remove them if they are not meant so."
        )
    findings.conclude()
    batch.remarks += findings.remarks
    batch.warnings += findings.warnings
    yield batch


def show_names(paths: Sequence[Path], file: SourceFile) -> str:
    """The first few names, for a message."""
    return show_first([name_member(path, file) for path in paths])


def show_first(names: Sequence[str]) -> str:
    """The first few of some names, and whether there are more."""
    return ", ".join(shorten(name) for name in names[:_SHOWN]) + ", …" * (len(names) > _SHOWN)


def read_size(width: Any, height: Any) -> tuple[int, int] | None:
    """A picture's size as a file says it; None where these are no whole numbers."""
    sides = [
        int(side) if isinstance(side, int | float) and 0 < side <= MAX_SIDE_PX and side == int(side) else 0
        for side in (width, height)
    ]
    return (sides[0], sides[1]) if min(sides) > 0 else None


def check_fields(file: SourceFile, fields: Sequence[Field]) -> None:
    """Looks whether a task learns from pictures and boxes.

    Raises:
        DataError: it needs something else.
    """
    strange = [field.name for field in fields if field.kind not in ("image", "boxes") and not field.optional]
    if strange:
        raise DataError(
            f"{file.name} holds pictures with boxes, and the task needs {' and '.join(strange)}.",
            where=str(file.path),
            fix="Set task.type to object_detection, or name files of another format.",
        )


def load_json_file(file: SourceFile, *, ignored: Sequence[str] = ()) -> Any:
    """What a JSON file holds.

    Args:
        file: which.
        ignored: keys of objects whose values are not kept, since they are large and not needed.

    Raises:
        DataError: it is no JSON.
    """

    def drop(value: dict[str, Any]) -> dict[str, Any]:
        for key in ignored:
            value.pop(key, None)
        return value

    try:
        text = file.path.read_bytes().decode("utf-8-sig")
        value = json.loads(text, object_hook=drop if ignored else None)
        check_depth(value)
    except RecursionError:
        raise build_json_error(file, "it is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise build_json_error(file, f"it is not UTF-8: {error.reason} at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise build_json_error(file, f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except ValueError as error:
        raise build_json_error(file, str(error)[:200]) from None
    except OSError as error:
        raise DataError(
            f"The file cannot be read: {error.strerror or error}.",
            where=file.name,
            fix="Check its permissions and its disk.",
        ) from error
    return value


def build_json_error(file: SourceFile, why: str) -> DataError:
    """A JSON file cannot be used."""
    return DataError(
        f"This is not the JSON that was expected: {why}.",
        where=file.name,
        fix="Set format to what the file is, or export it again.",
    )


class PictureFinder:
    """Finds pictures by the names that annotation files have for them.

    Args:
        folders: where names may start from, the likeliest first.
    """

    def __init__(self, folders: Sequence[Path]):
        self._folders = list(dict.fromkeys(folders))

    def find(self, name: str, *others: str) -> Path:
        """The file; where there is none, where it would be.

        Args:
            name: as the annotation file has it, relative or absolute.
            others: what else it may be called, tried after it.
        """
        names = [name, *others]
        names += [each.replace("\\", "/") for each in names if "\\" in each]
        for each in names:
            for place, folder in enumerate(self._folders if each else ()):
                # a name may be too long to be one, or no text: `Path.is_file` would raise
                if os.path.isfile(folder / each):
                    # the next picture is probably there, too
                    self._folders.insert(0, self._folders.pop(place))
                    return folder / each
        return self._folders[0] / (name.replace("\0", "") or "-")


def list_picture_folders(file: SourceFile) -> list[Path]:
    """Where the pictures of an annotation file may lie: where the source says; otherwise at it and beside it."""
    if file.beside is not None:
        return [file.beside]
    folder = file.path.parent
    stem = file.path.stem
    own = stem.split("_", 1)[-1]  # instances_train2017 → train2017
    tops = [folder, folder / "images", folder.parent / "images", folder.parent]
    inner = [top / name for top in tops for name in dict.fromkeys((own, stem))]
    return [*tops[:2], *inner, *tops[2:], folder.parent / "JPEGImages"]
