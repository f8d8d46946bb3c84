"""What `kerasft predict` is asked about: texts, picture files, folders, globs, and lists of them in files and pipes."""

from __future__ import annotations

import glob
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

from kerasft.errors import ConfigError, DataError

Held = Literal["text", "image"]
"""The key of a row's input."""
Rows = Iterator[dict[str, str]] | list[dict[str, str]]


def choose_rows(
    words: list[str], source: str | None, column: str | None, header: bool, field: Held = "text"
) -> Rows:
    """The texts as `{"text": …}`, or the pictures' paths as `{"image": …}`; of files, read while they are consumed.

    Raises:
        ConfigError: there are none, or they come from two places.
        DataError: no picture is where the words say; or (while reading) a file or row cannot be read.
    """
    inputs = "pictures" if field == "image" else "texts"
    if words and source:
        raise ConfigError(
            f"{inputs.capitalize()} come from the command line and from --input.",
            fix="Give them in one place.",
        )
    if words:
        return find_pictures(words) if field == "image" else ({"text": text} for text in words)
    if source is None and sys.stdin.isatty():
        given = "as file, folder or glob arguments" if field == "image" else 'as "…" arguments'
        raise ConfigError(
            f"There are no {inputs}.",
            where="predict",
            fix=f"Give them {given}, by --input FILE, or by a pipe.",
        )
    if source in (None, "-"):
        rows, folder = read_lines(sys.stdin.buffer, "standard input", field), Path()
    else:
        path = Path(source)
        if not path.is_file():
            raise DataError("There is no such file.", where=source)
        folder = path.parent
        if path.suffix.lower() in (".csv", ".tsv", ".jsonl"):
            rows = read_table(path, column, header, field)
        else:
            rows = read_text_file(path, field)
    return locate_pictures(rows, folder) if field == "image" else rows


def read_text_file(path: Path, field: Held = "text") -> Iterator[dict[str, str]]:
    with open(path, "rb") as stream:
        yield from read_lines(stream, str(path), field)


def read_lines(stream: BinaryIO, name: str, field: Held = "text") -> Iterator[dict[str, str]]:
    """One text or path a line, an empty one where the line is empty: answers keep their line's number.

    Raises:
        DataError: a line is no UTF-8, or so long that it is no text.
    """
    from kerasft.data.sources.lines import MAX_LINE_BYTES

    for number, line in enumerate(iter(lambda: stream.readline(MAX_LINE_BYTES + 1), b""), 1):
        if len(line) > MAX_LINE_BYTES:
            raise DataError(
                f"The line has more than {MAX_LINE_BYTES >> 20} MiB.",
                where=f"{name}:{number}",
                fix="Put one text on a line; --column reads tables.",
            )
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        try:
            yield {field: line.decode("utf-8").rstrip("\r\n")}
        except UnicodeDecodeError as error:
            raise DataError(
                f"Byte 0x{line[error.start]:02X} is not UTF-8.",
                where=f"{name}:{number}",
                fix="Convert it to UTF-8.",
            ) from None


def read_table(
    path: Path, column: str | None, header: bool, field: Held = "text"
) -> Iterator[dict[str, str]]:
    """The texts or paths of a CSV, TSV or JSON lines file, read as in training; a row that cannot be read ends it."""
    from kerasft.data.config import CsvSource, JsonLinesSource
    from kerasft.data.fields import Field
    from kerasft.data.sources import SourceFile, read_rows

    place: Any = column or (field if header else 0)
    suffix = path.suffix.lower()
    config: CsvSource | JsonLinesSource
    if suffix == ".jsonl":
        config = JsonLinesSource(format="jsonl", path=str(path), columns={field: place})
    else:
        if isinstance(place, str) and place.isdecimal():
            place = int(place)
        delimiter = "\t" if suffix == ".tsv" else ","
        config = CsvSource(
            format="csv", path=str(path), delimiter=delimiter, header=header, columns={field: place}
        )
    batches = read_rows(SourceFile(path, str(path)), config, [Field(field, field)])
    while (batch := _next_batch(batches)) is not None:
        if batch.rejects:
            reject = batch.rejects[0]
            detail = f": {reject.detail}" if reject.detail else ""
            raise DataError(
                f"{reject.reason}{detail}", where=f"{path}:{reject.row}", fix=f"It reads: {reject.content}"
            )
        for row, (text,) in zip(batch.rows, batch.values, strict=True):
            if not isinstance(text, str):
                raise DataError(f"The {field} is {json.dumps(text)}, not a string.", where=f"{path}:{row}")
            yield {field: text}


def _next_batch(batches: Iterator[Any]) -> Any:
    """The next one; what a config's keys would mend, this command's options do."""
    try:
        return next(batches, None)
    except DataError as error:
        fixes = {
            "columns: {": "Name the column: --column NAME; by its number, from 0, in a file without a header: "
            "--no-header --column 0.",
            "delimiter: ": "Commas separate the columns of a .csv, tabs those of a .tsv.",
        }
        fix = next((told for key, told in fixes.items() if key in (error.fix or "")), error.fix)
        raise DataError(error.what, where=error.where, fix=fix) from error


def find_pictures(words: Iterable[str]) -> list[dict[str, str]]:
    """`{"image": path}` for each file that the words mean, in their order, each once.

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
    return [{"image": path} for path in found]


def _list_files(folder: str) -> list[str]:
    from kerasft.data.sources.paths import SourceFile, list_members

    return [str(path) for path in list_members(SourceFile(Path(folder), folder))]


def locate_pictures(rows: Iterable[dict[str, str]], folder: Path) -> Iterator[dict[str, str]]:
    """The pictures of a list, whose paths start from its folder, as those of training data do; empty lines are left
    out."""
    for row in rows:
        if row["image"].strip():
            yield {"image": str(folder / row["image"])}
