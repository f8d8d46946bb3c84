"""Masks: the number of a class for each pixel of a picture, what semantic segmentation learns."""

from __future__ import annotations

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from PIL import Image

from kerasft.data.kinds.base import Kind, ReadValue
from kerasft.data.kinds.fields import InvalidValue
from kerasft.data.kinds.image import read_file
from kerasft.data.sources.paths import SourceFile
from kerasft.vision.files.kinds import recognize
from kerasft.vision.files.png import parse_png
from kerasft.vision.files.reading import check_picture
from kerasft.vision.pictures import InvalidPicture

VOID = 255
"""The number of pixels that belong to no class, and count nowhere."""
_READERS = 4


def read_mask(data: bytes) -> np.ndarray:
    """uint8 (height, width): the numbers in a PNG of greys, or of a palette, whose colours mean nothing.

    Raises:
        InvalidPicture: it is damaged, is no PNG, or holds colours.
    """
    if data and recognize(data) not in (None, "PNG"):
        raise InvalidPicture("mask is not a PNG", f"a {recognize(data)}, which may change numbers")
    check_picture(data, "")
    png = parse_png(data)
    with Image.open(io.BytesIO(png.lean), formats=["PNG"]) as image:
        if image.mode not in ("1", "L", "P"):
            detail = f"pixels are {image.mode}; numbers of classes are 8-bit greys, or palette indices"
            raise InvalidPicture("mask holds no numbers", detail)
        numbers = np.asarray(image).astype(np.uint8)
        # Pillow spreads greys of fewer than 8 bits over 0 to 255
        return numbers // (255 // (2**png.depth - 1)) if image.mode == "L" else numbers


class MaskKind(Kind):
    """A class for each pixel, by its number; kept as a PNG of greys, as large as the example's picture.

    Where the field names classes, other numbers than theirs and `VOID` are refused.
    """

    noun = "mask"
    in_pixels = True
    column_of = "pictures"
    reads_class_names = False
    decoded_by_tfds = False

    def read(self, values: Sequence[Any], file: SourceFile) -> list[ReadValue | InvalidValue]:
        with ThreadPoolExecutor(_READERS, thread_name_prefix="masks") as readers:
            return list(readers.map(lambda value: self._read(value, file), values))

    def _read(self, value: Any, file: SourceFile) -> ReadValue | InvalidValue:
        try:
            data, _ = read_file(value, file)
            mask = read_mask(data)
        except InvalidPicture as error:
            return InvalidValue(error.reason, error.detail)
        classes = self.field.classes
        if classes is not None:
            strange = np.setdiff1d(mask, [*range(len(classes)), VOID])
            if len(strange):
                detail = f"{strange[0]}; there are {len(classes)} classes, and {VOID} for pixels of none"
                return InvalidValue("unknown class number", detail)
        buffer = io.BytesIO()
        Image.fromarray(mask).save(buffer, "PNG")
        return ReadValue(buffer.getvalue(), size_px=mask.shape)

    def check_size(
        self, value: ReadValue, size_px: tuple[int, int], orientation: int = 1
    ) -> ReadValue | InvalidValue:
        if value.size_px == size_px:
            return value
        height, width = value.size_px or (0, 0)
        detail = f"{width} × {height} pixels, and the picture has {size_px[1]} × {size_px[0]}"
        return InvalidValue("mask of another size", detail)

    def build_features(self, label_names: Sequence[str]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        return {self.field.name: tfds.features.Image(shape=(None, None, 1), encoding_format="png")}

    def decode(self, stored: Any) -> bytes:
        return bytes(stored)


KindClass = MaskKind
