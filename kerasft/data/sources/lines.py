"""Reads the lines of a text file one by one: a damaged or endless line costs only that line."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterator, Sequence
from itertools import accumulate, chain
from typing import NamedTuple

from kerasft.data.encodings import USUAL, find_codec, guess_encoding, guess_wide, is_cut_utf8
from kerasft.data.sources.opening import ByteReader, open_bytes
from kerasft.data.sources.paths import SourceFile
from kerasft.errors import DataError

BLOCK_BYTES = 1 << 18
MAX_LINE_BYTES = 4 << 20
"""Longer lines are not kept in memory: no example is so long, but a file without line ends is."""
LINE_TOO_LONG = "line too long"
_SHOWN_BYTES = 1000
_SHOWN_CHARACTERS = 60
_WIDE_BYTES = 1 << 12
_MAX_SAMPLES = 200
_FEWEST_BROKEN, _ENOUGH_TO_BE_SURE, _ENOUGH_BROKEN = 2, 10, 1000
"""Lines that are not in the encoding: what is a system and no damage, where another one fits or none does, and when
the rest of the file is not waited for."""
_BROKEN_TO_FINE = 4
"""A file is in another encoding where so many times more lines beyond ASCII are broken than fine."""
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


def read_lines(
    file: SourceFile, encoding: str, *, splits_long_lines: bool = False
) -> Iterator[tuple[list[Line], int]]:
    """Yields the file's lines in blocks of about 256 KiB, with the bytes of the file that each block stands for.

    A compressed file is decompressed. A byte order mark at the start is skipped; the last line may lack a line ending.
    Memory stays flat whatever the lines' lengths.

    Args:
        file: which.
        encoding: of its text.
        splits_long_lines: lines beyond `MAX_LINE_BYTES` come as several with the same number, cut at spaces where there
            are any; by default they have a reason not to be used.

    Raises:
        DataError: the file is in another encoding, as far as its bytes tell, or its lines end in a carriage return
            alone.
        ValueError: there is no such encoding.
    """
    codec = find_codec(encoding)
    number = 1
    evidence = _Evidence(file, codec, encoding)
    waiting: tuple[list[Line], int] | None = None
    with open_bytes(file) as stream:
        start = stream.read(BLOCK_BYTES)
        if wide := guess_wide(start[:_WIDE_BYTES]):
            raise DataError(
                f"The file looks like {wide}, not {encoding.upper()}.",
                where=file.name,
                fix=f"Convert it: iconv -f {wide} -t UTF-8 {shlex.quote(file.name)} > converted.txt",
            )
        if codec == "utf-8":
            start = start.removeprefix(UTF8_MARK)
        for lines, size in _read_blocks(start, stream, codec if splits_long_lines else ""):
            if number == 1 and len(lines) == 1 and b"\r" in lines[0].rstrip(b"\r\n"):
                raise DataError(
                    "Lines end in a carriage return without a line feed.",
                    where=file.name,
                    fix=f"Convert them to line feeds: tr '\\r' '\\n' < {shlex.quote(file.name)} > converted.txt",
                )
            # a small file is looked at whole before its header is
            if waiting is not None:
                yield waiting
            numbers = (
                _number_lines(lines, number) if splits_long_lines else range(number, number + len(lines))
            )
            decoded = _decode_lines(lines, numbers, codec, encoding)
            evidence.add(lines, decoded)
            waiting = decoded, size
            number += sum(line.endswith(b"\n") for line in lines) if splits_long_lines else len(lines)
    evidence.check()
    if waiting is not None:
        yield waiting


class _Evidence:
    """Whether a file's lines are in the encoding that the config says: counts, and the first of those that are not.

    Raises (by `add` and `check`):
        DataError: nearly all lines with characters beyond ASCII are in another one.
    """

    def __init__(self, file: SourceFile, codec: str, encoding: str):
        self._file, self._codec, self._encoding = file, codec, encoding
        self._fine = self._broken = 0
        self._first = 0
        self._samples: list[bytes] = []

    def add(self, lines: Sequence[bytes], decoded: Sequence[Line]) -> None:
        if self._codec == "utf-8" and not any(line.reason for line in decoded):
            self._fine += len(lines) - sum(map(bytes.isascii, lines))
            return
        for raw, line in zip(lines, decoded, strict=True):
            if raw.isascii() or line.reason == LINE_TOO_LONG:
                continue
            if self._codec == "utf-8" and line.reason and is_cut_utf8(raw):
                continue  # damage, and no sign of another encoding
            broken = bool(line.reason) or (self._codec != "utf-8" and _is_utf8(raw))
            self._fine += not broken
            self._broken += broken
            if broken and len(self._samples) < _MAX_SAMPLES:
                self._samples.append(
                    raw[:_SHOWN_BYTES].rsplit(b" ", 1)[0] if len(raw) > _SHOWN_BYTES else raw
                )
                self._first = self._first or line.number
        if self._broken >= _ENOUGH_BROKEN:
            self.check()

    def check(self) -> None:
        if self._broken < _FEWEST_BROKEN or self._broken <= _BROKEN_TO_FINE * self._fine:
            return
        utf8 = self._codec != "utf-8" and all(map(_is_utf8, self._samples))
        guess = "utf-8" if utf8 else guess_encoding(self._samples) if self._codec == "utf-8" else None
        if guess is None and self._broken < _ENOUGH_TO_BE_SURE:
            return
        shown = _show_beyond_ascii(self._samples[0].decode(guess, "replace")) if guess else ""
        count = f"{self._broken:,} line{'s' * (self._broken > 1)}"
        evidence = (
            f": {count} cannot be {self._encoding}. In {guess} the first reads: {shown!r}" if shown else ""
        )
        raise DataError(
            f"The file looks like {guess}, not {self._encoding}{evidence}."
            if guess
            else f"The file is not in {self._encoding}: {self._broken:,} lines cannot be read.",
            where=f"{self._file.name}:{self._first}",
            fix=f"Set encoding: {guess}"
            + (", or leave it out." if utf8 else f", next to path: {self._file.name}.")
            if guess
            else f"Set the file's encoding, next to path (usual ones: {USUAL}).",
        )


def _show_beyond_ascii(text: str) -> str:
    """A few words around the first character that is no ASCII."""
    place = next((i for i, character in enumerate(text) if not character.isascii()), 0)
    start = max(0, place - _SHOWN_CHARACTERS // 2)
    return text[start : start + _SHOWN_CHARACTERS].strip()


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _read_blocks(start: bytes, stream: ByteReader, codec: str) -> Iterator[tuple[list[bytes], int]]:
    """Yields whole lines, and the bytes of the file read for them.

    A line beyond `MAX_LINE_BYTES` is yielded in pieces, which the codec can decode; without a codec only its start is,
    which is longer than that.
    """
    rest, skipping = b"", False
    for block in chain((start,), iter(lambda: stream.read(BLOCK_BYTES), b"")):
        if skipping:
            end = block.find(b"\n") + 1
            skipping, block = not end, block[end:] if end else b""
        lines = io.BytesIO(rest + block).readlines()
        if codec:
            lines = _cut_lines(lines, codec)
        rest = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
        if len(rest) > MAX_LINE_BYTES:
            lines.append(rest)
            rest, skipping = b"", True
        yield lines, stream.take_size()
    if rest:
        yield [rest], 0


def _cut_lines(lines: list[bytes], codec: str) -> list[bytes]:
    """The lines, with long ones in pieces that end after a space, or else after a whole character."""
    if max(map(len, lines), default=0) <= MAX_LINE_BYTES:
        return lines
    pieces = []
    for line in lines:
        while len(line) > MAX_LINE_BYTES:
            place = line.rfind(b" ", MAX_LINE_BYTES // 2, MAX_LINE_BYTES) + 1 or _find_boundary(line, codec)
            pieces.append(line[:place])
            line = line[place:]
        pieces.append(line)
    return pieces


def _find_boundary(line: bytes, codec: str) -> int:
    """The last place up to `MAX_LINE_BYTES` at which a character ends."""
    for place in range(MAX_LINE_BYTES, MAX_LINE_BYTES - 4, -1):
        try:
            line[:place].decode(codec)
        except UnicodeDecodeError:
            continue
        return place
    return MAX_LINE_BYTES


def _number_lines(lines: Sequence[bytes], number: int) -> list[int]:
    """The lines' numbers, where pieces of one line follow each other."""
    ends = [line.endswith(b"\n") for line in lines[:-1]]
    return list(accumulate(ends, initial=number)) if lines else []


def _decode_lines(lines: list[bytes], numbers: Sequence[int], codec: str, encoding: str) -> list[Line]:
    if max(map(len, lines), default=0) <= MAX_LINE_BYTES:
        try:
            return [Line(i, line.decode(codec), "", "") for i, line in zip(numbers, lines, strict=True)]
        except UnicodeDecodeError:
            pass
    return [_decode_line(line, i, codec, encoding) for i, line in zip(numbers, lines, strict=True)]


def _decode_line(line: bytes, number: int, codec: str, encoding: str) -> Line:
    if len(line) > MAX_LINE_BYTES:
        start = line[:_SHOWN_BYTES].decode(codec, "replace")
        return Line(number, start, LINE_TOO_LONG, f"more than {MAX_LINE_BYTES >> 20} MiB")
    try:
        return Line(number, line.decode(codec), "", "")
    except UnicodeDecodeError as error:
        damage = f"byte 0x{line[error.start]:02X} at byte {error.start} of the line: {error.reason}"
        guess = guess_encoding([line]) if codec == "utf-8" and len(line) <= _SHOWN_BYTES else None
        cut = codec == "utf-8" and is_cut_utf8(line)
        if cut:
            damage += "; a character is incomplete there"
        if guess is not None:
            letter = line[error.start : error.start + 2].decode(guess, "replace")[:1]
            damage += f"{', or it is' if cut else ';'} {letter!r} in {guess}"
        return Line(number, line.decode(codec, "surrogateescape"), f"invalid {encoding.upper()}", damage)
