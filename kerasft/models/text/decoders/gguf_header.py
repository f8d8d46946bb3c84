"""The header of a GGUF file: metadata, and where which tensor stands. Nothing in it is believed before it is checked.

Source: the GGUF format, versions 2 and 3, of the ggml project.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MAX_COUNT = 10_000
"""Of tensors, and of keys in the metadata."""
_MAX_AXES = 4
_MAX_TEXT_BYTES = 16 << 20
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""A number's type → how `struct` calls it."""
_TEXT, _LIST = 8, 9
_ALIGNMENT = "general.alignment"


class StoredTensor(NamedTuple):
    """A tensor as a file's header describes it."""

    kind: int
    """How its numbers are stored: a `GGMLQuantizationType`."""
    shape: tuple[int, ...]
    """Rows first, as in NumPy."""
    offset: int
    """Where it begins, in bytes from the beginning of the file."""


def read_header(path: Path) -> tuple[dict[str, Any], dict[str, StoredTensor]]:
    """The metadata and the tensors of a file; no tensor's numbers are read.

    Raises:
        ValueError: it is no such file, or it is damaged.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        reader = _Reader(content)
        if reader.take(4) != _MAGIC or reader.read_number("I") not in _VERSIONS:
            raise ValueError("it does not begin as a GGUF file of version 2 or 3 does")
        tensors, keys = reader.read_number("Q"), reader.read_number("Q")
        if max(tensors, keys) > _MAX_COUNT:
            raise ValueError(f"it claims {tensors:,} tensors and {keys:,} keys")
        metadata = dict(reader.read_entry() for _ in range(keys))
        described = [reader.read_tensor() for _ in range(tensors)]
        step = metadata.get(_ALIGNMENT, 32)
        if type(step) is not int or not 1 <= step <= 1 << 16:
            raise ValueError(f"{_ALIGNMENT} is {step!r:.60}")
        start = -(-reader.place // step) * step
        for name, tensor in described:
            if start + tensor.offset > len(content):
                raise ValueError(f"it ends before {name[:100]} begins")
        found = {name: tensor._replace(offset=start + tensor.offset) for name, tensor in described}
        if len(found) < tensors:
            raise ValueError("it has two tensors of one name")
        return metadata, found


class _Reader:
    """Reads a file from its beginning on, and never beyond its end."""

    def __init__(self, content: mmap.mmap):
        self.content = content
        self.place = 0

    def take(self, count: int) -> bytes:
        end = self.place + count
        if end > len(self.content):
            raise ValueError("it ends within its header")
        taken = self.content[self.place : end]
        self.place = end
        return taken

    def read_number(self, kind: str) -> Any:
        return struct.unpack(f"<{kind}", self.take(struct.calcsize(kind)))[0]

    def read_text(self) -> str:
        count = self.read_number("Q")
        if count > _MAX_TEXT_BYTES:
            raise ValueError(f"it claims a text of {count:,} bytes")
        return self.take(count).decode("utf-8")

    def read_entry(self) -> tuple[str, Any]:
        name = self.read_text()
        return name, self._read_value(self.read_number("I"), name)

    def _read_value(self, kind: int, name: str) -> Any:
        if kind in _NUMBERS:
            return self.read_number(_NUMBERS[kind])
        if kind == _TEXT:
            return self.read_text()
        if kind != _LIST:
            raise ValueError(f"{name[:100]} is of the unknown type {kind}")
        inner, count = self.read_number("I"), self.read_number("Q")
        if inner in _NUMBERS:
            letter = _NUMBERS[inner]
            return np.frombuffer(self.take(count * struct.calcsize(letter)), f"<{letter}").tolist()
        if inner != _TEXT:
            raise ValueError(f"{name[:100]} is a list of the type {inner}")
        if 8 * count > len(self.content) - self.place:
            raise ValueError(f"{name[:100]} claims {count:,} texts")
        return [self.read_text() for _ in range(count)]

    def read_tensor(self) -> tuple[str, StoredTensor]:
        name = self.read_text()
        axes = self.read_number("I")
        if not 1 <= axes <= _MAX_AXES:
            raise ValueError(f"{name[:100]} has {axes} axes")
        sizes = [self.read_number("Q") for _ in range(axes)]
        if not all(1 <= size < 1 << 40 for size in sizes):
            raise ValueError(f"{name[:100]} has the sizes {sizes}")
        kind = self.read_number("I")
        return name, StoredTensor(kind, tuple(reversed(sizes)), self.read_number("Q"))
