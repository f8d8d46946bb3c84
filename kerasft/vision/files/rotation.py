"""Applies a picture's EXIF orientation to its pixels, and to boxes on them."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def rotate(image: Image.Image, orientation: int) -> Image.Image:
    """The picture upright; `orientation` is EXIF's, 1 to 8."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def turn_box(
    sides: Sequence[float], orientation: int, width: int, height: int
) -> tuple[float, float, float, float]:
    """A box on the upright picture, of one on the pixels as they are stored.

    Args:
        sides: left, top, right, bottom, in pixels.
        orientation: EXIF's, 1 to 8.
        width: of the stored pixels.
        height: of the stored pixels.
    """
    left, top, right, bottom = sides
    if orientation in (2, 3, 7, 8):
        left, right = width - right, width - left
    if orientation in (3, 4, 6, 7):
        top, bottom = height - bottom, height - top
    if orientation >= 5:
        left, top, right, bottom = top, left, bottom, right
    return left, top, right, bottom
