"""Which format a picture's file has: looks at it, and decodes it, in core TensorFlow ops."""

from __future__ import annotations

import tensorflow as tf

from kerasft.vision.decoding.bmp import decode_bmp, inspect_bmp
from kerasft.vision.decoding.file_bytes import FileBytes, Plan, find_problem, make_plan
from kerasft.vision.decoding.gif import decode_gif, inspect_gif
from kerasft.vision.decoding.jpeg import SCALES, decode_jpeg, inspect_jpeg, measure_jpeg
from kerasft.vision.decoding.png import decode_png, inspect_png
from kerasft.vision.decoding.webp import decode_webp, inspect_webp
from kerasft.vision.pictures import MAX_FILE_BYTES
from kerasft.vision.resampling import Resize, divide, find_frame

NOT_A_PICTURE = "not a picture: no JPEG, PNG, GIF, BMP or WebP file"
_INSPECTORS = (inspect_jpeg, inspect_png, inspect_gif, inspect_bmp, inspect_webp)
NUM_FORMATS = len(_INSPECTORS)
PREPARED_FORMATS = 2
"""The first ones, which are all that a prepared dataset holds."""
_JPEG = 0
_SPARE = 2.0  # pixels along a side for each that is asked for; with one or less, edges get softer


def inspect_file(data: tf.Tensor, formats: int = NUM_FORMATS) -> tuple[tf.Tensor, Plan]:
    """Which format a file has, and what is known of it.

    Args:
        data: string scalar, the file's bytes.
        formats: how many of the formats may be; the others are no pictures.

    Returns:
        int32 scalar, the format's number, or `formats` where it is none; and the plan, whose status says why.
    """
    size = tf.strings.length(data)

    def begins(signature: bytes, start: int = 0) -> tf.Tensor:
        return tf.strings.substr(data, tf.minimum(start, size), len(signature)) == signature

    # two letters may begin a text: a BMP goes on with zeros
    kinds = tf.stack(
        [
            begins(b"\xff\xd8\xff"),
            begins(b"\x89PNG\r\n\x1a\n"),
            begins(b"GIF87a") | begins(b"GIF89a"),
            begins(b"BM") & begins(b"\0\0\0\0", 6),
            begins(b"RIFF") & begins(b"WEBP", 8),
        ][:formats]
    )
    status = find_problem(
        [
            (size == 0, "empty file"),
            (size > MAX_FILE_BYTES, f"too large: a file has at most {MAX_FILE_BYTES:,} bytes"),
            (~tf.reduce_any(kinds), NOT_A_PICTURE),
        ]
    )
    kind = tf.where(status == "", tf.argmax(tf.cast(kinds, tf.int32), output_type=tf.int32), formats)
    plan = tf.switch_case(
        kind,
        [
            *(lambda inspect=inspect: inspect(FileBytes(data)) for inspect in _INSPECTORS[:formats]),
            lambda: make_plan(status, tf.constant(b""), []),
        ],
    )
    return kind, plan


def decode_file(
    kind: tf.Tensor,
    plan: Plan,
    size_px: tuple[int, int],
    resize: Resize,
    smallest_crop: float = 1.0,
    formats: int = NUM_FORMATS,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The picture of a file that was inspected, upright, in a size from which the target can be cut or shrunk.

    Args:
        kind, plan: what `inspect_file` says.
        size_px, resize, smallest_crop: see `graph.decode_near`.
        formats: as for `inspect_file`.

    Returns:
        uint8 (height, width, 3); and the height and width of the whole picture, int32 (2,), which are larger where a
        JPEG is decoded at a fraction of its size.
    """

    def choose_scale(upright: tf.Tensor) -> tf.Tensor:
        _, frame = find_frame(upright, size_px, resize)
        spare = tf.reduce_min(divide(frame, size_px)) * (smallest_crop**0.5 / _SPARE)
        return tf.reduce_sum(tf.cast(spare >= SCALES[1:], tf.int32))

    image = tf.switch_case(
        kind,
        [
            lambda: decode_jpeg(plan, choose_scale),
            lambda: decode_png(plan),
            lambda: decode_gif(plan),
            lambda: decode_bmp(plan),
            lambda: decode_webp(plan),
        ][:formats],
    )
    image.set_shape((None, None, 3))
    size = tf.where(kind == _JPEG, measure_jpeg(plan), tf.shape(image)[:2])
    return image, size
