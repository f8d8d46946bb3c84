"""A folder of pictures for each class: every file is a row, and its top folder is the label."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from kerasft.data.config import ImageFolderSource
from kerasft.data.kinds import load_kind_class
from kerasft.data.kinds.fields import Field
from kerasft.data.prepare.split_folders import find_split_folders
from kerasft.data.sources.annotation_files import PICTURE_ENDINGS
from kerasft.data.sources.paths import SourceFile, list_folders, list_members
from kerasft.data.sources.rows import RawBatch, Reject, shorten
from kerasft.errors import DataError

_BATCH_FILES = 64
_GIVEN = ("image", "label", "labels")
"""Kinds of fields that a folder of pictures has."""
_PICTURES = (*PICTURE_ENDINGS, ".svg")
"""How names of pictures end, whether they can be read or not."""


def read_rows(file: SourceFile, source: ImageFolderSource, fields: Sequence[Field]) -> Iterator[RawBatch]:
    """Streams the folder's files, sorted by path: `(path, class)` each.

    Hidden files are passed over, and those beside the classes' folders that are no pictures, such as a README.

    Raises:
        DataError: there is no folder in it.
    """
    _check_levels(file)
    members = [
        path for path in list_members(file) if path.parent != file.path or path.suffix.lower() in _PICTURES
    ]
    if any(load_kind_class(field.kind).column_of == "text" and not field.optional for field in fields):
        raise DataError(
            f"{file.name} contains pictures, but the task learns from texts.",
            where=str(file.path),
            fix="Set task.type to image_classification, or name text files.",
        )
    strange = [field.name for field in fields if field.kind not in _GIVEN and not field.optional]
    if strange:
        raise DataError(
            f"{file.name} holds pictures and their classes, and the task needs {' and '.join(strange)}.",
            where=str(file.path),
            fix="Set format: auto, which finds the annotation files of boxes."
            if any(field.kind == "boxes" for field in fields)
            else "Name a list of pictures, with a column for each field: format csv, jsonl or parquet.",
        )
    for start in range(0, len(members), _BATCH_FILES):
        batch = RawBatch()
        for number, path in enumerate(members[start : start + _BATCH_FILES], start + 1):
            relative = path.relative_to(file.path)
            batch.size_bytes += path.stat().st_size if path.is_file() else 0
            if len(relative.parts) < 2:
                detail = "it is not inside a class folder"
                batch.rejects.append(Reject(number, "no class", detail, shorten(str(relative))))
                continue
            values = {"image": path, "label": relative.parts[0], "labels": [relative.parts[0]]}
            batch.rows.append(number)
            batch.values.append(tuple(values.get(field.kind) for field in fields))
        yield batch


def _check_levels(file: SourceFile) -> None:
    """Looks whether the folder is the one that holds the classes' folders.

    Raises:
        DataError: it is a class's own, or one above.
    """
    where, folders = str(file.path), list_folders(file.path)
    if not folders:
        holds = any(path.suffix.lower() in _PICTURES for path in file.path.iterdir())
        folder = Path(os.path.abspath(file.path))
        beside = [path.name for path in list_folders(folder.parent) if path != folder] if holds else []
        if beside:
            above = Path(file.name).parent.as_posix() if Path(file.name).name else ".."
            shown = ", ".join(beside[:5]) + ", …" * (len(beside) > 5)
            stands = "stand" if len(beside) > 1 else "stands"
            raise DataError(
                f"{file.name} contains pictures but no folders; beside it {stands} {shown}.",
                where=where,
                fix=f"If these are the classes, set path: {above}",
            )
        raise DataError(
            f"{file.name} contains no folders.",
            where=where,
            fix="Put the pictures of each class into a folder with its name: "
            f"{file.path.name}/cat/1.jpg, {file.path.name}/dog/2.jpg, …",
        )
    if inside := find_split_folders(file.path):
        raise DataError(
            f"{file.name} holds the splits {', '.join(inside)}, with folders of classes.",
            where=where,
            fix=f"Set path to one of them, for example {inside['train']}",
        )
    if len(folders) == 1 and (inside := find_split_folders(folders[0])):
        names = ", ".join(path.name for path in inside.values())
        raise DataError(
            f"The only class folder in {file.name} is {folders[0].name!r}, which holds the splits {names}.",
            where=where,
            fix=f"Set path: {file.name}/{folders[0].name}",
        )
