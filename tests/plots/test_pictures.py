"""Pictures for people: upright, small, embeddable."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from kerasft.plots.pictures import build_data_uri, get_scale, open_upright


def save(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


@pytest.fixture
def quarters() -> Image.Image:
    """80 × 40, a colour in each quarter."""
    image = Image.new("RGB", (80, 40))
    for place, colour in enumerate(("red", "lime", "blue", "white")):
        x, y = 40 * (place % 2), 20 * (place // 2)
        image.paste(colour, (x, y, x + 40, y + 20))
    return image


BACK = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
"""An orientation → the `Image.Transpose` that makes what such a file holds of an upright picture."""


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_stands_upright(quarters: Image.Image, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    held = quarters.transpose(Image.Transpose(BACK[orientation])) if orientation in BACK else quarters
    data = save(held, "JPEG", exif=exif, quality=95, subsampling=0)
    upright = open_upright(data)
    assert upright.size == (80, 40)
    assert np.abs(np.asarray(upright, int) - np.asarray(quarters, int)).mean() < 3


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_a_large_picture_becomes_small_and_a_small_one_stays(format: str) -> None:
    data = save(Image.new("RGB", (900, 300), "teal"), format)
    assert open_upright(data, 160).size == (160, 53)
    assert open_upright(data, 1600).size == open_upright(data).size == (900, 300)


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_copy_tells_how_far_it_was_reduced(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = save(Image.new("RGB", (900, 300), "teal"), "JPEG", exif=exif)
    assert get_scale(open_upright(data)) == 1.0
    assert get_scale(open_upright(data, 450)) == 0.5
    assert get_scale(Image.new("RGB", (7, 7))) == 1.0


def test_of_a_narrow_copy_the_longer_side_tells_how_far_it_was_reduced() -> None:
    copy = open_upright(save(Image.new("RGB", (10, 3000), "teal"), "PNG"), 450)
    assert copy.height == 450
    assert get_scale(copy) == 0.15


def test_transparent_parts_are_white() -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert np.asarray(open_upright(save(image, "PNG"))).min() == 255


def test_of_16_bits_the_upper_8_are_shown() -> None:
    grey = Image.fromarray(np.full((8, 8), 0x80FF, np.uint16))
    pixels = np.asarray(open_upright(save(grey, "PNG")))
    assert pixels.shape == (8, 8, 3)
    assert set(pixels.ravel()) == {0x80}


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_jpegs_of_any_colours_become_rgb(quarters: Image.Image, mode: str) -> None:
    upright = open_upright(save(quarters.convert(mode), "JPEG"), 40)
    assert (upright.mode, upright.size) == ("RGB", (40, 20))


def test_an_address_holds_the_picture(quarters: Image.Image) -> None:
    head, _, data = build_data_uri(quarters).partition(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (80, 40)
