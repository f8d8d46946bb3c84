"""Encoded examples in memory-mapped files: written once, read in any order, with constant memory."""

from __future__ import annotations

import math
import stat
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kerasft.damage import check_folder
from kerasft.errors import DamagedError, DataError
from kerasft.files import whole_folder, write_json
from kerasft.foreign import check_replaceable
from kerasft.integrity import write_hashes
from kerasft.progress import Progress, Silent
from kerasft.runs.shared_data import find_place, written_by_one
from kerasft.untrusted import load_json

INDEX_FILE = "cache.json"


class Columns:
    """Columns of arrays, one row an example.

    A column is either `ragged` (a one-dimensional array of its own length for each row) or `fixed` (one value or
    array of one shape for each row).
    """

    def __init__(self) -> None:
        self._values: dict[str, np.ndarray] = {}
        self._offsets: dict[str, np.ndarray] = {}
        self.num_rows = 0

    def __len__(self) -> int:
        return self.num_rows

    def has(self, name: str) -> bool:
        """Whether there is such a column."""
        return name in self._values

    def lengths(self, name: str) -> np.ndarray:
        """int64 (rows,): how long each row of a ragged column is."""
        return np.diff(self._offsets[name])

    def column(self, name: str) -> np.ndarray:
        """A fixed column whole, (rows, …), memory-mapped."""
        return self._values[name]

    def row(self, name: str, row: int) -> np.ndarray:
        """One row of a ragged column."""
        offsets = self._offsets[name]
        return np.asarray(self._values[name][offsets[row] : offsets[row + 1]])

    def padded(self, name: str, rows: np.ndarray, width: int, padding: int = 0) -> np.ndarray:
        """A ragged column's rows side by side, (len(rows), width), short ones filled up with `padding`."""
        values, offsets = self._values[name], self._offsets[name]
        result = np.full((len(rows), width), padding, dtype=values.dtype)
        for position, row in enumerate(rows):
            start, stop = offsets[row], offsets[row + 1]
            result[position, : stop - start] = values[start:stop]
        return result


class ArrayRows(Columns):
    """Columns in memory: of a few examples.

    Args:
        columns: one lot of rows, see `Chunk`.
    """

    def __init__(self, columns: Chunk):
        super().__init__()
        for name, rows in columns.items():
            self.num_rows = len(rows)
            if isinstance(rows, np.ndarray):
                self._values[name] = rows
                continue
            self._values[name] = np.concatenate(rows) if rows else np.zeros(0, np.int32)
            self._offsets[name] = np.cumsum([0, *(len(row) for row in rows)])


class ArrayCache(Columns):
    """Columns in memory-mapped files.

    Args:
        folder: where `build_cache` wrote it.
        is_checked: whether each file is compared with its hash first; memory does not grow for it.

    Raises:
        DamagedError: a file is missing or damaged: its hash, its length, or where its rows begin, is another.
    """

    def __init__(self, folder: Path, *, is_checked: bool = True):
        super().__init__()
        self.folder = Path(folder)
        try:
            if is_checked:
                check_folder(self.folder, "")
            index = load_json(self.folder / INDEX_FILE)
            self.fingerprint: str = index["fingerprint"]
            self.num_rows = int(index["rows"])
            for name, column in index["columns"].items():
                self._open_column(name, column)
        except (
            OSError, ValueError, TypeError, LookupError, AttributeError, OverflowError, DamagedError,
        ) as error:  # fmt: skip
            what = (
                f"{Path(error.where or '').name}: {error.what}" if isinstance(error, DamagedError) else error
            )
            raise DamagedError(
                f"The cache of encoded examples is damaged: {what}",
                where=str(self.folder),
                fix="Delete the folder: it will be rebuilt.",
            ) from error

    def _open_column(self, name: str, column: Mapping[str, Any]) -> None:
        if Path(name).name != name:
            raise ValueError(f"the column {name!r} is no file's name")
        shape = [int(size) for size in column["shape"]]
        self._values[name] = _map(self.folder / f"{name}.values", column["dtype"], shape)
        if column["kind"] == "fixed":
            if shape[0] != self.num_rows:
                raise ValueError(f"the column {name} has {shape[0]} rows of {self.num_rows}")
            return
        offsets = _map(self.folder / f"{name}.offsets", np.int64, [self.num_rows + 1])
        if offsets[0] != 0 or offsets[-1] != shape[0] or (np.diff(offsets) < 0).any():
            raise ValueError(f"the rows of {name} do not lie one after the other")
        self._offsets[name] = offsets


def _map(path: Path, dtype: Any, shape: list[int]) -> np.ndarray:
    if 0 in shape:
        return np.zeros(shape, dtype)
    status = path.lstat()
    expected = math.prod(shape) * np.dtype(dtype).itemsize
    if not stat.S_ISREG(status.st_mode) or status.st_size != expected:
        raise ValueError(f"{path.name} has {status.st_size:,} bytes, not {expected:,}")
    return np.memmap(path, dtype, "r", shape=tuple(shape))


Chunk = Mapping[str, np.ndarray | list[np.ndarray]]
"""A lot of rows: `{column: list of one-dimensional arrays (ragged) or an array (rows, …) (fixed)}`."""


def build_cache(
    folder: Path,
    fingerprint: str,
    chunks: Iterable[Chunk],
    progress: Progress = Silent(),  # noqa: B008 (has no state)
) -> ArrayCache:
    """Writes a cache whole or not at all, unless one with this fingerprint stands there already, undamaged.

    Args:
        folder: where it goes.
        fingerprint: of what it is made from (data and encoder); another one makes it anew.
        chunks: lots of rows.
        progress: where it is told that the one there is damaged, and made anew.

    Raises:
        DataError: there are no rows.
    """
    return build_caches([folder], fingerprint, ([chunk] for chunk in chunks), progress)[0]


def build_caches(
    folders: Sequence[Path],
    fingerprint: str,
    chunks: Iterable[Sequence[Chunk]],
    progress: Progress = Silent(),  # noqa: B008 (has no state)
) -> list[ArrayCache]:
    """Writes caches that come of one reading, each with rows of its own; see `build_cache`.

    Args:
        folders: where each goes. Among shared data (`kerasft.runs.shared_data`) the fingerprint is added to its name,
            so that runs with other encoders keep theirs.
        fingerprint: of what they are made from.
        chunks: a lot of rows for each.
        progress: where it is told that one there is damaged, and all are made anew.

    Raises:
        DataError: one has no rows.
    """
    place = find_place(folders[0])
    if place is None:
        return _find_caches(folders, fingerprint, progress) or _write_caches(folders, fingerprint, chunks)
    folders = [folder.with_name(f"{folder.name}-{fingerprint}") for folder in folders]
    # where they are whole, a folder that is read-only will do
    found = _find_caches(folders, fingerprint, Silent())
    if found is not None:
        return found
    with written_by_one(place, progress):
        return _find_caches(folders, fingerprint, progress) or _write_caches(folders, fingerprint, chunks)


def _find_caches(folders: Sequence[Path], fingerprint: str, progress: Progress) -> list[ArrayCache] | None:
    """Those that are there already; None where one is missing, of something else, or damaged."""
    try:
        if all((folder / INDEX_FILE).exists() for folder in folders):
            caches = [ArrayCache(folder) for folder in folders]
            if all(cache.fingerprint == fingerprint for cache in caches):
                return caches
    except DamagedError as error:
        progress.warn(f"{error.where}: {error.what.rstrip('.')}. It is rebuilt.")
    return None


def _write_caches(
    folders: Sequence[Path], fingerprint: str, chunks: Iterable[Sequence[Chunk]]
) -> list[ArrayCache]:
    for folder in folders:
        check_replaceable(folder)
    with ExitStack() as stack:
        writers = [_Writer(stack.enter_context(whole_folder(folder))) for folder in folders]
        for lots in chunks:
            for writer, chunk in zip(writers, lots, strict=True):
                writer.add(chunk)
        for writer in writers:
            writer.finish(fingerprint)
    return [ArrayCache(folder, is_checked=False) for folder in folders]


class _Writer:
    def __init__(self, folder: Path):
        self.folder = folder
        self.rows = 0
        self.columns: dict[str, dict] = {}
        self.files: dict[str, BinaryIO] = {}

    def _open(self, name: str):
        if name not in self.files:
            self.files[name] = open(self.folder / name, "wb")  # noqa: SIM115 (closed in finish)
        return self.files[name]

    def add(self, chunk: Chunk) -> None:
        counts = {len(values) for values in chunk.values()}
        if len(counts) != 1:
            raise ValueError(f"columns of different lengths: { {k: len(v) for k, v in chunk.items()} }")
        if self.rows and set(chunk) != set(self.columns):
            raise ValueError(f"columns {sorted(chunk)} in one lot, {sorted(self.columns)} in those before")
        for name, values in chunk.items():
            if isinstance(values, list):
                self._add_ragged(name, values)
            else:
                array = np.ascontiguousarray(values)
                self.columns.setdefault(
                    name, {"kind": "fixed", "dtype": array.dtype.str, "shape": [0, *array.shape[1:]]}
                )
                self._check_like(name, "fixed", array)
                self.columns[name]["shape"][0] += len(array)
                self._open(f"{name}.values").write(array.tobytes())
        self.rows += counts.pop()

    def _add_ragged(self, name: str, values: list[np.ndarray]) -> None:
        if not values:
            return
        flat = np.ascontiguousarray(np.concatenate(values))
        column = self.columns.setdefault(name, {"kind": "ragged", "dtype": flat.dtype.str, "shape": [0]})
        self._check_like(name, "ragged", flat)
        offsets = self._open(f"{name}.offsets")
        if self.rows == 0 and column["shape"][0] == 0:
            offsets.write(np.zeros(1, np.int64).tobytes())
        ends = column["shape"][0] + np.cumsum([len(value) for value in values], dtype=np.int64)
        offsets.write(ends.tobytes())
        column["shape"][0] += len(flat)
        self._open(f"{name}.values").write(flat.tobytes())

    def _check_like(self, name: str, kind: str, array: np.ndarray) -> None:
        column = self.columns[name]
        before = (column["kind"], column["dtype"], column["shape"][1:])
        if (kind, array.dtype.str, list(array.shape[1:])) != before:
            raise ValueError(
                f"column {name}: {kind} {array.dtype.str} {list(array.shape[1:])} in one lot, {before} before"
            )

    def finish(self, fingerprint: str) -> None:
        for file in self.files.values():
            file.close()
        if self.rows == 0:
            raise DataError(
                "There are no examples to encode.",
                fix="Check the warnings of `prepare`: were all rows rejected?",
            )
        write_json(
            self.folder / INDEX_FILE,
            {"fingerprint": fingerprint, "rows": self.rows, "columns": self.columns},
        )
        write_hashes(self.folder)
