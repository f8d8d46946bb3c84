"""Validation and test splits that are the first or the last part of train's own files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kerasft.data.config import TrainPart
from kerasft.data.kinds.base import ReadValue

TRAIN = "train"


class Segment(NamedTuple):
    """Consecutive rows of one split."""

    split: str
    rows: int


def lay_out(parts: Mapping[str, TrainPart], total: int) -> list[tuple[str, int]]:
    """Where the parts of train's files end, from the first to the last.

    Args:
        parts: split → its part of train's files.
        total: what there is of them, in bytes or examples.

    Returns:
        (split, end) in their order; the last end is `total`. `test` is further out than `validation`.
    """
    ends: list[tuple[str, int]] = []
    first, last = 0.0, 0.0
    for name in ("test", "validation"):
        if name in parts and parts[name].first is not None:
            first += parts[name].share
            ends.append((name, int(total * first)))
    after = []
    for name in ("test", "validation"):
        if name in parts and parts[name].last is not None:
            after.append((name, int(total * (1 - last))))
            last += parts[name].share
    return [*ends, (TRAIN, int(total * (1 - last))), *reversed(after)]


class ByteCutter:
    """Assigns train's rows to parts by bytes; the rows at the boundaries are cut in two.

    Args:
        ends: of `lay_out`, in bytes.
        counts_lines: whether a row's number is that of its first line, and line ends in it count.

    Attributes: `rows`, how many rows each part has so far.
    """

    def __init__(self, ends: Sequence[tuple[str, int]], counts_lines: bool):
        self._ends = [end for _, end in ends]
        self._names = [name for name, _ in ends]
        self._counts_lines = counts_lines
        self._place = self._part = 0
        self.rows = [0] * len(ends)

    @property
    def segments(self) -> list[Segment]:
        """The parts, in their order."""
        return list(map(Segment, self._names, self.rows))

    def cut(self, values: Sequence[ReadValue], rows: Sequence[int]) -> tuple[list[ReadValue], list[int]]:
        """Takes train's next values and the numbers of their rows; gives them with those at a boundary in two."""
        pieces: list[ReadValue] = []
        numbers: list[int] = []
        for value, row in zip(values, rows, strict=True):
            rest = value.payload
            while rest:
                room = self._ends[self._part] - self._place
                if self._part + 1 < len(self._ends) and room < len(rest):
                    size = _find_boundary(rest, room)
                else:
                    size = len(rest)
                if size:
                    pieces.append(value._replace(payload=rest[:size]))
                    numbers.append(row)
                    self.rows[self._part] += 1
                    row += rest.count(b"\n", 0, size) if self._counts_lines else 0
                self._place += size
                rest = rest[size:]
                self._part += bool(rest)
        return pieces, numbers


def _find_boundary(text: bytes, place: int) -> int:
    """The last place up to this one at which a character of UTF-8 begins."""
    while place and text[place] & 0xC0 == 0x80:
        place -= 1
    return place
