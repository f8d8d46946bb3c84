"""What `kerasft predict` is asked about: texts, picture files, folders, globs, and lists of them in files and pipes."""

from __future__ import annotations

import glob
import heapq
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

from kerasft.errors import ConfigError, DataError

Held = Literal["text", "image"]
"""The key of a row's input."""
TABLES = (".csv", ".tsv", ".jsonl")
MAX_COLUMNS = 10_000


@dataclass(frozen=True)
class Row:
    """One input.

    Args:
        value: the text, or the picture's path; None where the row could not be read, or holds something else.
        columns: what else a table's row holds.
        where: `file:line`; empty for what was named on the command line.
        problem: why it cannot be used, where that is known already.
    """

    value: Any
    columns: Mapping[str, Any] = field(default_factory=dict)
    where: str = ""
    problem: str | None = None


Rows = Iterator[Row] | list[Row]


@dataclass(frozen=True)
class Source:
    """How a file of inputs is read.

    Args:
        path: the file; None or `-` for standard input.
        column: a table's column (name, or number from 0) or key that holds the text or path.
        header: whether the first row of a table names its columns.
        encoding: of its characters.
    """

    path: str | None = None
    column: str | None = None
    header: bool = True
    encoding: str = "utf-8"

    @property
    def is_table(self) -> bool:
        return self.path is not None and Path(self.path).suffix.lower() in TABLES


def choose_rows(words: list[str], source: Source, held: Held = "text") -> Rows:
    """The inputs; those of files are read while they are consumed.

    Raises:
        ConfigError: there are none, or they come from two places.
        DataError: no picture is where the words say; or (while reading) a file cannot be read.
    """
    inputs = "pictures" if held == "image" else "texts"
    if words and source.path:
        raise ConfigError(
            f"{inputs.capitalize()} come from the command line and from --input.",
            fix="Give them in one place.",
        )
    if source.column is not None and not source.is_table:
        raise ConfigError(
            "Only tables have columns.",
            where="--column",
            fix="Leave it out, or give a .csv, .tsv or .jsonl file by --input.",
        )
    if words:
        return find_pictures(words) if held == "image" else [Row(text) for text in words]
    if source.path is None and sys.stdin.isatty():
        given = "as file, folder or glob arguments" if held == "image" else 'as "…" arguments'
        raise ConfigError(
            f"There are no {inputs}.",
            where="predict",
            fix=f"Give them {given}, by --input FILE, or by a pipe.",
        )
    rows, folder = _open_source(source, held)
    return locate_pictures(rows, folder) if held == "image" else rows


def _open_source(source: Source, held: Held) -> tuple[Iterator[Row], Path]:
    """The rows, and the folder that paths in them start from."""
    if source.path in (None, "-"):
        return read_lines(sys.stdin.buffer, "standard input", held, source.encoding), Path()
    path = Path(str(source.path))
    if not os.path.isfile(path):
        raise DataError("There is no such file.", where=str(path))
    rows = read_table(path, source, held) if source.is_table else _read_text_file(path, held, source.encoding)
    return rows, path.parent


def _read_text_file(path: Path, held: Held, encoding: str) -> Iterator[Row]:
    with open(path, "rb") as stream:
        yield from read_lines(stream, str(path), held, encoding)


def read_lines(stream: BinaryIO, name: str, held: Held = "text", encoding: str = "utf-8") -> Iterator[Row]:
    """One text or path a line, an empty one where the line is empty: answers keep their line's number.

    A line that the encoding does not allow has a problem; paths may hold any bytes.

    Raises:
        DataError: there is no such encoding, or a line is so long that it is no text.
    """
    from kerasft.data.sources.lines import MAX_LINE_BYTES

    codec = _check_encoding(encoding)
    errors = "surrogateescape" if held == "image" and codec == "utf-8" else "strict"
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
            yield Row(line.decode(codec, errors).rstrip("\r\n"), where=where)
        except UnicodeDecodeError as error:
            told = f"byte 0x{line[error.start]:02X} is not {encoding.upper()}: --encoding names the file's"
            yield Row(None, where=where, problem=told)


def _check_encoding(encoding: str) -> str:
    from kerasft.data.encodings import find_codec

    try:
        return find_codec(encoding)
    except ValueError as error:
        raise ConfigError(f"It cannot be used: {error}.", where="--encoding") from error


def read_table(path: Path, source: Source, held: Held = "text") -> Iterator[Row]:
    """The rows of a CSV, TSV or JSON lines file, read as in training, with all their columns.

    Raises:
        DataError: the column is not there, or the file as a whole cannot be read.
    """
    from kerasft.data.kinds.fields import Field
    from kerasft.data.sources import SourceFile, read_rows

    _check_encoding(source.encoding)
    config, fields = _describe_table(path, source, held), [Field(held, held), Field("", held)]
    batches = read_rows(SourceFile(path, str(path)), config, fields)
    used = config.columns[held]
    while (batch := _next_batch(batches)) is not None:
        good = (
            (number, _make_row(value, whole, used, f"{path}:{number}"))
            for number, (value, whole) in zip(batch.rows, batch.values, strict=True)
        )
        bad = (
            (reject.row, Row(None, where=f"{path}:{reject.row}", problem=_describe_reject(reject)))
            for reject in batch.rejects
        )
        for _, row in heapq.merge(good, bad, key=lambda numbered: numbered[0]):
            yield row


def list_columns(source: Source, held: Held) -> list[str]:
    """The names of a table's columns besides the one that is used; JSON lines are read through for them.

    Raises:
        DataError: as `read_table`; or there are too many for a table.
    """
    names: dict[str, None] = {}
    path = Path(str(source.path))
    for row in read_table(path, source, held):
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


def _describe_table(path: Path, source: Source, held: Held) -> Any:
    from kerasft.data.config import CsvSource, JsonLinesSource

    place: Any = source.column if source.column is not None else (held if source.header else 0)
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        return JsonLinesSource(
            format="jsonl", path=str(path), columns={held: str(place)}, encoding=source.encoding
        )
    if isinstance(place, str) and place.isdecimal():
        place = int(place)
    return CsvSource(
        format="csv",
        path=str(path),
        delimiter="\t" if suffix == ".tsv" else ",",
        header=source.header,
        columns={held: place},
        encoding=source.encoding,
    )


def _make_row(value: Any, whole: Mapping[str, Any], used: str | int, where: str) -> Row:
    if isinstance(used, int):
        used = list(whole)[used]
    columns = {name: cell for name, cell in whole.items() if name != used}
    if isinstance(value, str):
        return Row(value, columns, where)
    from kerasft.printable import format_json

    return Row(None, columns, where, f"not a string but {format_json(value)[:100]}")


def _describe_reject(reject: Any) -> str:
    told = f"{reject.reason}: {reject.detail}" if reject.detail else str(reject.reason)
    return f"{told}; --encoding names the file's" if told.startswith("invalid ") else told


def _next_batch(batches: Iterator[Any]) -> Any:
    """The next one; what a config's keys would mend, this command's options do."""
    try:
        return next(batches, None)
    except DataError as error:
        fixes = {
            "columns: {": "Name the column: --column NAME; by its number, from 0, in a file without a header: "
            "--no-header --column 0.",
            "delimiter: ": "Commas separate the columns of a .csv, tabs those of a .tsv.",
            "Set encoding to": "Name the file's encoding: --encoding NAME.",
        }
        fix = next((told for key, told in fixes.items() if key in (error.fix or "")), error.fix)
        if named := re.match(r"Set encoding: ([\w-]+)", fix or ""):
            fix = f"Add --encoding {named[1]}."
        raise DataError(error.what, where=error.where, fix=fix) from error


def find_pictures(words: Iterable[str]) -> list[Row]:
    """A row for each file that the words mean, in their order, each once.

    A folder stands for all files in it and below, sorted, without hidden ones. A file that is not there is left for its
    own answer to say.

    Raises:
        DataError: a folder holds no files, a glob matches none, or none of the files is there.
    """
    found: dict[str, None] = {}
    for word in words:
        if os.path.isdir(word):
            matches = _list_files(word)
            told = "There are no files in it."
        elif glob.has_magic(word) and not os.path.lexists(word):
            expanded = sorted(glob.glob(word, recursive=True))
            matches = [
                path for name in expanded for path in (_list_files(name) if os.path.isdir(name) else [name])
            ]
            told = "It matches no files."
        else:
            matches, told = [word], ""
        if not matches:
            raise DataError(
                told, where=word, fix="Name picture files, folders with some, or globs in quotes."
            )
        found |= dict.fromkeys(matches)
    if not any(os.path.lexists(path) for path in found):
        others = f", nor {len(found) - 1:,} others" if len(found) > 1 else ""
        raise DataError(
            f"There is no such file{others}.",
            where=next(iter(found)),
            fix="Name picture files, folders with some, or globs in quotes.",
        )
    return [Row(path) for path in found]


def _list_files(folder: str) -> list[str]:
    from kerasft.data.sources.paths import SourceFile, list_members

    return [str(path) for path in list_members(SourceFile(Path(folder), folder))]


def locate_pictures(rows: Iterable[Row], folder: Path) -> Iterator[Row]:
    """The pictures of a list, whose paths start from its folder, as those of training data do; empty lines are left
    out."""
    for row in rows:
        if row.value is None:
            yield row
        elif row.value.strip():
            yield Row(str(folder / row.value), row.columns, row.where)
