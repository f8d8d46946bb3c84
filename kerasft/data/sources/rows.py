"""What readers yield: raw rows with their line numbers, and rejected rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple

CONTENT_CHARACTERS = 200
"""How much of a rejected row is kept."""


class Reject(NamedTuple):
    """A row that cannot be used."""

    row: int
    """The line, from 1, at which the row starts."""
    reason: str
    """One of few, counted in the manifest."""
    detail: str
    """What is the matter in this row; may be empty."""
    content: str
    """The start of the row."""


@dataclass
class RawBatch:
    """Some consecutive rows of one file."""

    rows: list[int] = field(default_factory=list)
    """The line, from 1, at which each row starts."""
    values: list[tuple[Any, ...]] = field(default_factory=list)
    """A value for each of the task's fields, row by row."""
    rejects: list[Reject] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    """What had to be done to some rows, and to how many; counted in the manifest."""
    remarks: list[str] = field(default_factory=list)
    """What is worth saying of the file as a whole, as whole sentences."""
    warnings: list[str] = field(default_factory=list)
    """Likewise what is probably wrong in it."""
    size_bytes: int = 0
    """How much of the file the batch stands for."""


def shorten(content: str) -> str:
    """The start of a rejected row; bytes that could not be decoded are written \\xff, unpaired surrogates \\ud83d."""
    start = content[:CONTENT_CHARACTERS].rstrip("\r\n")
    try:
        return start.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return start.encode("utf-8", "backslashreplace").decode("utf-8")
