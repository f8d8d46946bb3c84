"""Rows that `kerasft predict` is asked about, from tables: CSV, TSV and JSON lines, with their other columns."""

from __future__ import annotations

import csv
import heapq
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasft.cli.input_rows import JSON_LINES, Kinds, Row, Source, list_optional
from kerasft.data.kinds.fields import Field
from kerasft.errors import ConfigError, DataError

MAX_COLUMNS = 10_000
_MAX_HEADER = 1 << 20


def check_encoding(encoding: str) -> str:
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

    check_encoding(source.encoding)
    config = _describe_table(path, source, kinds)
    optional = list_optional(kinds)
    fields = [Field(name, "part", optional=name in optional) for name in (*kinds, "")]
    batches = read_rows(SourceFile(path, str(path)), config, fields)
    used = list(config.columns.values())
    is_first = True
    while (batch := _next_batch(batches, len(kinds) > 1)) is not None:
        if is_first and source.columns:
            _check_keys(batch, path, len(kinds) > 1)
        is_first = is_first and not batch.values and not batch.rejects
        good = (
            (number, make_row(values, used, kinds, f"{path}:{number}"))
            for number, values in zip(batch.rows, batch.values, strict=True)
        )
        bad = (
            (reject.row, Row(None, where=f"{path}:{reject.row}", problem=_describe_reject(reject)))
            for reject in batch.rejects
        )
        for _, row in heapq.merge(good, bad, key=lambda numbered: numbered[0]):
            yield row


def _check_keys(batch: Any, path: Path, has_several: bool) -> None:
    """Refuses a key of JSON lines that none of a file's first objects has; a table's header was looked at before.

    Raises:
        DataError: none has it.
    """
    from kerasft.data.sources.json_lines import MISSING_KEY

    if batch.values or not batch.rejects or any(reject.reason != MISSING_KEY for reject in batch.rejects):
        return
    objects = f"None of the first {len(batch.rejects):,} objects" if len(batch.rejects) > 1 else "No object"
    raise DataError(
        f"{objects} has the key that --column names. The first: {batch.rejects[0].detail}.",
        where=f"{path}:{batch.rejects[0].row}",
        fix=f"Name the key: --column {'INPUT=' * has_several}NAME; with dots, if it is inside of an object.",
    )


def list_columns(source: Source, kinds: Kinds) -> list[str]:
    """The names of a table's columns besides those that are used; JSON lines are read through for them.

    Raises:
        DataError: as `read_table`; or there are too many for a table.
    """
    names: dict[str, None] = {}
    path = Path(str(source.path))
    for row in read_table(path, source, kinds):
        names |= dict.fromkeys(row.columns)
        if path.suffix.lower() not in JSON_LINES and row.problem is None:
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

    chosen = _read_columns(source.columns, kinds)
    if path.suffix.lower() in JSON_LINES:
        keys = {name: chosen.get(name, name) for name in kinds}
        return JsonLinesSource(format="jsonl", path=str(path), columns=keys, encoding=source.encoding)
    if not source.header and 0 < len(chosen) < len(kinds):
        raise ConfigError(
            f"Without a header, the columns of all inputs are to be named, or of none: {', '.join(kinds)}.",
            where="--column",
            fix=" ".join(f"--column {name}=NUMBER" for name in kinds),
        )
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    header = _read_header(path, delimiter, source.encoding) if source.header else ()
    columns: dict[str, int | str] = {}
    for number, name in enumerate(kinds):
        place = chosen.get(name, name if source.header else str(number))
        if kinds[name].field.optional and name not in chosen and source.header and place not in header:
            continue
        # a column may be called by a number, as pandas calls them
        columns[name] = int(place) if place.isdecimal() and place not in header else place
    return CsvSource(
        format="csv",
        path=str(path),
        delimiter=delimiter,
        header=source.header,
        columns=columns,
        encoding=source.encoding,
    )


def _read_header(path: Path, delimiter: str, encoding: str) -> Sequence[str]:
    """The names in the first row; none where it cannot be read, which is reported when all is read."""
    try:
        with open(path, encoding=encoding, newline="") as file:
            names = next(csv.reader([file.readline(_MAX_HEADER)], delimiter=delimiter), [])
    except (OSError, ValueError, LookupError, csv.Error):
        return ()
    return [name.removeprefix("\ufeff") for name in names]


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


def make_row(values: Sequence[Any], used: Sequence[str | int], kinds: Kinds, where: str) -> Row:
    """A row of the inputs' values and, behind them, the whole row, of which some columns are used."""
    *given, whole = values
    names = list(whole)
    taken = {_compose(names[place] if isinstance(place, int) else place) for place in used}
    if len(taken) < len(used):
        raise ConfigError(
            "Two inputs would be read from one column.",
            where="--column",
            fix=" ".join(f"--column {name}=NAME" for name in kinds) + " names the column of each.",
        )
    columns = {name: cell for name, cell in whole.items() if _compose(name) not in taken}
    for key in taken.difference(map(_compose, names)):
        columns = _leave_out(columns, key)
    given = [
        "" if kind.field.optional and value is None else value
        for value, kind in zip(given, kinds.values(), strict=True)
    ]
    for value, (name, kind) in zip(given, kinds.items(), strict=True):
        if kind.column_of != "anything" and not isinstance(value, str):
            from kerasft.printable import format_json

            message = f"not a string but {format_json(value)[:100]}"
            return Row(None, columns, where, message if len(kinds) == 1 else f"{name}: {message}")
    return Row(dict(zip(kinds, given, strict=True)), columns, where)


def _leave_out(columns: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Objects without what stands under a key with dots; one with nothing else in it is left out whole."""
    name, _, rest = key.partition(".")
    inside = columns.get(name)
    if rest and isinstance(inside, Mapping):
        left = _leave_out(inside, rest)
    elif rest or name not in columns:
        return dict(columns)  # an optional input that the row has not
    else:
        left = {}
    return {**columns, name: left} if left else {other: columns[other] for other in columns if other != name}


def _compose(name: str) -> str:
    """Accents may be composed in a file's header, and not on the command line, or the other way round."""
    return unicodedata.normalize("NFC", name)


def _describe_reject(reject: Any) -> str:
    message = f"{reject.reason}: {reject.detail}" if reject.detail else str(reject.reason)
    return f"{message}; --encoding names the file's" if message.startswith("invalid ") else message


def _next_batch(batches: Iterator[Any], has_several: bool) -> Any:
    """The next one; what a config's keys would mend, this command's options do."""
    try:
        return next(batches, None)
    except DataError as error:
        pair = "INPUT=" if has_several else ""
        fixes = {
            "columns: {": f"Name the column: --column {pair}NAME, or its number, from 0; and --no-header if the "
            "first row is an example.",
            "delimiter: ": "Commas separate the columns of a .csv, tabs those of a .tsv.",
            "Set encoding to": "Name the file's encoding: --encoding NAME.",
        }
        fix = next((message for key, message in fixes.items() if key in (error.fix or "")), error.fix)
        if named := re.match(r"Set encoding: ([\w-]+)", fix or ""):
            fix = f"Add --encoding {named[1]}."
        raise DataError(error.what, where=error.where, fix=fix) from error
