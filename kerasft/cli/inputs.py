"""Reads the inputs of `kerasft predict`: texts, picture files, folders, globs, and lists of them in files and pipes."""

from __future__ import annotations

import heapq
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from kerasft.cli.input_files import find_files
from kerasft.data.kinds.fields import Field
from kerasft.errors import ConfigError, DataError

if TYPE_CHECKING:
    from kerasft.data.kinds.base import Kind

TABLES = (".csv", ".tsv", ".jsonl")
MAX_COLUMNS = 10_000
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


def choose_rows(words: list[str], source: Source, kinds: Kinds) -> Rows:
    """The rows; those of files are read while they are consumed.

    Raises:
        ConfigError: there are none, or they come from two places.
        DataError: no file is where the words say; or (while reading) a file cannot be read.
    """
    inputs, path_name = name_inputs(kinds), find_single_file(kinds)
    if words and source.path is not None:
        raise ConfigError(
            f"{inputs.capitalize()} are given both on the command line and by --input.",
            where="predict",
            fix="Give them one way or the other.",
        )
    if source.columns and not source.is_table:
        raise ConfigError(
            "Only tables have columns.",
            where="--column",
            fix="Leave it out, or give a .csv, .tsv or .jsonl file by --input.",
        )
    if words and path_name:
        return [Row({path_name: path}) for path in find_files(words)]
    if words:
        lines = [Row({"": word}, where=f"argument {number}") for number, word in enumerate(words, 1)]
        return list(_read_values(lines, kinds))
    if source.path is None and sys.stdin.isatty():
        raise ConfigError(
            f"There are no {inputs}.",
            where="predict",
            fix=f"Give them {_describe_words(kinds)}, by --input FILE, or through a pipe.",
        )
    rows, folder = _open_source(source, kinds)
    return locate_files(rows, folder, kinds)


def _describe_words(kinds: Kinds) -> str:
    if find_single_file(kinds):
        return "as file, folder or glob arguments"
    return 'as "…" arguments' if len(kinds) == 1 else f"as '{show_object(kinds)}' arguments"


def show_object(kinds: Kinds) -> str:
    """A row of several inputs, as it is asked for."""
    return "{" + ", ".join(f'"{name}": …' for name in kinds) + "}"


def _read_values(lines: Iterable[Row], kinds: Kinds) -> Iterator[Row]:
    """What lines or arguments mean: the only input's value, or an object with all of them."""
    if len(kinds) == 1:
        (name,) = kinds
        for row in lines:
            where = "" if row.where.startswith("argument ") else row.where
            yield replace(row, values=row.values and {name: row.values[""]}, where=where)
        return
    from kerasft.data.kinds.fields import InvalidValue
    from kerasft.data.sources.json_lines import read_object
    from kerasft.data.sources.lines import Line

    for row in lines:
        if row.values is None:
            yield row
            continue
        try:
            values = read_object(Line(0, row.values[""], "", ""), [*kinds, ""])
        except InvalidValue as error:
            message = ": ".join(filter(None, (error.reason, error.detail)))
            yield replace(row, values=None, problem=f"{message}; expected {show_object(kinds)}")
        else:
            yield _make_row(values, list(kinds), kinds, row.where)


def _open_source(source: Source, kinds: Kinds) -> tuple[Iterator[Row], Path]:
    """The rows, and the folder that paths in them start from."""
    if source.path in (None, "-"):
        lines = read_lines(sys.stdin.buffer, "standard input", kinds, source.encoding)
        return _read_values(lines, kinds), Path()
    path = Path(str(source.path))
    if not os.path.isfile(path):
        raise DataError("There is no such file.", where=str(path))
    if source.is_table:
        return read_table(path, source, kinds), path.parent
    return _read_values(_read_text_file(path, kinds, source.encoding), kinds), path.parent


def _read_text_file(path: Path, kinds: Kinds, encoding: str) -> Iterator[Row]:
    with open(path, "rb") as stream:
        yield from read_lines(stream, str(path), kinds, encoding)


def read_lines(stream: BinaryIO, name: str, kinds: Kinds, encoding: str = "utf-8") -> Iterator[Row]:
    """Each line, under no name, an empty one where the line is empty: answers keep their line's number.

    A line that the encoding does not allow has a problem; paths may hold any bytes.

    Raises:
        DataError: there is no such encoding, or a line is so long that it is no text.
    """
    from kerasft.data.sources.lines import MAX_LINE_BYTES

    codec = _check_encoding(encoding)
    errors = "surrogateescape" if find_single_file(kinds) and codec == "utf-8" else "strict"
    for number, line in enumerate(iter(lambda: stream.readline(MAX_LINE_BYTES + 1), b""), 1):
        where = f"{name}:{number}"
        if len(line) > MAX_LINE_BYTES:
            raise DataError(
                f"The line has more than {MAX_LINE_BYTES >> 20} MiB.",
                where=where,
                fix="Put one text on a line; --column reads tables.",
            )
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        try:
            yield Row({"": line.decode(codec, errors).rstrip("\r\n")}, where=where)
        except UnicodeDecodeError as error:
            message = f"byte 0x{line[error.start]:02X} is not {encoding.upper()}: --encoding names the file's"
            yield Row(None, where=where, problem=message)


def _check_encoding(encoding: str) -> str:
    from kerasft.data.encodings import find_codec

    try:
        return find_codec(encoding)
    except ValueError as error:
        raise ConfigError(f"It cannot be used: {error}.", where="--encoding") from error


def read_table(path: Path, source: Source, kinds: Kinds) -> Iterator[Row]:
    """The rows of a CSV, TSV or JSON lines file, read as in training, with all their columns.

    Raises:
        DataError: a column is not there, or the file as a whole cannot be read.
    """
    from kerasft.data.sources import SourceFile, read_rows

    _check_encoding(source.encoding)
    config = _describe_table(path, source, kinds)
    fields = [Field(name, "part") for name in (*kinds, "")]
    batches = read_rows(SourceFile(path, str(path)), config, fields)
    used = list(config.columns.values())
    while (batch := _next_batch(batches, len(kinds) > 1)) is not None:
        good = (
            (number, _make_row(values, used, kinds, f"{path}:{number}"))
            for number, values in zip(batch.rows, batch.values, strict=True)
        )
        bad = (
            (reject.row, Row(None, where=f"{path}:{reject.row}", problem=_describe_reject(reject)))
            for reject in batch.rejects
        )
        for _, row in heapq.merge(good, bad, key=lambda numbered: numbered[0]):
            yield row


def list_columns(source: Source, kinds: Kinds) -> list[str]:
    """The names of a table's columns besides those that are used; JSON lines are read through for them.

    Raises:
        DataError: as `read_table`; or there are too many for a table.
    """
    names: dict[str, None] = {}
    path = Path(str(source.path))
    for row in read_table(path, source, kinds):
        names |= dict.fromkeys(row.columns)
        if path.suffix.lower() != ".jsonl" and row.problem is None:
            break
        if len(names) > MAX_COLUMNS:
            raise DataError(
                f"The objects have more than {MAX_COLUMNS:,} different keys.",
                where=str(path),
                fix="Write JSON lines: --format jsonl.",
            )
    return list(names)


def _describe_table(path: Path, source: Source, kinds: Kinds) -> Any:
    from kerasft.data.config import CsvSource, JsonLinesSource

    is_csv = path.suffix.lower() != ".jsonl"
    columns: dict[str, Any] = {
        name: name if source.header or not is_csv else number for number, name in enumerate(kinds)
    }
    columns |= _read_columns(source.columns, kinds)
    if not is_csv:
        return JsonLinesSource(format="jsonl", path=str(path), columns=columns, encoding=source.encoding)
    return CsvSource(
        format="csv",
        path=str(path),
        delimiter="\t" if path.suffix.lower() == ".tsv" else ",",
        header=source.header,
        columns={name: int(place) if str(place).isdecimal() else place for name, place in columns.items()},
        encoding=source.encoding,
    )


def _read_columns(given: Sequence[str], kinds: Kinds) -> dict[str, str]:
    """An input's name → the column that `--column` gives it."""
    if len(kinds) == 1:
        if len(given) > 1:
            raise ConfigError(
                f"The model has one input, and {len(given)} columns are named.",
                where="--column",
                fix="Name one.",
            )
        return dict(zip(kinds, given, strict=False))
    columns: dict[str, str] = {}
    for pair in given:
        name, equals, column = pair.partition("=")
        if not equals or name not in kinds or name in columns:
            raise ConfigError(
                f"The model has several inputs: {', '.join(kinds)}.",
                where=f"--column {pair}",
                fix=" ".join(f"--column {name}=NAME" for name in kinds) + " names the column of each.",
            )
        columns[name] = column
    return columns


def _make_row(values: Sequence[Any], used: Sequence[str | int], kinds: Kinds, where: str) -> Row:
    """A row of the inputs' values and, behind them, the whole row, of which some columns are used."""
    *given, whole = values
    names = list(whole)
    taken = {names[place] if isinstance(place, int) else place for place in used}
    columns = {name: cell for name, cell in whole.items() if name not in taken}
    for value, (name, kind) in zip(given, kinds.items(), strict=True):
        if kind.column_of != "anything" and not isinstance(value, str):
            from kerasft.printable import format_json

            message = f"not a string but {format_json(value)[:100]}"
            return Row(None, columns, where, message if len(kinds) == 1 else f"{name}: {message}")
    return Row(dict(zip(kinds, given, strict=True)), columns, where)


def _describe_reject(reject: Any) -> str:
    reason = f"{reject.reason}: {reject.detail}" if reject.detail else str(reject.reason)
    return f"{reason}; --encoding names the file's" if reason.startswith("invalid ") else reason


def _next_batch(batches: Iterator[Any], has_several: bool) -> Any:
    """The next one; what a config's keys would mend, this command's options do."""
    try:
        return next(batches, None)
    except DataError as error:
        pair = "INPUT=" if has_several else ""
        fixes = {
            "columns: {": f"Name the column: --column {pair}NAME; by its number, from 0, in a file without a header: "
            f"--no-header --column {pair}0.",
            "delimiter: ": "Commas separate the columns of a .csv, tabs those of a .tsv.",
            "Set encoding to": "Name the file's encoding: --encoding NAME.",
        }
        fix = next((hint for key, hint in fixes.items() if key in (error.fix or "")), error.fix)
        if named := re.match(r"Set encoding: ([\w-]+)", fix or ""):
            fix = f"Add --encoding {named[1]}."
        raise DataError(error.what, where=error.where, fix=fix) from error


def locate_files(rows: Iterable[Row], folder: Path, kinds: Kinds) -> Iterator[Row]:
    """The rows with files' paths that start from the folder of their list, as those of training data do.

    Where files are all that is asked about, empty lines are left out.
    """
    names, only = [name for name, kind in kinds.items() if kind.is_file], find_single_file(kinds)
    for row in rows:
        if row.values is None or not names:
            yield row
        elif only is None or row.values[only].strip():
            paths = {name: str(folder / row.values[name]) for name in names}
            yield replace(row, values={**row.values, **paths})
