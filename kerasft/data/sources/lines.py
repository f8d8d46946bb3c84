"""Lines of a text file, decoded one by one: a damaged or endless line costs that line, not the file."""

from __future__ import annotations

import codecs
import io
import shlex
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from kerasft.data.sources.paths import SourceFile
from kerasft.errors import DataError

BLOCK_BYTES = 1 << 18
MAX_LINE_BYTES = 4 << 20
"""Longer lines are not kept in memory: no example is so long, but a file without line ends is."""
LINE_TOO_LONG = "line too long"
_SHOWN_BYTES = 1000
UTF8_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """A line as it stands in the file, line ending included."""

    number: int
    """From 1."""
    text: str
    """Where bytes could not be decoded, they are lone surrogates; of a line that is too long it is the start."""
    reason: str
    """Why the line cannot be used, as rejects are counted; empty where it can."""
    detail: str
    """What is the matter in this line."""


def check_encoding(file: SourceFile, encoding: str) -> str:
    """The codec's name.

    Raises:
        DataError: Python knows no such encoding, or it does not end lines with the byte 0x0A.
    """
    fix = "Set `encoding` to the file's (utf-8, latin-1, cp1252, gb18030, …), or convert the file to UTF-8."
    try:
        codec = codecs.lookup(encoding)
        line_end = "\n".encode(codec.name)
    except (LookupError, ValueError) as error:  # no such name, no text encoding, or no name at all
        raise DataError(f"There is no encoding {encoding!r}.", where=file.name, fix=fix) from error
    if codec.name == "utf-8-sig":
        return "utf-8"
    if line_end != b"\n" or codec.name in ("idna", "punycode"):
        raise DataError(f"Files in {encoding} cannot be read line by line.", where=file.name, fix=fix)
    return codec.name


def read_lines(file: SourceFile, encoding: str) -> Iterator[tuple[list[Line], int]]:
    """Yields the file's lines in blocks of about 256 KiB, with each block's size in bytes.

    A byte order mark at the start is skipped; the last line may lack a line ending. Memory stays flat whatever the
    lines' lengths.

    Raises:
        DataError: the encoding is unknown, or the file's lines end in a carriage return alone.
    """
    codec = check_encoding(file, encoding)
    number = 1
    with open(file.path, "rb") as stream:
        if stream.read(3) != UTF8_MARK or codec != "utf-8":
            stream.seek(0)
        for lines, size in _read_blocks(stream):
            if number == 1 and len(lines) == 1 and b"\r" in lines[0].rstrip(b"\r\n"):
                raise DataError(
                    "Lines end in a carriage return alone.",
                    where=file.name,
                    fix=f"Convert them to line feeds: tr '\\r' '\\n' < {shlex.quote(file.name)} > converted.txt",
                )
            yield _decode_lines(lines, number, codec, encoding), size
            number += len(lines)


def _read_blocks(stream: BinaryIO) -> Iterator[tuple[list[bytes], int]]:
    """Yields whole lines, and the bytes read for them; of a line beyond `MAX_LINE_BYTES` its start, which is longer."""
    rest, skipping = b"", False
    while block := stream.read(BLOCK_BYTES):
        size = len(block)
        if skipping:
            end = block.find(b"\n") + 1
            skipping, block = not end, block[end:] if end else b""
        lines = io.BytesIO(rest + block).readlines()
        rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        if len(rest) > MAX_LINE_BYTES:
            lines.append(rest)
            rest, skipping = b"", True
        yield lines, size
    if rest:
        yield [rest], 0


def _decode_lines(lines: list[bytes], number: int, codec: str, encoding: str) -> list[Line]:
    if max(map(len, lines), default=0) <= MAX_LINE_BYTES:
        try:
            return [Line(i, line.decode(codec), "", "") for i, line in enumerate(lines, number)]
        except UnicodeDecodeError:
            pass
    return [_decode_line(line, i, codec, encoding) for i, line in enumerate(lines, number)]


def _decode_line(line: bytes, number: int, codec: str, encoding: str) -> Line:
    if len(line) > MAX_LINE_BYTES:
        start = line[:_SHOWN_BYTES].decode(codec, "replace")
        return Line(number, start, LINE_TOO_LONG, f"more than {MAX_LINE_BYTES >> 20} MiB")
    try:
        return Line(number, line.decode(codec), "", "")
    except UnicodeDecodeError as error:
        damage = f"byte 0x{line[error.start]:02X} at byte {error.start} of the line: {error.reason}"
        return Line(number, line.decode(codec, "surrogateescape"), f"invalid {encoding.upper()}", damage)
