"""EXIF's orientation: a box goes where its pixels go."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from kerasft.vision.files.reading import check_picture
from kerasft.vision.files.rotation import rotate, turn_box


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_turns_as_the_pixels_in_it(orientation):
    pixels = np.zeros((20, 30), np.uint8)
    pixels[3:7, 10:15] = 255
    rows, columns = np.nonzero(np.asarray(rotate(Image.fromarray(pixels), orientation)))
    around = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert turn_box((10, 3, 15, 7), orientation, 30, 20) == around


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_says_how_its_file_was_turned(format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.new("RGB", (32, 16), "gray").save(buffer, format, exif=exif)
    picture = check_picture(buffer.getvalue(), f"a.{format.lower()}")
    assert picture.turned == orientation
    assert (picture.width, picture.height) == ((16, 32) if orientation >= 5 else (32, 16))
