"""Writes the answers of `kerasft predict`, one by one: as JSON lines, as CSV, or as texts with highlighted entities."""

from __future__ import annotations

import csv
import html
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from kerasft.cli.streams import get_direct
from kerasft.cli.tables import is_terminal
from kerasft.errors import ConfigError
from kerasft.printable import format_json, make_line, make_printable

if TYPE_CHECKING:
    from kerasft.tasks.display import Display


class Format(StrEnum):
    """How predictions are written."""

    JSONL = "jsonl"
    CSV = "csv"


def choose_format(format: Format | None, to: Path | None) -> Format:
    """The format asked for, or the one that the file's name ends in."""
    return format or (Format.CSV if to and to.suffix.lower() == ".csv" else Format.JSONL)


@contextmanager
def open_output(to: Path | None) -> Iterator[TextIO]:
    """Standard output, a device or pipe, or a file that is there whole or not at all."""
    if to is None:
        yield sys.stdout
        return
    from kerasft.files import whole_file

    if to.exists() and not to.is_file() and not to.is_dir():  # a device or a pipe, such as /dev/stdout
        with open(to, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
            yield stream
        return
    with (
        whole_file(to) as temporary,
        open(temporary, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
    ):
        yield stream


def merge_columns(
    answer: Mapping[str, Any], columns: Mapping[str, Any], keys: Iterable[str]
) -> dict[str, Any]:
    """An answer with the other columns of its row behind it; a column named like one of an answer's is `input_NAME`.

    Args:
        answer: what is said of the row.
        columns: what else the row holds.
        keys: the names that answers may have.
    """
    merged, taken = dict(answer), set(keys)
    for name, value in columns.items():
        while name in taken:
            name = f"input_{name}"
        taken.add(name)
        merged[name] = value
    return merged


class Writer:
    """Writes answers as they come.

    Args:
        stream: where to.
        flush_every: answers.
        advance: called after each.
    """

    def __init__(self, stream: TextIO, flush_every: int = 1, advance: Callable[[], Any] = lambda: None):
        self.stream, self._flush_every, self._advance = stream, flush_every, advance

    def write_all(self, answers: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> None:
        """Writes (answer, the row's other columns) of each row."""
        for number, (answer, columns) in enumerate(answers, 1):
            self.write(answer, columns)
            if number % self._flush_every == 0:
                self.stream.flush()
            self._advance()
        self.stream.flush()

    def write(self, answer: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
        raise NotImplementedError


class JsonLinesWriter(Writer):
    """An object a line, in which everything that could command a terminal is escaped.

    Args:
        stream, flush_every, advance: as of any.
        keys: those that an answer may have.
    """

    def __init__(
        self,
        stream: TextIO,
        flush_every: int = 1,
        advance: Callable[[], Any] = lambda: None,
        *,
        keys: Sequence[str] = (),
    ):
        super().__init__(stream, flush_every, advance)
        encoding = (getattr(stream, "encoding", None) or "utf-8").lower()
        self._keys, self._ascii_only = keys, not encoding.startswith("utf")

    def write(self, answer: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
        merged = merge_columns(answer, columns, self._keys)
        try:
            line = format_json(merged, ascii_only=self._ascii_only, allow_nan=False)
        except ValueError:  # NaN and infinity are no JSON
            line = format_json(_without_nan(merged), ascii_only=self._ascii_only)
        self.stream.write(line + "\n")


def _without_nan(value: Any) -> Any:
    """Null in the place of numbers that JSON has none of."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_nan(part) for key, part in value.items()}
    return [_without_nan(part) for part in value] if isinstance(value, list | tuple) else value


class CsvWriter(Writer):
    """A table: the inputs, the answer in the columns that its task has, remarks, the row's other columns.

    An answer of several parts, such as boxes, has a row for each, with the same inputs, remarks and other columns.

    Text that a spreadsheet would take for a formula begins with an apostrophe; numbers stay numbers.

    Args:
        stream, flush_every, advance: as of any.
        inputs: keys of what was asked.
        display: of the answers.
        remarks: keys of what is said besides the answer.
        others: the names of the rows' other columns.
    """

    def __init__(
        self,
        stream: TextIO,
        flush_every: int = 1,
        advance: Callable[[], Any] = lambda: None,
        *,
        inputs: Sequence[str],
        display: Display,
        remarks: Sequence[str] = (),
        others: Iterable[str] = (),
    ):
        super().__init__(stream, flush_every, advance)
        self._inputs, self._display, self._remarks, self._others = inputs, display, remarks, list(others)
        names = [*inputs, *display.list_columns(), *remarks]
        if len(set(names)) < len(names):
            raise ConfigError(
                f"The answers have a column that is called like another: {', '.join(names)}.",
                where="--format csv",
                fix="Write JSON lines: --format jsonl.",
            )
        # what goes into a file is data; on a terminal it is shown
        self._table = csv.writer(stream if stream.isatty() else get_direct(stream), lineterminator="\n")
        self._write(merge_columns(dict.fromkeys(names), dict.fromkeys(self._others), names))

    def write(self, answer: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
        for cells in self._display.list_rows(answer):
            self._write(
                [
                    *(answer.get(key) for key in self._inputs),
                    *cells,
                    *(answer.get(key) for key in self._remarks),
                    *(columns.get(name) for name in self._others),
                ]
            )

    def _write(self, cells: Iterable[Any]) -> None:
        self._table.writerow([guard_cell(cell) for cell in cells])


_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def guard_cell(value: Any) -> Any:
    """A table's cell that no spreadsheet takes for a formula.

    Text that begins with `=`, `+`, `-`, `@` (also in their wide forms, or behind white space), a tab or a line end has
    an apostrophe put before it, by which spreadsheets mark text. Numbers stay, also those written as text (`-1.5`).
    Lists and sections become JSON.
    """
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    text = value if isinstance(value, str) else format_json(value)
    if _NUMBER.fullmatch(text):
        return text
    risky = text[:1] in ("\t", "\r", "\n") or text.lstrip()[:1] in (
        "=",
        "+",
        "-",
        "@",
        "＝",
        "＋",
        "－",
        "＠",
    )
    return f"'{text}" if risky else text


class MarkedTextWriter(Writer):
    """Texts in which what was found is marked: for a terminal, or as an HTML page.

    Args:
        stream, flush_every, advance: as of any.
        display: of the answers.
        as_page: whether it becomes HTML.
    """

    def __init__(
        self,
        stream: TextIO,
        flush_every: int = 1,
        advance: Callable[[], Any] = lambda: None,
        *,
        display: Display,
        as_page: bool,
    ):
        super().__init__(stream, flush_every, advance)
        self._display, self._as_page = display, as_page
        self._in_colour = is_terminal(stream)

    def write_all(self, answers: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> None:
        if not self._as_page:
            return super().write_all(answers)
        from kerasft.plots.highlighting import PAGE, STYLE

        self.stream.write(PAGE.format(title=html.escape(self._display.marked_title), style=STYLE))
        super().write_all(answers)
        self.stream.write("</body></html>\n")

    def write(self, answer: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
        error = answer.get("error")
        if self._as_page:
            shown = html.escape(make_printable(f"({error})")) if error else self._display.mark_as_html(answer)
            self.stream.write(f'<p dir="auto">{shown}</p>\n')
            return
        shown = f"({make_line(error)})" if error else self._display.mark(answer, in_colour=self._in_colour)
        get_direct(self.stream).write(shown + "\n")
