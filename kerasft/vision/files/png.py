"""PNG files: reads the chunks, and checks that the compressed picture is complete, with little memory."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from kerasft.vision.files.jpeg import read_orientation
from kerasft.vision.pictures import MAX_PIXELS_AT_ONCE, InvalidPicture, check_size

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_EXTRA_BYTES = 1 << 20
"""Bytes of text, colour profile or frames besides the picture from which on they are left out: a decoder would
unpack them each time."""

_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_INTERLACING = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""First column, first row, and the steps between columns and rows, of each pass of an interlaced picture."""
_BLOCK_BYTES = 1 << 16
_MAX_TAIL_BYTES = 1 << 16


class Chunk(NamedTuple):
    """One part of a PNG file."""

    kind: bytes
    start: int
    """Where its length stands in the file."""
    end: int
    """Behind its checksum."""


class Png(NamedTuple):
    """What a PNG file holds."""

    width: int
    """Pixels, before rotation."""
    height: int
    depth: int
    """Bits a channel."""
    orientation: int
    """EXIF's, 1 to 8."""
    animated: bool
    lean: bytes
    """The file without the chunks that decoding does not need."""
    extra_bytes: int
    """What a decoder may unpack besides the picture; counted up to a little over `MAX_EXTRA_BYTES`."""


def parse_png(data: bytes) -> Png:
    """Reads all chunks, their checksums, and the compressed picture to its end.

    Raises:
        InvalidPicture: the file ends before the picture does, is damaged, too large, or of a rare kind.
    """
    view = memoryview(data)
    width, height, depth, color, interlaced = _read_header(data)
    chunks, orientation, animated, extra = [], 1, False, 0
    for chunk in _read_chunks(view):
        payload = view[chunk.start + 8 : chunk.end - 4]
        if chunk.kind == b"eXIf":
            orientation = read_orientation(bytes(payload))
        elif chunk.kind == b"acTL":
            animated = int.from_bytes(payload[:4], "big") > 1
        elif chunk.kind not in _NEEDED:
            extra += max(len(payload), _measure_unpacked(chunk.kind, bytes(payload)))
        chunks.append(chunk)
    _check_order(chunks, color)
    pieces = [view[c.start + 8 : c.end - 4] for c in chunks if c.kind == b"IDAT"]
    bits = depth * _CHANNELS[color]
    _check_stream(pieces, list(_list_passes(width, height, bits, interlaced)))
    lean = SIGNATURE + b"".join(view[c.start : c.end] for c in chunks if c.kind in _NEEDED)
    return Png(width, height, depth, orientation, animated, lean, extra)


def make_lean(data: bytes) -> bytes:
    """A PNG that `parse_png` accepts, without the chunks that decoding does not need: Pillow stumbles over some."""
    view = memoryview(data)
    return SIGNATURE + b"".join(view[c.start : c.end] for c in _read_chunks(view) if c.kind in _NEEDED)


def _read_header(data: bytes) -> tuple[int, int, int, int, bool]:
    if data[12:16] == b"CgBI":
        raise InvalidPicture("unsupported format", "PNG made for iPhone apps (CgBI)")
    if len(data) < 33:
        raise InvalidPicture("cut short", f"the PNG has {len(data)} bytes")
    length, kind, width, height, depth, color, packing, filtering, interlacing = struct.unpack(
        ">I4sIIBBBBB", data[8:29]
    )
    if (length, kind) != (13, b"IHDR") or zlib.crc32(data[12:29]) != int.from_bytes(data[29:33], "big"):
        raise InvalidPicture("damaged", "the PNG's header does not match its checksum")
    check_size(width, height, MAX_PIXELS_AT_ONCE)
    if depth not in _DEPTHS.get(color, ()) or packing or filtering or interlacing > 1:
        raise InvalidPicture("damaged", "the PNG's header makes no sense")
    return width, height, depth, color, bool(interlacing)


def _read_chunks(view: memoryview) -> Iterator[Chunk]:
    position = len(SIGNATURE)
    while True:
        if position + 12 > len(view):
            raise InvalidPicture("cut short", "the PNG has no end")
        length = int.from_bytes(view[position : position + 4], "big")
        kind = bytes(view[position + 4 : position + 8])
        end = position + 12 + length
        if not kind.isalpha():
            raise InvalidPicture("damaged", f"the data at byte {position} of the PNG is not a chunk")
        if end > len(view):
            raise InvalidPicture("cut short", f"the PNG ends within a chunk {kind.decode()}")
        if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise InvalidPicture("damaged", f"a chunk {kind.decode()} does not match its checksum")
        yield Chunk(kind, position, end)
        if kind == b"IEND":
            return
        position = end


def _measure_unpacked(kind: bytes, payload: bytes) -> int:
    """Bytes of a compressed text or colour profile, counted up to a little over `MAX_EXTRA_BYTES`."""
    if kind not in (b"zTXt", b"iTXt", b"iCCP"):
        return 0
    for mark in (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"):
        if (start := payload.find(mark)) >= 0:
            try:
                return len(zlib.decompressobj().decompress(payload[start:], MAX_EXTRA_BYTES + 1))
            except zlib.error:
                continue
    return 0


def _check_order(chunks: list[Chunk], color: int) -> None:
    kinds = [chunk.kind for chunk in chunks]
    if b"IDAT" not in kinds:
        raise InvalidPicture("damaged", "the PNG holds no picture data")
    first, count = kinds.index(b"IDAT"), kinds.count(b"IDAT")
    if kinds[first : first + count] != [b"IDAT"] * count or kinds.count(b"IHDR") != 1:
        raise InvalidPicture("damaged", "the PNG's chunks are out of order")
    strange = [kind for kind in kinds if kind[:1].isupper() and kind not in _NEEDED]
    if strange:
        raise InvalidPicture("damaged", f"the PNG has a chunk {strange[0].decode()}, which nobody knows")
    palettes = [chunk for chunk in chunks if chunk.kind == b"PLTE"]
    if color == 3:
        sizes = [chunk.end - chunk.start - 12 for chunk in palettes]
        if len(sizes) != 1 or sizes[0] % 3 or not 0 < sizes[0] <= 768 or kinds.index(b"PLTE") > first:
            raise InvalidPicture("damaged", "the PNG has no palette, or none that makes sense")


def _list_passes(width: int, height: int, bits: int, interlaced: bool) -> Iterator[tuple[int, int]]:
    """Yields each pass's bytes a row, with the filter's, and rows."""
    for column, row, step_x, step_y in _INTERLACING if interlaced else ((0, 0, 1, 1),):
        columns = (width - column + step_x - 1) // step_x
        rows = (height - row + step_y - 1) // step_y
        if columns > 0 and rows > 0:
            yield 1 + (columns * bits + 7) // 8, rows


def _check_stream(pieces: list[memoryview], passes: list[tuple[int, int]]) -> None:
    """Unpacks the picture block by block: it must have every row, with filters that exist, and its checksum."""
    ends, wanted = [], 0
    for stride, rows in passes:
        ends.append((wanted, wanted + stride * rows, stride))
        wanted += stride * rows
    got = 0
    try:
        for block in _unpack(pieces):
            for start, end, stride in ends:
                low, high = max(start, got), min(end, got + len(block))
                filters = (
                    block[low + (start - low) % stride - got : high - got : stride] if low < high else b""
                )
                if filters and max(filters) > 4:
                    raise InvalidPicture("damaged", "a row of the PNG has a filter that does not exist")
            got += len(block)
            if got > wanted + _MAX_TAIL_BYTES:
                raise InvalidPicture("damaged", "the PNG holds more rows than its header says")
    except zlib.error as error:
        raise InvalidPicture("damaged", f"the PNG cannot be unpacked: {error}") from error
    if got < wanted:
        raise InvalidPicture("cut short", f"the PNG holds {got:,} of {wanted:,} bytes of pixels")


def _unpack(pieces: list[memoryview]) -> Iterator[bytes]:
    """Yields the unpacked stream in blocks, and raises if it has no end."""
    unpacker = zlib.decompressobj()
    for piece in pieces:
        for start in range(0, len(piece), _BLOCK_BYTES):
            packed: bytes | memoryview = piece[start : start + _BLOCK_BYTES]
            while packed and not unpacker.eof:
                yield unpacker.decompress(packed, 1 << 20)
                packed = unpacker.unconsumed_tail
    while not unpacker.eof:
        block = unpacker.decompress(b"", 1 << 20)
        if not block and not unpacker.eof:
            raise InvalidPicture("cut short", "the PNG's compressed data have no end")
        yield block
