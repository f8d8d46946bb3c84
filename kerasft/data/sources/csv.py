"""CSV and its like: one row an example, columns by name or by number."""

from __future__ import annotations

import csv
import unicodedata
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from kerasft.data.config import CsvSource
from kerasft.data.kinds import load_kind_class
from kerasft.data.kinds.base import Kind
from kerasft.data.kinds.fields import Field
from kerasft.data.sources.csv_columns import (
    LACKING,
    PROBE_ROWS,
    Row,
    check_first_row,
    check_header,
    check_number,
    count_columns,
    find_column,
)
from kerasft.data.sources.lines import LINE_TOO_LONG, Line, read_lines
from kerasft.data.sources.paths import SourceFile
from kerasft.data.sources.rows import RawBatch, Reject, shorten
from kerasft.errors import DataError

_FINE = ("", "")
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
                else "Correct it, or set quoting: none if quotes are ordinary characters.",
            )
        header = [unicodedata.normalize("NFC", name.strip()) for name in rows.pop(0).cells]
        check_header(file, source, fields, header, rows)
        indices = [find_column(file, source, field, header) if field.name else None for field in fields]
        names = _number_duplicates(header)
    else:
        count = count_columns(rows)
        indices = [
            check_number(file, source, field, count) if field.name else None for field in fields if rows
        ]
        check_first_row(file, fields, rows, indices)
        names = [f"column_{number}" for number in range(count)]
    for part, part_size in chain([(rows, size)], batches):
        yield _take_columns(part, part_size, names, indices, fields)


def _number_duplicates(header: list[str]) -> list[str]:
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
    rows: list[Row], size: int, names: list[str], indices: list[int | None], fields: Sequence[Field]
) -> RawBatch:
    count = len(names)
    batch = RawBatch(size_bytes=size)
    whole, lacking = None in indices, LACKING in indices
    spellings = [(i, load_kind_class(field.kind).spell) for i, field in enumerate(fields)]
    spellings = [(i, spell) for i, spell in spellings if spell is not Kind.spell]
    for number, cells, problem, content in rows:
        if not problem[0]:
            if len(cells) == count:
                batch.rows.append(number)
                found: list[Any] = [*cells, None] if lacking else cells
                values: list[Any] = [found[i] for i in indices if i is not None]
                if whole:
                    values = [
                        dict(zip(names, cells, strict=True)) if i is None else found[i] for i in indices
                    ]
                for place, spell in spellings:
                    if values[place] is not None:
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
) -> Iterator[tuple[list[Row], int]]:
    """Quotes are ordinary characters: a line is a row, cut at each delimiter."""
    delimiter = source.delimiter
    for lines, size in blocks:
        rows = []
        for number, text, reason, detail in lines:
            content = text.rstrip("\r\n")
            if content:
                rows.append(Row(number, content.split(delimiter), (reason, detail), content))
        yield rows, size


def _split_quoted(
    blocks: Iterator[tuple[list[Line], int]], source: CsvSource, name: str
) -> Iterator[tuple[list[Row], int]]:
    """Python's `csv`, strict. After a row that it cannot read, reading goes on with the line below the row's first,
    so that a quote that is never closed costs one row."""
    feed = _Feed(blocks)
    rows: list[Row] = []
    characters = 0
    while True:
        reader = csv.reader(feed, delimiter=source.delimiter, strict=True)
        try:
            for cells in reader:
                taken = feed.take()
                problem = next(((line.reason, line.detail) for line in taken if line.reason), _FINE)
                if cells:
                    rows.append(Row(taken[0].number, cells, problem, taken[0].text))
                characters += sum(len(line.text) for line in taken)
                if len(rows) >= PROBE_ROWS or characters >= _BATCH_CHARACTERS:
                    yield rows, feed.take_size()
                    rows, characters = [], 0
            break
        except csv.Error as error:
            line = feed.retry_after_first()
            if feed.is_lost():
                raise DataError(
                    "Quotes do not match: several rows never end.",
                    where=f"{name}:{line.number}",
                    fix="Set quoting: none if quotes are ordinary characters, or double those inside a field.",
                ) from error
            problem = (line.reason, line.detail) if line.reason else ("broken quoting", _explain(error))
            rows.append(Row(line.number, [], problem, line.text))
    yield rows, feed.take_size()


def _explain(error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return "a quote is never closed"
    if "field larger" in str(error):
        return f"a quote is not closed within {csv.field_size_limit():,} characters"
    return str(error)


class RowDoesNotEndError(csv.Error):
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
            raise RowDoesNotEndError(f"a quote is not closed before line {line.number}, which is too long")
        if len(self._taken) > 1 and self._taken_characters > _MAX_ROW_CHARACTERS:
            raise RowDoesNotEndError(f"the row does not end within {_MAX_ROW_CHARACTERS:,} characters")
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
