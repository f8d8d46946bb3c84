"""Finds the annotation files of boxes that a source means, and the splits in a folder of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from kerasft.data.box_config import BoxCsvSource, CocoSource, LabelStudioSource
from kerasft.data.sources.paths import SourceFile, name_source, resolve_files
from kerasft.data.sources.readable import check_link, refusing_unreadable
from kerasft.errors import DataError

Found = TypeVar("Found")

SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""What a split may be called, the likeliest name first."""
PICTURE_ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp"),
    *(".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2"),
)
"""How names of pictures end, whether they can be read or not."""


def resolve_annotations(
    source: CocoSource | LabelStudioSource | BoxCsvSource, base: Path, endings: Sequence[str]
) -> list[SourceFile]:
    """The annotation files of a source that names them, or the folder of a split.

    Args:
        source: with `path`, `images` and `split`.
        base: the folder that relative paths start from.
        endings: of the names of annotation files.

    Raises:
        DataError: there are none, or the folder of pictures is not there.
    """
    pictures = None if source.images is None else base / source.images
    if pictures is not None and not pictures.is_dir():
        raise DataError(
            "The folder of the pictures is not there." if not pictures.exists() else "This is not a folder.",
            where=str(pictures),
            fix="Set images to the folder that the names of pictures start from.",
        )
    if isinstance(source.path, str) and (base / source.path).is_dir():
        splits = find_split_files(base / source.path, endings)
        found = choose_split(splits, source.split, base / source.path)
        files = [name_source(path, base) for path in found]
    elif source.split is not None:
        raise DataError(
            f"split: {source.split} goes with a folder, and {source.path} is none.",
            fix="Remove split, or set path to the folder of the data set.",
        )
    else:
        files = resolve_files(source.path, base)
    return [file._replace(beside=pictures) for file in files]


def choose_split(splits: Mapping[str, Found], wanted: str | None, folder: Path) -> Found:
    """What a split's name stands for in a folder.

    Raises:
        DataError: there is no such split; or none is named, and there are several.
    """
    if wanted is None and len(splits) == 1:
        return next(iter(splits.values()))
    if wanted is not None:
        for name in (wanted, *list_aliases(wanted)):
            if name in splits:
                return splits[name]
    there = f"there are {', '.join(splits)}" if splits else "it holds no annotations of this format"
    raise DataError(
        f"The folder has no split {wanted!r}; {there}." if wanted else f"The folder holds several; {there}.",
        where=str(folder),
        fix=f"Set split: {next(iter(splits))}" if splits else "Set format: auto to be told what it holds.",
    )


def list_aliases(name: str) -> tuple[str, ...]:
    """Other names of a split, so that `val` finds `valid/`."""
    return next((names for names in SPLIT_NAMES.values() if name.casefold() in names), ())


def find_split_files(folder: Path, endings: Sequence[str]) -> dict[str, list[Path]]:
    """Split → its annotation files in a folder: `instances_train2017.json`, `train.csv`, `train/_annotations.csv`.

    Where a file's name speaks of no split, the split is called as the file.

    Args:
        folder: in which they lie, in `annotations/` in it, or in a folder for each split.
        endings: of their names.
    """
    found: dict[str, list[Path]] = {}
    with refusing_unreadable(folder):
        inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        for place in (folder, *(path for path in inner if path.name.casefold() == "annotations")):
            for path in _list_ending(place, endings):
                found.setdefault(_read_split(path.stem) or path.stem, []).append(path)
        for place in inner:
            if split := _read_split(place.name):
                for path in _list_ending(place, endings):
                    found.setdefault(split, []).append(path)
    # COCO has captions_train2017.json and others beside them
    return {
        split: [path for path in paths if path.name.startswith("instances")] or paths
        for split, paths in found.items()
    }


def _list_ending(folder: Path, endings: Sequence[str]) -> list[Path]:
    found = [path for path in sorted(folder.iterdir()) if path.name.casefold().endswith(tuple(endings))]
    for path in found:
        check_link(path)
    return [path for path in found if path.is_file() and not path.name.startswith(".")]


def _read_split(stem: str) -> str:
    """The split that a name speaks of, by its usual name; empty where it speaks of none."""
    parts = stem.casefold().replace("-", "_").replace(".", "_").split("_")
    words = [part.rstrip("0123456789") for part in parts]
    return next((split for split, names in SPLIT_NAMES.items() if any(word in names for word in words)), "")
