"""Copies of pictures with what a model says of them drawn below."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pydantic
from PIL import Image

from kerasft.errors import ConfigError
from kerasft.files import whole_file
from kerasft.integrity import hash_file
from kerasft.plots.pictures import WHOLE_SIZE
from kerasft.printable import format_json, make_line
from kerasft.untrusted import iterate_json_lines, naming, open_in_place

_RECORD = ".kerasft-copies.jsonl"
Draw = Callable[[Image.Image, Mapping[str, Any]], Image.Image]

LONGEST_PX = 1600
"""The longer side of a copy: a larger picture is reduced to it."""
_FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".bmp": "BMP"}


class _Copy(pydantic.BaseModel):
    name: str
    sha256: str


def _is_known(path: Path, known: Mapping[str, set[str]]) -> bool:
    """Whether a file is as it was when its hash was recorded; a link is not."""
    if path.is_symlink():
        return False
    with naming(path):
        return hash_file(path).sha256 in known.get(make_line(path.name), ())


class DrawnCopies:
    """Writes copies into a folder, each under its source's name.

    Args:
        folder: made where it is missing. Copies of an earlier time, which a hidden file lists with their hashes, are
            written over where nobody has changed them.
        sources: all pictures that will be copied.

    Raises:
        ConfigError: one of them lies in the folder itself, or another file would be written over.
    """

    def __init__(self, folder: Path, sources: Iterable[str | Path]):
        self.folder = folder
        # what can be no file's name has no answer, and no copy
        sources = [source for source in sources if str(source) and "\0" not in str(source)]
        self._sources_of: dict[str, str] = {}
        inside = os.path.realpath(folder)
        for source in sources:
            if os.path.realpath(os.path.dirname(source)) == inside:
                raise ConfigError(
                    f"{os.path.basename(source)} is in that folder, and would be overwritten",
                    where=f"--draw {folder}",
                    fix="Name another folder.",
                )
        known = self._read_record()
        for name in dict.fromkeys(self._choose_name(str(source)) for source in sources):
            path = folder / name
            if os.path.lexists(path) and not _is_known(path, known):
                raise ConfigError(
                    f"{name} was not made by kerasft, or was changed since, and would be overwritten",
                    where=f"--draw {folder}",
                    fix="Name a new or empty folder, or move that file elsewhere.",
                )

    def _read_record(self) -> dict[str, set[str]]:
        path, known = self.folder / _RECORD, defaultdict[str, set[str]](set)
        if path.exists():
            for row in iterate_json_lines(path, _Copy):
                known[row["name"]].add(row["sha256"])
        return known

    def _record(self, path: Path, content: Path) -> None:
        row = {"name": make_line(path.name), "sha256": hash_file(content).sha256}
        with open_in_place(self.folder / _RECORD) as file:
            file.seek(0, os.SEEK_END)
            file.write((format_json(row) + "\n").encode())

    def write(self, source: str | Path, data: bytes, answer: Mapping[str, Any], draw: Draw) -> Path:
        """Writes one copy: upright, as large as the picture, with the answer drawn.

        Args:
            source: the picture's path.
            data: a file with it, of any kind that is answered.
            answer: what was said of it.
            draw: (a picture, an answer) → the picture with the answer on or below it. `pictures.get_scale`
                says how far the picture was reduced.

        Returns:
            The copy. Where another source has the same name, it has a number too; a source that is neither JPEG, PNG,
            WebP nor BMP becomes PNG.
        """
        path = self.folder / self._choose_name(str(source))
        copy = draw(_open(data), answer)
        # recorded first: a process that is killed between the two leaves the copy before, whose hash is recorded too
        with whole_file(path, before_replacing=lambda finished: self._record(path, finished)) as temporary:
            copy.save(temporary, _FORMATS[path.suffix.lower()], quality=92)
        return path

    def _choose_name(self, source: str) -> str:
        path = Path(source)
        suffix = path.suffix if path.suffix.lower() in _FORMATS else f"{path.suffix}.png"
        name, number = f"{path.stem}{suffix}", 1
        while self._sources_of.setdefault(name.lower(), source) != source:
            number += 1
            name = f"{path.stem} ({number}){suffix}"
        return name


def _open(data: bytes) -> Image.Image:
    """As the model is shown it, by the graph that it is shown it by."""
    from kerasft.vision.decoding.graph import decode_upright

    pixels, (height, width) = decode_upright(data, LONGEST_PX)
    image = Image.fromarray(pixels)
    image.thumbnail((LONGEST_PX, LONGEST_PX), reducing_gap=2.0)
    image.info[WHOLE_SIZE] = width, height
    return image
