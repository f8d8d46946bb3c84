"""Lines of a file that become known in another order than they stand in."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any, Self

import numpy as np

from kerasft.files import whole_file


class OrderedLines:
    """Writes a file whose lines are given in any order, each with its number. A context manager.

    Lines wait in a hidden file beside it: memory holds 16 bytes of each, and 24 more at the end.

    Args:
        path: the file; it is there when all lines are.
    """

    def __init__(self, path: Path):
        self._path, self._waiting = path, path.with_name(f".{path.name}.waiting")
        self._numbers, self._lengths = array("q"), array("q")  # of the lines in the order they were given

    def __enter__(self) -> Self:
        self._file: Any = open(self._waiting, "w+b")
        return self

    def write(self, number: int, line: str) -> None:
        """Takes the line of one number; of each there is one."""
        data = f"{line}\n".encode()
        self._file.write(data)
        self._numbers.append(number)
        self._lengths.append(len(data))

    def __exit__(self, kind: Any, *exception: Any) -> None:
        try:
            if kind is None:
                with whole_file(self._path) as temporary, open(temporary, "wb") as file:
                    lengths = np.frombuffer(self._lengths, np.int64)
                    starts = np.cumsum(lengths) - lengths
                    for place in np.argsort(np.frombuffer(self._numbers, np.int64)).tolist():
                        self._file.seek(int(starts[place]))
                        file.write(self._file.read(int(lengths[place])))
        finally:
            self._file.close()
            self._waiting.unlink(missing_ok=True)
