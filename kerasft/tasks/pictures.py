"""What tasks on pictures share: why a file has no answer, and the files that an export is tried with."""

from __future__ import annotations

import io
from typing import Any, NoReturn

from kerasft.data.kinds.image import build_refusal
from kerasft.errors import DataError
from kerasft.vision.files.reading import check_picture
from kerasft.vision.pictures import InvalidPicture


def refuse_picture(data: bytes, name: str, status: str) -> NoReturn:
    """Says why a file that the decoding graph refused has no answer.

    Args:
        data: the file's bytes.
        name: what it is called.
        status: what the graph says of it.

    Raises:
        DataError: always.
    """
    try:
        # preparing looks closer, and can say more
        check_picture(data, name)
    except InvalidPicture as error:
        raise build_refusal(error, name) from error
    raise DataError(status, where=name, fix="Leave the file out.")


def draw_probes() -> list[dict[str, bytes]]:
    """Files that decoders stumble over, of every format that is read, and some that must be refused."""
    from PIL import Image

    from kerasft.vision.files.jpeg import ADOBE

    gradient = Image.linear_gradient("L").resize((97, 61))
    colour = Image.merge("RGB", (gradient, gradient.transpose(Image.Transpose.ROTATE_180), gradient))
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = colour.copy()
    clear.putalpha(gradient.point(lambda value: 255 - value))
    few, ink = colour.quantize(16), colour.convert("CMYK")
    frames = {"save_all": True, "append_images": [few.transpose(Image.Transpose.ROTATE_180)]}
    pictures: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (colour, "JPEG", {}),
        (colour, "JPEG", {"exif": turned}),
        (gradient, "JPEG", {"quality": 30, "progressive": True}),
        (ink, "JPEG", {}),
        (clear, "PNG", {}),
        (colour, "PNG", {"exif": turned}),
        (gradient, "PNG", {}),
        (clear.convert("LA"), "PNG", {}),
        (gradient.convert("I;16"), "PNG", {}),
        (few, "PNG", {}),
        (few, "PNG", {"transparency": 1, "bits": 4}),
        (colour.quantize(4), "PNG", {"bits": 2}),
        (gradient.convert("1"), "PNG", {}),
        (colour, "PNG", {**frames, "append_images": [clear.convert("RGB")]}),
        (colour.resize((8, 8)), "PNG", {}),
        (colour.resize((1200, 9)), "PNG", {}),
        (colour, "GIF", {}),
        (few, "GIF", {"transparency": 1}),
        (few, "GIF", frames),
        (colour, "BMP", {}),
        (few, "BMP", {}),
        (colour.convert("1"), "BMP", {}),
        (clear, "BMP", {}),
        (colour, "WEBP", {"lossless": True}),
        (colour, "WEBP", {"quality": 70, "exif": turned}),
        (clear, "WEBP", {"quality": 70}),
        (colour, "WEBP", {**frames, "append_images": [clear], "lossless": True}),
    ]
    files = [_save(image, format, options) for image, format, options in pictures]
    marked = _save(ink, "JPEG", {})
    start = marked.index(ADOBE[:4])
    files.append(marked[:start] + marked[start + len(ADOBE) :])
    refused = [b"", b"no picture", _save(colour.resize((7, 7)), "PNG", {}), files[4][:-20], files[16][:200]]
    wide = files[4][:16] + (20_000).to_bytes(4, "big") * 2 + files[4][24:]
    return [{"image": file} for file in (*files, *refused, wide)]


def _save(image: Any, format: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()
