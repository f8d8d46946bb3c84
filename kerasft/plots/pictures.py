"""Picture files made upright, small and embeddable, for people to look at."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from kerasft.vision.files.jpeg import parse_jpeg
from kerasft.vision.files.rotation import rotate

WHOLE_SIZE = "whole_size"
"""Where an image's `info` keeps the width and height that it had before it was reduced."""


def open_upright(data: bytes, longest_px: int | None = None) -> Image.Image:
    """A picture as the model is shown it, but for its size and shape: upright, on white where it is transparent.

    Args:
        data: a JPEG or PNG file, as `kerasft.vision.files.reading.read_picture` gives it.
        longest_px: what the longer side is reduced to, where it has more pixels.

    Returns:
        An RGB image; `get_scale` tells how far it was reduced.
    """
    orientation = parse_jpeg(data).orientation if data.startswith(b"\xff\xd8") else 1
    with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
        flat = image if image.format == "JPEG" else _flatten(image)
        width, height = image.size
        if longest_px is not None and max(image.size) > longest_px:
            # a JPEG is decoded at a fraction of its size, which takes as much less time and memory
            flat.thumbnail((longest_px, longest_px), reducing_gap=2.0)
        upright = rotate(flat.convert("RGB"), orientation)
    upright.info[WHOLE_SIZE] = (height, width) if orientation >= 5 else (width, height)
    return upright


def get_scale(picture: Image.Image) -> float:
    """How many pixels of a copy there are for each of the whole picture, along a side; 1 where nobody has noted it."""
    # a shorter side is rounded to whole pixels, perhaps of a few
    return max(picture.size) / max(picture.info.get(WHOLE_SIZE, picture.size))


def _flatten(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # of 16 bits the upper 8
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        transparent = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, transparent)
    return image.convert("RGB")


def build_data_uri(image: Image.Image) -> str:
    """A `data:` address that holds the picture itself, as JPEG."""
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=82, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
