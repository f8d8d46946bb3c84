"""Lines of a file that become known in another order than they stand in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from kerasft.files import whole_file


class OrderedLines:
    """Writes a file whose lines are given in any order, each with its number. A context manager.

    Lines wait in a hidden file beside it, so that memory holds a few bytes of each.

    Args:
        path: the file; it is there when all lines are.
    """

    def __init__(self, path: Path):
        self._path, self._waiting = path, path.with_name(f".{path.name}.waiting")
        self._places: dict[int, tuple[int, int]] = {}  # number → where its line begins, and its length
        self._end = 0

    def __enter__(self) -> Self:
        self._file: Any = open(self._waiting, "w+b")
        return self

    def write(self, number: int, line: str) -> None:
        """Takes the line of one number; of each there is one."""
        data = f"{line}\n".encode()
        self._file.write(data)
        self._places[number] = self._end, len(data)
        self._end += len(data)

    def __exit__(self, kind: Any, *exception: Any) -> None:
        try:
            if kind is None:
                with whole_file(self._path) as temporary, open(temporary, "wb") as file:
                    for number in sorted(self._places):
                        start, length = self._places[number]
                        self._file.seek(start)
                        file.write(self._file.read(length))
        finally:
            self._file.close()
            self._waiting.unlink(missing_ok=True)
