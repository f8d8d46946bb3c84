"""What is kept of a picture to find its copies: a checksum of its pixels, and a thumbnail.

About a kilobyte a picture, whatever its size; `similar.py` compares them.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from PIL import Image

from kerasft.vision.files.jpeg import parse_jpeg
from kerasft.vision.files.png import make_lean
from kerasft.vision.files.rotation import rotate
from kerasft.vision.pictures import Picture

GREY_SIDE = 32
"""Rows and columns of the grey thumbnail."""
COLOUR_SIDE = 8
"""Rows and columns of the colour thumbnail."""


class PictureHash(NamedTuple):
    """What is kept of one picture."""

    digest: bytes
    """SHA-256 of size and pixels as a model sees them: decoded, rotated, on white. A picture that was saved anew
    without loss keeps it; its file's name, EXIF and packing do not matter."""
    grey: np.ndarray
    """uint8 (32, 32), brightness."""
    colour: np.ndarray
    """uint8 (8, 8, 2), blueness and redness; 128 is neither."""


class PictureHashes(NamedTuple):
    """What is kept of some pictures; arrays may be memory-mapped."""

    keys: np.ndarray
    """uint64 (pictures,), equal where the pixels are equal: the digests' first 8 bytes."""
    greys: np.ndarray
    """uint8 (pictures, 32, 32)."""
    colours: np.ndarray
    """uint8 (pictures, 8, 8, 2)."""


def compute_hash(picture: Picture) -> PictureHash:
    """Decodes a picture that `check_picture` accepted, and hashes it."""
    image = decode_on_white(picture)
    digest = hashlib.sha256(f"{image.width}x{image.height}:".encode())
    digest.update(np.asarray(image).data)
    grey = image.convert("L").resize((GREY_SIDE, GREY_SIDE), Image.Resampling.BOX)
    # colours are far apart where a mean is taken before the conversion and where after it: always before
    colour = image.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BOX).convert("YCbCr")
    return PictureHash(digest.digest(), np.asarray(grey), np.asarray(colour)[..., 1:])


def decode_on_white(picture: Picture) -> Image.Image:
    """RGB, rotated as EXIF says, what is transparent on white, the upper half of 16 bits."""
    if picture.format == "jpeg":
        jpeg = parse_jpeg(picture.data)
        lean = jpeg.join(jpeg.scans)
    else:
        lean = make_lean(picture.data)
    image: Image.Image = Image.open(io.BytesIO(lean), formats=[picture.format])
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return rotate(image.convert("RGB"), picture.orientation)


def stack_hashes(hashes: Iterable[PictureHash]) -> PictureHashes:
    """The hashes of some pictures, in their order."""
    rows = list(hashes)
    return PictureHashes(
        np.array([int.from_bytes(row.digest[:8], "big") for row in rows], np.uint64),
        np.array([row.grey for row in rows], np.uint8).reshape(-1, GREY_SIDE, GREY_SIDE),
        np.array([row.colour for row in rows], np.uint8).reshape(-1, COLOUR_SIDE, COLOUR_SIDE, 2),
    )
