"""Reads the inputs of `kerasft predict` and `generate`: texts, picture files, folders, globs, and lists of them."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from kerasft.cli.input_files import find_files
from kerasft.cli.input_rows import (
    Kinds,
    Row,
    Rows,
    Source,
    find_single_file,
    list_optional,
    name_inputs,
    show_object,
)
from kerasft.cli.input_tables import check_encoding, make_row, read_table
from kerasft.errors import ConfigError, DataError


def choose_rows(words: list[str], source: Source, kinds: Kinds, command: str = "predict") -> Rows:
    """The rows; those of files are read while they are consumed, but for a table's first.

    Args:
        words: the command's arguments.
        source: what its options name.
        kinds: of the inputs.
        command: its name, for messages.

    Raises:
        ConfigError: there are none, or they come from two places.
        DataError: no file is where the words say, or a table has no such column; or (while reading) a file cannot be
            read.
    """
    inputs, path_name = name_inputs(kinds), find_single_file(kinds)
    if words and source.path is not None:
        raise ConfigError(
            f"{inputs.capitalize()} are given both on the command line and by --input.",
            where=command,
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
            where=command,
            fix=f"Give them {_describe_words(kinds)}, by --input FILE, or through a pipe.",
        )
    check_encoding(source.encoding)
    rows, folder = _open_source(source, kinds)
    rows = locate_files(rows, folder, kinds, skips_blank_lines=not source.is_table)
    # a column that is not there is told before a model is loaded
    return itertools.chain(list(itertools.islice(rows, int(source.is_table))), rows)


def is_typed(words: list[str], path: str | None) -> bool:
    """Whether somebody types the inputs, and waits for each answer.

    Args:
        words: the command's arguments.
        path: of `--input`.
    """
    return not words and path in (None, "-") and sys.stdin.isatty()


def _describe_words(kinds: Kinds) -> str:
    if find_single_file(kinds):
        return "as file, folder or glob arguments"
    return 'as "…" arguments' if len(kinds) == 1 else f"as '{show_object(kinds)}' arguments"


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
            values = read_object(Line(0, row.values[""], "", ""), [*kinds, ""], list_optional(kinds))
        except InvalidValue as error:
            message = ": ".join(filter(None, (error.reason, error.detail)))
            yield replace(row, values=None, problem=f"{message}; expected {show_object(kinds)}")
        else:
            yield make_row(values, list(kinds), kinds, row.where)


def _open_source(source: Source, kinds: Kinds) -> tuple[Iterator[Row], Path]:
    """The rows, and the folder that paths in them start from."""
    if source.path in (None, "-"):
        lines = read_lines(sys.stdin.buffer, "standard input", kinds, source.encoding)
        return _read_values(lines, kinds), Path()
    path = Path(str(source.path))
    if not os.path.isfile(path):
        raise DataError("There is no such file.", where=str(path))
    if path.suffix.lower() == ".json":
        raise ConfigError(
            "A .json file is no list of inputs.",
            where=str(path),
            fix="Write an object a line, into a file that ends in .jsonl.",
        )
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

    codec = check_encoding(encoding)
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


def locate_files(
    rows: Iterable[Row], folder: Path, kinds: Kinds, *, skips_blank_lines: bool = True
) -> Iterator[Row]:
    """The rows with files' paths that start from the folder of their list, as those of training data do.

    Args:
        rows: with paths as they stand in the list.
        folder: of the list.
        kinds: of the inputs.
        skips_blank_lines: leaves out rows that hold nothing but an empty path.
    """
    from kerasft.data.sources.paths import locate

    names, only = [name for name, kind in kinds.items() if kind.is_file], find_single_file(kinds)
    for row in rows:
        if row.values is None or not names:
            yield row
            continue
        paths = {name: locate(row.values[name], folder) for name in names}
        if skips_blank_lines and only is not None and not paths[only]:
            continue
        yield replace(row, values={**row.values, **paths})
