"""Lines of a text file, decoded one by one: a damaged line costs that line, not the file."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import NamedTuple

from kerasft.data.sources.paths import SourceFile
from kerasft.errors import DataError

BLOCK_BYTES = 1 << 18
UTF8_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line as it stands in the file, line ending included."""

    number: int
    """From 1."""
    text: str
    damage: str
    """Why the line could not be decoded (`text` then has the bytes as lone surrogates); empty where it could."""


def check_encoding(file: SourceFile, encoding: str) -> str:
    """The codec's name.

    Raises:
        DataError: Python knows no such encoding, or it does not end lines with the byte 0x0A.
    """
    fix = "Set `encoding` to the file's (utf-8, latin-1, cp1252, gb18030, …), or convert the file to UTF-8."
    try:
        codec = codecs.lookup(encoding)
    except LookupError as error:
        raise DataError(f"There is no encoding {encoding!r}.", where=file.name, fix=fix) from error
    if codec.name == "utf-8-sig":
        return "utf-8"
    if "\n".encode(codec.name) != b"\n":
        raise DataError(f"Files in {encoding} cannot be read line by line.", where=file.name, fix=fix)
    return codec.name


def read_lines(file: SourceFile, encoding: str) -> Iterator[tuple[list[Line], int]]:
    """Yields the file's lines in blocks of about 256 KiB, with each block's size in bytes.

    A byte order mark at the start is skipped; the last line may lack a line ending.

    Raises:
        DataError: the encoding is unknown, or the file's lines end in a carriage return alone.
    """
    codec = check_encoding(file, encoding)
    number = 1
    with open(file.path, "rb") as stream:
        if stream.read(3) != UTF8_MARK or codec != "utf-8":
            stream.seek(0)
        while lines := stream.readlines(BLOCK_BYTES):
            if number == 1 and b"\r" in lines[0][:-2] and not lines[0].endswith(b"\n"):
                raise DataError(
                    "Lines end in a carriage return alone.",
                    where=file.name,
                    fix="Convert them to line feeds.",
                )
            yield decode_lines(lines, number, codec), sum(map(len, lines))
            number += len(lines)


def decode_lines(lines: list[bytes], number: int, codec: str) -> list[Line]:
    """Decodes each line; `number` is the first one's."""
    try:
        return [Line(i, line.decode(codec), "") for i, line in enumerate(lines, number)]
    except UnicodeDecodeError:
        return [_decode_line(line, i, codec) for i, line in enumerate(lines, number)]


def _decode_line(line: bytes, number: int, codec: str) -> Line:
    try:
        return Line(number, line.decode(codec), "")
    except UnicodeDecodeError as error:
        damage = f"byte 0x{line[error.start]:02X} at byte {error.start} of the line: {error.reason}"
        return Line(number, line.decode(codec, "surrogateescape"), damage)
