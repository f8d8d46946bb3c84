"""Rows on disk while they are checked: what they hold end to end in one file, numbers in others; a few bytes a row in
memory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

import numpy as np

_COLUMNS = {
    "lengths": np.uint32,
    "labels": np.int32,
    "files": np.uint32,
    "rows": np.uint32,
    "keys": np.uint64,
}

_DESCRIBED_CHARACTERS = 200


class RowStore:
    """Appended once from first to last, then flushed and read. A context manager.

    Attributes: `lengths` (bytes of each payload), `labels`, `files` (index of the source), `rows` (line in it) and
    `keys` (equal where two hold the same) are arrays read from disk anew each time.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._stack = ExitStack()
        self._payloads = self._stack.enter_context((folder / "payloads").open("w+b"))
        self._names: list[str] = []
        self._columns = {name: self._stack.enter_context((folder / name).open("wb")) for name in _COLUMNS}
        self._count = 0

    def __enter__(self) -> RowStore:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def __len__(self) -> int:
        return self._count

    def append(
        self,
        payloads: Sequence[bytes],
        file: int,
        labels: Sequence[int],
        rows: Sequence[int],
        names: Sequence[str] = (),
    ) -> None:
        """Adds rows of one source, with names of their own for all or for none; their keys follow by `append_keys`."""
        self._payloads.write(b"".join(payloads))
        self._write("lengths", [len(payload) for payload in payloads])
        self._write("labels", labels)
        self._write("files", np.full(len(payloads), file))
        self._write("rows", rows)
        self._names.extend(names)
        self._count += len(payloads)

    def append_keys(self, keys: np.ndarray) -> None:
        self._write("keys", keys)

    def _write(self, name: str, values: Sequence[int] | np.ndarray) -> None:
        self._columns[name].write(np.asarray(values, _COLUMNS[name]).data)

    def flush(self) -> None:
        self._payloads.flush()
        for file in self._columns.values():
            file.flush()

    def read_column(self, name: str) -> np.ndarray:
        """One value a row; see the class for the names."""
        return np.fromfile(self._folder / name, _COLUMNS[name])

    @property
    def lengths(self) -> np.ndarray:
        """uint32 (rows,): bytes of each payload."""
        return self.read_column("lengths")

    @cached_property
    def _starts(self) -> np.ndarray:
        starts = np.zeros(self._count + 1, np.int64)
        np.cumsum(self.lengths, out=starts[1:])
        return starts

    def read_payloads(self, indices: Sequence[int] | np.ndarray) -> list[bytes]:
        """What any rows hold."""
        indices = np.asarray(indices)
        places, lengths = self._starts[indices], self._starts[indices + 1] - self._starts[indices]
        file = self._payloads.fileno()
        return [
            os.pread(file, length, place)
            for place, length in zip(places.tolist(), lengths.tolist(), strict=True)
        ]

    def read_texts(self, indices: Sequence[int] | np.ndarray) -> list[str]:
        """The texts that any rows hold."""
        return [read_text(payload) for payload in self.read_payloads(indices)]

    def read_first_text(self) -> str:
        """The first row's text; also while rows are being appended."""
        self.flush()
        return read_text(os.pread(self._payloads.fileno(), int(self.lengths[0]), 0))

    def read_names(self, start: int, stop: int) -> list[str]:
        """The names of consecutive rows; none where they have none."""
        return self._names[start:stop]

    def build_describer(self, names: Sequence[str], quoted: bool) -> Callable[[int], tuple[str, str]]:
        """A function from a row to where it stands (its own name, or `file:row`) and the start of its text.

        Args:
            names: the files', by number.
            quoted: whether rows hold texts; else what is quoted is empty.
        """
        files, rows = self.read_column("files"), self.read_column("rows")

        def describe(row: int) -> tuple[str, str]:
            place = self._names[row] if self._names else f"{names[files[row]]}:{rows[row]}"
            return place, self.read_texts([row])[0][:_DESCRIBED_CHARACTERS] if quoted else ""

        return describe

    def read_range(self, start: int, stop: int) -> list[bytes]:
        """What consecutive rows hold."""
        bounds = self._starts[start : stop + 1]
        data = os.pread(self._payloads.fileno(), int(bounds[-1] - bounds[0]), int(bounds[0]))
        ends = (bounds - bounds[0]).tolist()
        return [data[begin:end] for begin, end in itertools.pairwise(ends)]


def read_text(payload: bytes) -> str:
    """The text that a row holds: what stands before the first NUL, which no text has."""
    return payload.partition(b"\0")[0].decode("utf-8")
