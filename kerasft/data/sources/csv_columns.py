"""Finds the columns of a CSV file, and checks whether its first row really is a header."""

from __future__ import annotations

import difflib
import json
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from kerasft.data.config import CsvSource
from kerasft.data.kinds.fields import Field, may_lack_column
from kerasft.data.sources.paths import SourceFile
from kerasft.data.sources.rows import shorten
from kerasft.errors import DataError

PROBE_ROWS = 1000
LACKING = -1
"""The place, behind all cells, of the value of an optional field without a column."""
_SHOWN_COLUMNS = 20
_PROBE_COLUMNS = 1000
_HEADER_NAMES = frozenset(
    [
        "label",
        "labels",
        "class",
        "classes",
        "category",
        "categories",
        "target",
        "sentiment",
        "tag",
        "tags",
        "y",
    ]
)


class Row(NamedTuple):
    number: int
    cells: list[str]
    problem: tuple[str, str]
    """Reason and detail; both empty where the row can be used."""
    content: str


def count_columns(rows: list[Row]) -> int:
    counts = Counter(len(row.cells) for row in rows[:PROBE_ROWS] if not row.problem[0])
    return counts.most_common(1)[0][0] if counts else 0


def check_header(
    file: SourceFile, source: CsvSource, fields: Sequence[Field], header: Sequence[str], rows: Sequence[Row]
) -> None:
    """Refuses a header that is an example: what it holds for a label stands in other rows' column as well.

    The column is the label's where that is told by its number; where the header has none of the task's names, any.
    """
    columns = [source.columns.get(field.name, field.name) for field in fields]
    labels = [column for field, column in zip(fields, columns, strict=True) if field.kind == "label"]
    if not labels or list(header) == [str(number) for number in range(len(header))]:
        return  # columns without names are written so by pandas
    unnamed = not any(column in header for column in columns if isinstance(column, str))
    numbered = [column for column in labels if isinstance(column, int) and column < len(header)]
    places = numbered or (range(len(header)) if unnamed else ())
    others = [row for row in rows[:PROBE_ROWS] if len(row.cells) == len(header)]
    for place in places:
        found = sum(header[place] == row.cells[place] for row in others)
        if found and (10 * found >= len(others) or numbered):
            others_place = 1 - place if len(header) == 2 else "…"
            numbers = [place if field.kind == "label" else others_place for field in fields]
            column_numbers = ", ".join(
                f"{field.name}: {number}" for field, number in zip(fields, numbers, strict=True)
            )
            raise DataError(
                f"The first row is read as the header, but looks like an example: its {shorten(header[place])!r} "
                f"is in the same column of {found:,} of the next {len(others):,} rows.",
                where=f"{file.name}:1",
                fix="Set header: false."
                if numbered
                else f"Set header: false, and columns: {{{column_numbers}}} (their numbers, from 0).",
            )


def check_first_row(
    file: SourceFile, fields: Sequence[Field], rows: Sequence[Row], indices: Sequence[int | None]
) -> None:
    """Refuses a first row that is a header."""
    for field, index in zip(fields, indices, strict=False):
        if field.kind != "label" or index is None:
            continue
        values = [row.cells[index] for row in rows if index < len(row.cells)]
        if values and values.count(values[0]) == 1 < len(values):
            name = values[0].strip().casefold()
            if name == field.name or name in _HEADER_NAMES:
                raise DataError(
                    f"The first row looks like a header: the column of {field.name!r} holds {shorten(values[0])!r} "
                    f"there, and in none of the next {len(values) - 1:,} rows.",
                    where=f"{file.name}:{rows[0].number}",
                    fix="Set header: true.",
                )


def find_column(file: SourceFile, source: CsvSource, field: Field, header: list[str]) -> int:
    """A field's column; `LACKING` where an optional one has none."""
    name = field.name
    column = source.columns.get(name, name)
    if isinstance(column, int):
        return check_number(file, source, field, len(header))
    column = unicodedata.normalize("NFC", column)
    if header.count(column) == 1:
        return header.index(column)
    if column not in header and may_lack_column(field, source.columns):
        return LACKING
    where = f"{file.name}:1"
    if column in header:
        raise DataError(
            f"{header.count(column)} columns are called {column!r}.",
            where=where,
            fix=f"Give the column's number, from 0: columns: {{{name}: {header.index(column)}}}",
        )
    shown = [repr(shorten(name)) for name in header[:_SHOWN_COLUMNS]]
    other = next((mark for mark in "\t;|," if mark in header[0]), None) if len(header) == 1 else None
    if other:
        raise DataError(
            f"There is one column, {shown[0]}, and none called {column!r}.",
            where=where,
            fix=f"Set delimiter: {json.dumps(other)}.",
        )
    near = difflib.get_close_matches(column, header[:_PROBE_COLUMNS], n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise DataError(
        f"There is no column {column!r}; there are {', '.join(shown)}{', …' if len(header) > len(shown) else ''}.",
        where=where,
        fix=f"{hint}Set columns: {{{name}: {near[0] if near else '…'}}}, "
        "or header: false if the first row is an example."
        + (" Perhaps the delimiter is a different one." if len(header) == 1 else ""),
    )


def check_number(file: SourceFile, source: CsvSource, field: Field, count: int) -> int:
    """The same where columns have no names."""
    name = field.name
    column = source.columns.get(name)
    if may_lack_column(field, source.columns):
        return LACKING
    if column is None or isinstance(column, str):
        raise DataError(
            f"Without a header, {name!r} needs a column's number" + (f", not {column!r}." if column else "."),
            where=file.name,
            fix=f"Set columns: {{{name}: 0}} (columns count from 0), or header: true.",
        )
    if not 0 <= column < count:
        raise DataError(
            f"There is no column {column} for {name!r}: rows have {count} column{'s' if count != 1 else ''}, "
            f"numbered from 0.",
            where=file.name,
            fix=f"Set columns: {{{name}: …}} to a number below {count}, or another delimiter.",
        )
    return column
