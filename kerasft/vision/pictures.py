"""A picture that was read: its bytes, its size, its limits, and the reason if it is refused."""

from __future__ import annotations

from typing import Literal, NamedTuple

MAX_PIXELS = 80_000_000
"""Pixels of the largest picture that is read: of a JPEG that can be decoded at a fraction of its size."""
MAX_PIXELS_AT_ONCE = 40_000_000
"""Pixels of the largest of all others, which are held whole: each takes 3 to 10 bytes while it is decoded."""
MAX_SIDE_PX = 65_500
"""The longest side: libjpeg's own limit."""
MIN_SIDE_PX = 8
"""The shortest side: what is smaller are tracking pixels and spacers, and no backbone has a use for it."""
MAX_FILE_BYTES = 64 << 20
"""Bytes of the largest file that is read."""


class InvalidPicture(ValueError):
    """A file holds no picture that can be used: its row is rejected.

    Args:
        reason: one of few, counted in the manifest.
        detail: what is the matter with this file.
    """

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


class Picture(NamedTuple):
    """A picture that `tf.io.decode_jpeg` and `tf.io.decode_png` decode without complaint."""

    data: bytes
    """The file: as it was, or written anew."""
    format: Literal["jpeg", "png"]
    width: int
    """Pixels, after rotation."""
    height: int
    """Pixels, after rotation."""
    converted: str | None = None
    """Why the file was written anew, for example "GIF, first frame"; None where `data` is the file itself."""
    misnamed: str | None = None
    """What the file is and how it is named, for example "PNG named .jpg"; None where the two agree."""
    orientation: int = 1
    """EXIF orientation that whoever decodes `data` has to undo, 1 to 8; other than 1 for JPEG only."""
    turned: int = 1
    """EXIF orientation of the file as it was, 1 to 8, whether `data` still has it or is upright by now."""


def check_size(width: int, height: int, most: int = MAX_PIXELS) -> None:
    """Looks at a size that a header tells, before there is memory for the pixels; `most` of them may be there.

    Raises:
        InvalidPicture: there are no pixels, too few or too many.
    """
    size = f"{width} × {height} pixels"
    if width <= 0 or height <= 0:
        raise InvalidPicture("no pixels", f"the header says {size}")
    if width * height > most:
        raise InvalidPicture("too large", f"{size}; at most {most:,} are read of such a file")
    if max(width, height) > MAX_SIDE_PX:
        raise InvalidPicture("too large", f"{size}; a side has at most {MAX_SIDE_PX:,}")
    if min(width, height) < MIN_SIDE_PX:
        raise InvalidPicture("too small", f"{size}; a side has at least {MIN_SIDE_PX}")
