"""A picture and the boxes that a model found in it; the files that a folder of annotations has for pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from kerasft.errors import ConfigError
from kerasft.files import whole_folder


class FoundPicture(NamedTuple):
    """What a model answers about a picture."""

    name: str
    """Its file, as it is to be called in what is written."""
    size_px: tuple[int, int]
    """Width and height, upright."""
    boxes: Sequence[Mapping[str, Any]]
    """Each with `label`, `score`, and `left`, `top`, `right` and `bottom` in pixels: the answer of `predict`."""


@contextmanager
def new_folder(path: Path, pictures: Sequence[FoundPicture]) -> Iterator[tuple[Path, list[str]]]:
    """Yields a temporary folder that becomes `path`, and a file name without ending for each picture.

    Raises:
        ConfigError: something stands at `path`, or two pictures would have one file.
    """
    stems = [PurePath(picture.name.replace("\\", "/")).stem for picture in pictures]
    first: dict[str, str] = {}
    for stem, picture in zip(stems, pictures, strict=True):
        if stem in first:
            raise ConfigError(
                f"{first[stem]} and {picture.name} would both have the file {stem}.",
                where=str(path),
                fix="Write the pictures of each folder apart, or choose a format with one file for all.",
            )
        first[stem] = picture.name
    try:
        with whole_folder(path, replace=False) as temporary:
            yield temporary, stems
    except FileExistsError as error:
        raise ConfigError(
            "The folder is not empty.", where=str(path), fix="Name a new one, or remove it."
        ) from error
