"""The rows that `kerasft predict` is asked about: what one holds, and how a file of them is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasft.data.kinds.base import Kind

JSON_LINES = (".jsonl", ".ndjson")
TABLES = (".csv", ".tsv", *JSON_LINES)
Kinds = Mapping[str, "Kind"]
"""An input's name → how its values are read. A model of several inputs is asked by objects or tables."""


@dataclass(frozen=True)
class Row:
    """What is asked of the model once.

    Args:
        values: by the inputs' names: texts, files' paths, numbers; None where the row could not be read.
        columns: what else a table's row holds.
        where: `file:line`; empty for what was named on the command line.
        problem: why it cannot be used, where that is known already.
    """

    values: Mapping[str, Any] | None
    columns: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    problem: str | None = None


Rows = Iterator[Row] | list[Row]


@dataclass(frozen=True)
class Source:
    """How a file of inputs is read.

    Args:
        path: the file; None or `-` for standard input.
        columns: the columns (name, or number from 0) or keys that hold the inputs, as `--column` gives them: `NAME`,
            or where there are several inputs `INPUT=NAME` of some.
        header: whether the first row of a table names its columns.
        encoding: of its characters.
    """

    path: str | None = None
    columns: Sequence[str] = ()
    header: bool = True
    encoding: str = "utf-8"

    @property
    def is_table(self) -> bool:
        return self.path is not None and Path(self.path).suffix.lower() in TABLES


def name_inputs(kinds: Kinds, *, plural: bool = True) -> str:
    """What messages call a row: `texts`, `pictures`, or where there are several inputs `examples`."""
    noun = next(iter(kinds.values())).noun if len(kinds) == 1 else "example"
    return f"{noun}s" if plural else noun


def find_single_file(kinds: Kinds) -> str | None:
    """The name of the only input, where that is a file."""
    name = next(iter(kinds))
    return name if len(kinds) == 1 and kinds[name].is_file else None


def list_optional(kinds: Kinds) -> set[str]:
    """The names of the inputs that a row may be without."""
    return {name for name, kind in kinds.items() if kind.field.optional}


def show_object(kinds: Kinds) -> str:
    """A row of several inputs, as it is asked for."""
    return "{" + ", ".join(f'"{name}": …' for name in kinds) + "}"
