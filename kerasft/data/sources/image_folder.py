"""A folder of pictures for each class: every file is a row, and its first folder's name the label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kerasft.data.config import ImageFolderSource
from kerasft.data.fields import Field
from kerasft.data.sources.paths import SourceFile, list_folders, list_members
from kerasft.data.sources.rows import RawBatch, Reject, shorten
from kerasft.data.split_folders import find_split_folders
from kerasft.errors import DataError

_BATCH_FILES = 64
_PICTURES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp"),
    *(".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2", ".svg"),
)
"""How names of pictures end, whether they can be read or not."""


def read_rows(file: SourceFile, source: ImageFolderSource, fields: Sequence[Field]) -> Iterator[RawBatch]:
    """Streams the folder's files, sorted by path: `(path, class)` each.

    Hidden files are passed over, and those beside the classes' folders that are no pictures, such as a README.

    Raises:
        DataError: there is no folder in it.
    """
    if not list_folders(file.path):
        raise DataError(
            f"{file.name} holds no folders.",
            where=str(file.path),
            fix="Put the pictures of each class into a folder with its name: "
            f"{file.path.name}/cat/1.jpg, {file.path.name}/dog/2.jpg, …",
        )
    if inside := find_split_folders(file.path):
        raise DataError(
            f"{file.name} holds the splits {', '.join(inside)}, with folders of classes.",
            where=str(file.path),
            fix=f"Set path to one of them, for example {inside['train']}",
        )
    members = [
        path for path in list_members(file) if path.parent != file.path or path.suffix.lower() in _PICTURES
    ]
    if any(field.kind == "text" for field in fields):
        raise DataError(
            f"{file.name} holds pictures, and the task learns from texts.",
            where=str(file.path),
            fix="Set task.type to image_classification, or name files of texts.",
        )
    for start in range(0, len(members), _BATCH_FILES):
        batch = RawBatch()
        for number, path in enumerate(members[start : start + _BATCH_FILES], start + 1):
            relative = path.relative_to(file.path)
            batch.size_bytes += path.stat().st_size if path.is_file() else 0
            if len(relative.parts) < 2:
                detail = "it lies beside the classes' folders"
                batch.rejects.append(Reject(number, "no class", detail, shorten(str(relative))))
                continue
            values = {"image": path, "label": relative.parts[0], "labels": [relative.parts[0]]}
            batch.rows.append(number)
            batch.values.append(tuple(values[field.kind] for field in fields))
        yield batch
