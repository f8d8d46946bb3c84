"""CSV and its like: one row an example, columns by name or by number."""

from __future__ import annotations

import csv
import difflib
import json
import unicodedata
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

from kerasft.data.config import CsvSource
from kerasft.data.fields import Field, spell_label, spell_labels
from kerasft.data.sources.lines import LINE_TOO_LONG, Line, read_lines
from kerasft.data.sources.paths import SourceFile
from kerasft.data.sources.rows import RawBatch, Reject, shorten
from kerasft.errors import DataError


class _Row(NamedTuple):
    number: int
    cells: list[str]
    problem: tuple[str, str]
    """Reason and detail; both empty where the row can be used."""
    content: str


_FINE = ("", "")
_SPELLINGS: dict[str, Callable[[str], str]] = {"label": spell_label, "labels": spell_labels}
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
_PROBE_ROWS = 1000
_SHOWN_COLUMNS = 20
_PROBE_COLUMNS = 1000
_BATCH_CHARACTERS = 1 << 17
_MAX_ROW_CHARACTERS = 1 << 20
"""Of a row over several lines: quotes that do not pair up can make one row of a whole file."""

_MAX_READ_TWICE = 32 << 20


def read_rows(file: SourceFile, source: CsvSource, fields: Sequence[Field]) -> Iterator[RawBatch]:
    """Streams the file's rows; empty lines are skipped.

    Without a header, the number of columns is that of most of the first 1,000 rows. A field without a name stands for
    the row whole, `{column: cell}`.

    Raises:
        DataError: a configured column is not there, or quotes pair up so badly that rows do not end.
    """
    quoting = (
        source.quoting if source.quoting != "auto" else ("none" if source.delimiter == "\t" else "minimal")
    )
    split = _split_plainly if quoting == "none" else _split_quoted
    batches = split(read_lines(file, source.encoding), source, file.name)
    first = next(batches, None)
    if first is None:
        return
    rows, size = first
    while len(rows) <= source.header and (more := next(batches, None)):
        rows, size = rows + more[0], size + more[1]
    if source.header and rows:
        if rows[0].problem[0]:
            raise DataError(
                f"The header cannot be read: {': '.join(filter(None, rows[0].problem))}.",
                where=f"{file.name}:{rows[0].number}",
                fix="Set encoding to the file's."
                if rows[0].problem[0].startswith("invalid ")
                else "Mend it, or set quoting: none if quotes are ordinary characters.",
            )
        header = [unicodedata.normalize("NFC", name.strip()) for name in rows.pop(0).cells]
        _check_header(file, source, fields, header, rows)
        indices = [_find_column(file, source, field.name, header) if field.name else None for field in fields]
        names = _tell_apart(header)
    else:
        count = _count_columns(rows)
        indices = [
            _check_number(file, source, field.name, count) if field.name else None for field in fields if rows
        ]
        _check_first_row(file, fields, rows, indices)
        names = [f"column_{number}" for number in range(count)]
    for part, part_size in chain([(rows, size)], batches):
        yield _take_columns(part, part_size, names, indices, fields)


def _tell_apart(header: list[str]) -> list[str]:
    """The columns' names, each once: a second `a` is `a (2)`."""
    names: dict[str, None] = {}
    for name in header:
        number, unique = 1, name
        while unique in names:
            number += 1
            unique = f"{name} ({number})"
        names[unique] = None
    return list(names)


def _take_columns(
    rows: list[_Row], size: int, names: list[str], indices: list[int | None], fields: Sequence[Field]
) -> RawBatch:
    count = len(names)
    batch = RawBatch(size_bytes=size)
    whole = None in indices
    spellings = [(i, _SPELLINGS[field.kind]) for i, field in enumerate(fields) if field.kind in _SPELLINGS]
    for number, cells, problem, content in rows:
        if not problem[0]:
            if len(cells) == count:
                batch.rows.append(number)
                values: list[Any] = [cells[i] for i in indices if i is not None]
                if whole:
                    values = [
                        dict(zip(names, cells, strict=True)) if i is None else cells[i] for i in indices
                    ]
                for place, spell in spellings:
                    values[place] = spell(values[place])
                batch.values.append(tuple(values))
                continue
            if "\0" in content:
                problem = ("NUL character", f"at character {content.index(chr(0))} of the row")
            else:
                problem = ("wrong column count", f"expected {count}, found {len(cells)}")
        batch.rejects.append(Reject(number, *problem, shorten(content)))
    return batch


def _split_plainly(
    blocks: Iterator[tuple[list[Line], int]], source: CsvSource, name: str
) -> Iterator[tuple[list[_Row], int]]:
    """Quotes are ordinary characters: a line is a row, cut at each delimiter."""
    delimiter = source.delimiter
    for lines, size in blocks:
        rows = []
        for number, text, reason, detail in lines:
            content = text.rstrip("\r\n")
            if content:
                rows.append(_Row(number, content.split(delimiter), (reason, detail), content))
        yield rows, size


def _split_quoted(
    blocks: Iterator[tuple[list[Line], int]], source: CsvSource, name: str
) -> Iterator[tuple[list[_Row], int]]:
    """Python's `csv`, strict. After a row that it cannot read, reading goes on with the line below the row's first,
    so that a quote that is never closed costs one row."""
    feed = _Feed(blocks)
    rows: list[_Row] = []
    characters = 0
    while True:
        reader = csv.reader(feed, delimiter=source.delimiter, strict=True)
        try:
            for cells in reader:
                taken = feed.take()
                problem = next(((line.reason, line.detail) for line in taken if line.reason), _FINE)
                if cells:
                    rows.append(_Row(taken[0].number, cells, problem, taken[0].text))
                characters += sum(len(line.text) for line in taken)
                if len(rows) >= _PROBE_ROWS or characters >= _BATCH_CHARACTERS:
                    yield rows, feed.take_size()
                    rows, characters = [], 0
            break
        except csv.Error as error:
            line = feed.retry_after_first()
            if feed.is_lost():
                raise DataError(
                    "Quotes do not pair up: time and again a row does not end.",
                    where=f"{name}:{line.number}",
                    fix="Set quoting: none if quotes are ordinary characters, or double those inside a field.",
                ) from error
            problem = (line.reason, line.detail) if line.reason else ("broken quoting", _explain(error))
            rows.append(_Row(line.number, [], problem, line.text))
    yield rows, feed.take_size()


def _explain(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return "a quote is opened and not closed"
    if "field larger" in str(error):
        return f"a quote is not closed within {csv.field_size_limit():,} characters"
    return str(error)


class _RowDoesNotEndError(csv.Error):
    pass


class _Feed(Iterator[str]):
    """Hands lines to `csv.reader`, and remembers those of the row it is at."""

    def __init__(self, blocks: Iterator[tuple[list[Line], int]]):
        self._blocks = blocks
        self._waiting: deque[Line] = deque()
        self._taken: list[Line] = []
        self._taken_characters = 0
        self._read = self._read_twice = 0
        self._size = 0

    def __next__(self) -> str:
        while not self._waiting:
            lines, size = next(self._blocks)
            self._waiting.extend(lines)
            self._size += size
            self._read += size
        line = self._waiting.popleft()
        self._taken.append(line)
        if line.reason == LINE_TOO_LONG:  # what its quotes would be is not known
            raise _RowDoesNotEndError(f"a quote is not closed before line {line.number}, which is too long")
        if len(self._taken) > 1 and self._taken_characters > _MAX_ROW_CHARACTERS:
            raise _RowDoesNotEndError(f"the row does not end within {_MAX_ROW_CHARACTERS:,} characters")
        self._taken_characters += len(line.text)
        return line.text

    def take(self) -> list[Line]:
        """The lines of the row that the reader has just finished."""
        taken, self._taken, self._taken_characters = self._taken, [], 0
        return taken

    def take_size(self) -> int:
        size, self._size = self._size, 0
        return size

    def retry_after_first(self) -> Line:
        """Gives up the first line of the row under way and hands out the others once more."""
        self._read_twice += self._taken_characters
        first, *others = self.take()
        self._waiting.extendleft(reversed(others))
        return first

    def is_lost(self) -> bool:
        """Whether so much was read in vain that an end is not in sight."""
        return self._read_twice > _MAX_READ_TWICE + 16 * self._read


def _count_columns(rows: list[_Row]) -> int:
    counts = Counter(len(row.cells) for row in rows[:_PROBE_ROWS] if not row.problem[0])
    return counts.most_common(1)[0][0] if counts else 0


def _check_header(
    file: SourceFile, source: CsvSource, fields: Sequence[Field], header: Sequence[str], rows: Sequence[_Row]
) -> None:
    """Refuses a header that is an example: what it holds for a label stands in other rows' column as well.

    The column is the label's where that is told by its number; where the header has none of the task's names, any.
    """
    columns = [source.columns.get(field.name, field.name) for field in fields]
    labels = [column for field, column in zip(fields, columns, strict=True) if field.kind == "label"]
    if not labels:
        return
    unnamed = not any(column in header for column in columns if isinstance(column, str))
    numbered = [column for column in labels if isinstance(column, int) and column < len(header)]
    places = numbered or (range(len(header)) if unnamed else ())
    others = [row for row in rows[:_PROBE_ROWS] if len(row.cells) == len(header)]
    for place in places:
        found = sum(header[place] == row.cells[place] for row in others)
        if found and (10 * found >= len(others) or numbered):
            others_place = 1 - place if len(header) == 2 else "…"
            numbers = [place if field.kind == "label" else others_place for field in fields]
            told = ", ".join(f"{field.name}: {number}" for field, number in zip(fields, numbers, strict=True))
            raise DataError(
                f"The first row is taken for a header, and looks like an example: its {shorten(header[place])!r} "
                f"stands in the same column of {found:,} of the next {len(others):,} rows.",
                where=f"{file.name}:1",
                fix="Set header: false."
                if numbered
                else f"Set header: false, and columns: {{{told}}} (their numbers, from 0).",
            )


def _check_first_row(
    file: SourceFile, fields: Sequence[Field], rows: Sequence[_Row], indices: Sequence[int | None]
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


def _find_column(file: SourceFile, source: CsvSource, name: str, header: list[str]) -> int:
    column = source.columns.get(name, name)
    if isinstance(column, int):
        return _check_number(file, source, name, len(header))
    column = unicodedata.normalize("NFC", column)
    if header.count(column) == 1:
        return header.index(column)
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
        + (" The delimiter may be another one." if len(header) == 1 else ""),
    )


def _check_number(file: SourceFile, source: CsvSource, name: str, count: int) -> int:
    column = source.columns.get(name)
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
