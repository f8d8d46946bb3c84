"""JPEG files: their segments, EXIF orientation, and whether the coded picture is whole.

libjpeg fills in what a damaged file lacks and goes on, and neither Pillow nor TensorFlow tells. Here a file is decoded
again with a few bytes more, or fewer, at the end of its coded data: a whole picture does not look at more, and misses
what is taken away.
"""

from __future__ import annotations

import io
import re
import struct
from typing import NamedTuple

from PIL import Image

from kerasft.vision.pictures import MAX_PIXELS, MAX_PIXELS_AT_ONCE, InvalidPicture, check_size

MAX_SCANS = 100
"""Progressive pictures have about ten; each costs a pass over all of the picture."""

_FRAMES = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive"}
_OTHER_FRAMES = {
    **dict.fromkeys((0xC3, 0xC7, 0xCB, 0xCF), "lossless"),
    **dict.fromkeys((0xC5, 0xC6, 0xCD, 0xCE), "hierarchical"),
    **dict.fromkeys((0xC9, 0xCA), "arithmetic-coded"),
}
_DECODED = {*_FRAMES, 0xC4, 0xCC, 0xDA, 0xDB, 0xDD, 0xE0, 0xEE}
"""Markers of the segments that decoding needs."""
_SKIPPED = {0xDC, *range(0xE1, 0xEE), 0xEF, 0xFE}
"""Markers of the others that may stand in a file (comments, EXIF, previews): they are not shown to Pillow."""
ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
"""A segment that says: the four channels are ink, and inverted."""
_NEXT_MARKER = re.compile(rb"\xff+([\x01-\xcf\xd8-\xfe])")
_RESTART = re.compile(rb"\xff+[\xd0-\xd7]")
_BLOCK_BYTES = 240
"""More than 64 numbers of at most 27 bits take, with the bytes that keep them apart from markers."""
_FILLER = bytes(range(1, _BLOCK_BYTES + 1))
"""Coded data of nothing in particular."""


class Jpeg(NamedTuple):
    """What a JPEG file holds."""

    progressive: bool
    channels: int
    unit_blocks: int
    """Blocks of 8 × 8 that are coded together."""
    width: int
    """Pixels, before rotation."""
    height: int
    orientation: int
    """EXIF's, 1 to 8."""
    has_adobe: bool
    """An Adobe segment tells how the channels are meant."""
    has_restarts: bool
    """Markers stand within the coded data, from which a decoder can begin anew."""
    headers: list[bytes]
    """The segments before each scan's coded data, and those behind the last."""
    scans: list[bytes]
    """Coded data."""

    def join(self, scans: list[bytes]) -> bytes:
        """The file with other coded data, and without the segments that decoding does not need."""
        parts = [part for pair in zip(self.headers[:-1], scans, strict=True) for part in pair]
        return b"".join([b"\xff\xd8", *parts, self.headers[-1], b"\xff\xd9"])


def parse_jpeg(data: bytes) -> Jpeg:
    """Reads the segments; pixels are not looked at.

    Raises:
        InvalidPicture: the file ends before the picture does, makes no sense, is too large, or of a rare kind.
    """
    frame: tuple[int, bytes] | None = None
    orientation, has_adobe, has_restarts = 1, False, False
    headers, scans = [bytearray()], []
    position = 2
    while True:
        marker, position = _find_marker(data, position)
        if marker == 0xD9:
            break
        if marker == 0x01:
            continue
        if marker not in _DECODED and marker not in _SKIPPED and marker not in _OTHER_FRAMES:
            raise InvalidPicture("damaged", f"the JPEG has a marker {marker:#x} where none is allowed")
        start = position - 2
        payload, position = _read_segment(data, position)
        if marker in _FRAMES:
            if frame:
                raise InvalidPicture("damaged", "two frame headers")
            frame = marker, payload
            _check_frame(payload, MAX_PIXELS_AT_ONCE if marker == 0xC2 else MAX_PIXELS)
        elif marker in _OTHER_FRAMES:
            raise InvalidPicture("unsupported format", f"{_OTHER_FRAMES[marker]} JPEG")
        elif marker == 0xE1 and payload.startswith(b"Exif\0\0") and orientation == 1:
            orientation = read_orientation(payload[6:])
        elif marker == 0xEE and payload.startswith(b"Adobe"):
            has_adobe = True
        elif marker == 0xDD:
            has_restarts |= any(payload)
        if marker in _DECODED:
            headers[-1] += b"\xff" + data[start + 1 : position]
        if marker == 0xDA:
            end = _find_end(data, position)
            scans.append(data[position:end])
            headers.append(bytearray())
            position = end
            if len(scans) > MAX_SCANS:
                raise InvalidPicture("damaged", f"more than {MAX_SCANS} scans")
    if frame is None or not scans:
        raise InvalidPicture("damaged", "a JPEG without a picture")
    height, width = struct.unpack(">HH", frame[1][1:5])
    return Jpeg(
        frame[0] == 0xC2,
        frame[1][5],
        sum((byte >> 4) * (byte & 15) for byte in frame[1][7::3][: frame[1][5]]),
        width,
        height,
        orientation,
        has_adobe,
        has_restarts,
        [bytes(header) for header in headers],
        scans,
    )


def _find_marker(data: bytes, position: int) -> tuple[int, int]:
    found = _NEXT_MARKER.search(data, position)
    if found is None:
        raise InvalidPicture("cut short", "the JPEG has no end marker")
    return found[1][0], found.end()


def _read_segment(data: bytes, position: int) -> tuple[bytes, int]:
    length = int.from_bytes(data[position : position + 2], "big")
    end = position + length
    if length < 2:
        raise InvalidPicture("damaged", f"a JPEG segment of {length} bytes")
    if end > len(data):
        raise InvalidPicture("cut short", "the JPEG ends within a segment")
    return data[position + 2 : end], end


def _find_end(data: bytes, position: int) -> int:
    """Where a scan's coded data end."""
    found = _NEXT_MARKER.search(data, position)
    if found is None:
        raise InvalidPicture("cut short", "the JPEG has no end marker")
    return found.start()


def _check_frame(payload: bytes, most: int) -> None:
    if len(payload) < 6 or len(payload) < 6 + 3 * payload[5]:
        raise InvalidPicture("damaged", "the JPEG's frame header is too short")
    height, width = struct.unpack(">HH", payload[1:5])
    check_size(width, height, most)
    if payload[0] != 8:
        raise InvalidPicture("unsupported format", f"JPEG of {payload[0]} bits a channel")
    if payload[5] not in (1, 3, 4):
        raise InvalidPicture("unsupported format", f"JPEG of {payload[5]} channels")


def read_orientation(exif: bytes) -> int:
    """Orientation that an EXIF block (it begins with its byte order) tells, 1 to 8; 1 where it tells none.

    Source: CIPA DC-008 (Exif 2.32), tag 0x0112 of the first directory.
    """
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    try:
        if order is None or struct.unpack_from(order + "H", exif, 2)[0] != 42:
            return 1
        start = struct.unpack_from(order + "I", exif, 4)[0]
        entries = struct.unpack_from(order + "H", exif, start)[0]
        for i in range(entries):
            tag, kind, count, value = struct.unpack_from(order + "HHIH", exif, start + 2 + 12 * i)
            if tag == 0x0112:
                return value if kind == 3 and count == 1 and 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


def check_coded_data(jpeg: Jpeg) -> None:
    """Decodes the picture to see that its coded data are whole.

    A picture coded in one go is decoded at an eighth of its size: all coded data are read, little memory is taken.

    Raises:
        InvalidPicture: data are missing, left over, or cannot be decoded.
    """
    for scan in jpeg.scans:
        markers = [found[-1] for found in _RESTART.findall(scan)]
        if markers != [0xD0 + i % 8 for i in range(len(markers))] or (markers and not jpeg.has_restarts):
            raise InvalidPicture("damaged", "the JPEG's restart markers are out of order")
    shown = _decode(jpeg, jpeg.scans)
    # two units: a decoder first makes up what is missing of the one that it is at
    more = 2 * jpeg.unit_blocks * _FILLER
    longer = [_RESTART.sub(lambda found: more + found[0], scan) + more for scan in jpeg.scans]
    if _decode(jpeg, longer) != shown:
        raise InvalidPicture("damaged", "the JPEG's data end before the picture does")
    # without its data the last unit is grey; in other scans than one, some of it would stay
    if jpeg.progressive or len(jpeg.scans) > 1 or _ends_grey(shown, jpeg.channels):
        return
    shorter = [jpeg.scans[0][: -_BLOCK_BYTES * jpeg.unit_blocks]]
    if _decode(jpeg, shorter) == shown:
        raise InvalidPicture("damaged", "the JPEG's data go on after the picture's end")


def _ends_grey(shown: bytes, channels: int) -> bool:
    """The last pixel is the grey that libjpeg fills in: nothing is missed where the last data are taken away."""
    return all(value in (127, 128) for value in shown[-channels:])


def _decode(jpeg: Jpeg, scans: list[bytes]) -> bytes:
    try:
        with Image.open(io.BytesIO(jpeg.join(scans)), formats=["JPEG"]) as image:
            if not jpeg.progressive:
                image.draft(image.mode, (1, 1))
            return image.tobytes()
    except (OSError, SyntaxError, ValueError) as error:
        reason = "cut short" if "truncated" in str(error) else "damaged"
        raise InvalidPicture(reason, f"the JPEG cannot be decoded: {error}") from error
