"""Rows on disk while they are checked: each field's values end to end in one file, numbers in others; a few bytes a row
in memory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np

from kerasft.data.duplicates.exact import mix_keys

_COLUMNS = {"files": np.uint32, "rows": np.uint32}
_DESCRIBED_CHARACTERS = 200


class Payloads:
    """One field's values, appended from first to last, then read; keys of inputs beside them.

    Args:
        folder: where its files go.
        place: the field's number, part of the files' names.
        stack: closes its files.
    """

    def __init__(self, folder: Path, place: int, stack: ExitStack):
        self._paths = {name: folder / f"{name}-{place}" for name in ("payloads", "lengths", "keys")}
        self._files: dict[str, IO[bytes]] = {
            name: stack.enter_context(path.open("w+b")) for name, path in self._paths.items()
        }
        self._count = 0
        self._width: int | None = None
        """Bytes of every payload, where all have as many; else -1."""

    def append(self, payloads: Sequence[bytes]) -> None:
        lengths = np.array([len(payload) for payload in payloads], np.uint32)
        if len(lengths) and self._width is None:
            self._width = int(lengths[0])
        if (lengths != self._width).any():
            self._width = -1
        self._files["payloads"].write(b"".join(payloads))
        self._files["lengths"].write(lengths.data)
        self._count += len(payloads)

    def append_keys(self, keys: np.ndarray) -> None:
        """uint64, equal where two values are the same."""
        self._files["keys"].write(np.ascontiguousarray(keys, np.uint64).data)

    def flush(self) -> None:
        for file in self._files.values():
            file.flush()

    @property
    def lengths(self) -> np.ndarray:
        """uint32 (rows,): bytes of each payload."""
        return np.fromfile(self._paths["lengths"], np.uint32)

    def _find_places(self, indices: np.ndarray) -> np.ndarray:
        """int64: where payloads begin in the file; numbers, which are all of one size, need no array for it."""
        if self._width is not None and self._width >= 0:
            return indices.astype(np.int64) * self._width
        return self._starts[indices].astype(np.int64)

    def read_keys(self) -> np.ndarray:
        """uint64 (rows,), equal where two values are the same."""
        return np.fromfile(self._paths["keys"], np.uint64)

    def read_numbers(self, dtype: Any) -> np.ndarray:
        """(rows,): payloads that are one number each."""
        return np.fromfile(self._paths["payloads"], dtype)

    @cached_property
    def _starts(self) -> np.ndarray:
        lengths = self.lengths
        # a file below 4 GiB, as nearly all are, needs half the memory
        dtype = np.uint32 if lengths.sum(dtype=np.int64) < 1 << 32 else np.int64
        starts = np.zeros(self._count + 1, dtype)
        np.cumsum(lengths, out=starts[1:], dtype=dtype)
        return starts

    def read_payloads(self, indices: Sequence[int] | np.ndarray) -> list[bytes]:
        """Those of any rows."""
        indices = np.asarray(indices)
        places = self._find_places(indices)
        lengths = self._find_places(indices + 1) - places
        file = self._files["payloads"].fileno()
        return [
            os.pread(file, length, place)
            for place, length in zip(places.tolist(), lengths.tolist(), strict=True)
        ]

    def read_texts(self, indices: Sequence[int] | np.ndarray) -> list[str]:
        """The texts that the payloads of any rows begin with."""
        return [read_text(payload) for payload in self.read_payloads(indices)]

    def read_first_text(self) -> str:
        """The first row's text; also while rows are being appended."""
        self.flush()
        return read_text(os.pread(self._files["payloads"].fileno(), int(self.lengths[0]), 0))

    def read_range(self, start: int, stop: int) -> list[bytes]:
        """Those of consecutive rows."""
        bounds = self._find_places(np.arange(start, stop + 1))
        data = os.pread(self._files["payloads"].fileno(), int(bounds[-1] - bounds[0]), int(bounds[0]))
        ends = (bounds - bounds[0]).tolist()
        return [data[begin:end] for begin, end in itertools.pairwise(ends)]


class RowStore:
    """Appended once from first to last, then flushed and read. A context manager.

    Args:
        folder: where its files go.
        fields: the names of the fields that rows have.
        inputs: those of which keys are kept.

    Attributes: `columns` (field's name → its `Payloads`).
    """

    def __init__(self, folder: Path, fields: Sequence[str], inputs: Sequence[str]):
        self._folder = folder
        self._stack = ExitStack()
        self._inputs = list(inputs)
        self._names: list[str] = []
        self.columns = {name: Payloads(folder, place, self._stack) for place, name in enumerate(fields)}
        self._numbers = {name: self._stack.enter_context((folder / name).open("wb")) for name in _COLUMNS}
        self._count = 0

    def __enter__(self) -> RowStore:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def __len__(self) -> int:
        return self._count

    def append(
        self, payloads: Mapping[str, Sequence[bytes]], file: int, rows: Sequence[int], names: Sequence[str]
    ) -> None:
        """Adds rows of one source, with names of their own for all or for none; keys follow by `Payloads.append_keys`.

        Args:
            payloads: field's name → one a row.
            file: the source's number.
            rows: the line at which each row starts.
            names: the rows'.
        """
        for name, column in self.columns.items():
            column.append(payloads[name])
        for name, values in (("files", np.full(len(rows), file)), ("rows", rows)):
            self._numbers[name].write(np.asarray(values, _COLUMNS[name]).data)
        self._names.extend(names)
        self._count += len(rows)

    def flush(self) -> None:
        for column in self.columns.values():
            column.flush()
        for file in self._numbers.values():
            file.flush()

    def read_column(self, name: str) -> np.ndarray:
        """uint32 (rows,): `files` (number of the source) or `rows` (line in it), read from disk anew each time."""
        return np.fromfile(self._folder / name, _COLUMNS[name])

    def read_keys(self) -> np.ndarray:
        """uint64 (rows,), equal where two rows have the same inputs."""
        return mix_keys([self.columns[name].read_keys() for name in self._inputs])

    @property
    def lengths(self) -> np.ndarray:
        """uint32 (rows,): bytes of each row's payloads together."""
        total = np.zeros(self._count, np.uint32)
        for column in self.columns.values():
            total += column.lengths
        return total

    def read_names(self, start: int, stop: int) -> list[str]:
        """The names of consecutive rows; none where they have none."""
        return self._names[start:stop]

    def build_describer(
        self, names: Sequence[str], quoted: Sequence[str]
    ) -> Callable[[int], tuple[str, str]]:
        """A function from a row to where it stands (its own name, or `file:row`) and the start of its text.

        Args:
            names: the files', by number.
            quoted: the fields that hold texts; without any, what is quoted is empty.
        """
        locate = self.build_locator(names)

        def describe(row: int) -> tuple[str, str]:
            texts = [self.columns[name].read_texts([row])[0][:_DESCRIBED_CHARACTERS] for name in quoted]
            return locate(row), " | ".join(texts)

        return describe

    def build_locator(self, names: Sequence[str]) -> Callable[[int], str]:
        """A function from a row to where it stands: its own name, or `file:row`; `names` are the files', by number."""
        files, rows = self.read_column("files"), self.read_column("rows")
        return lambda row: self._names[row] if self._names else f"{names[files[row]]}:{rows[row]}"


def read_text(payload: bytes) -> str:
    """The text that a payload begins with: what stands before the first NUL, which no text has."""
    return payload.partition(b"\0")[0].decode("utf-8")
