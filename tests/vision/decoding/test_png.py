"""What is kept of a PNG before its picture is bounded: chunks that only one of may be there are not gathered."""

from __future__ import annotations

import tensorflow as tf
from odd_pictures import chunk, make_png

from kerasft.vision.decoding.file_bytes import FileBytes
from kerasft.vision.decoding.png import inspect_png


def test_a_png_of_many_palettes_is_damaged_and_few_of_them_are_kept() -> None:
    rows = bytes(39 * 50)
    one, many = (
        inspect_png(FileBytes(tf.constant(make_png(rows, 8, 0, before=chunk(b"PLTE", bytes(768)) * count))))
        for count in (1, 200)
    )
    assert one.status == b""
    assert many.status == b"damaged: the PNG has several palettes"
    assert len(many.payload.numpy()) < len(one.payload.numpy()) + 8 * 800
