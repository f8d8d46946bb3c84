"""PNG files in core TensorFlow ops: only the chunks with picture data are decoded."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from kerasft.vision.decoding.file_bytes import (
    FileBytes,
    Plan,
    find_problem,
    list_size_problems,
    make_plan,
    put_on_white,
)
from kerasft.vision.decoding.orientation import apply_orientation, read_tag
from kerasft.vision.pictures import MAX_PIXELS_AT_ONCE

_MAX_CHUNKS = 16_384
_MAX_KEPT = 8
"""Chunks before the picture's that are kept: a PNG has a header, a palette and one for transparency."""
_SLACK_BYTES = 1024
_END = b"\0\0\0\0IEND\xaeB`\x82"


class _Chunks(NamedTuple):
    """What the chunks say; positions are int32 and 0 where there is none."""

    position: tf.Tensor
    steps: tf.Tensor
    kept: tf.Tensor
    """string: the signature and the chunks before the picture's that decoding needs."""
    picture_start: tf.Tensor
    picture_end: tf.Tensor
    exif_start: tf.Tensor
    exif_end: tf.Tensor
    transparency: tf.Tensor
    num_kept: tf.Tensor
    whole: tf.Tensor
    """1 where the file has an end."""


def inspect_png(file: FileBytes) -> Plan:
    """Numbers: orientation, channels to decode, bits a channel."""
    found = _walk(file)
    width, height = file.number(16, 4), file.number(20, 4)
    depth, color = file.number(24, 1), file.number(25, 1)
    samples = tf.gather([1, 0, 3, 1, 2, 0, 4, 0], tf.minimum(color, 7))
    row_bytes = 1 + (tf.cast(width, tf.int64) * tf.cast(samples * depth, tf.int64) + 7) // 8
    # A decoder unpacks all there is: packed, a picture is never much larger than its pixels.
    most_bytes = row_bytes * tf.cast(height, tf.int64) * 9 // 8 + _SLACK_BYTES
    status = find_problem(
        [
            (file.part(8, 8) != b"\0\0\0\x0dIHDR", "damaged: the PNG has no header"),
            *list_size_problems(width, height, MAX_PIXELS_AT_ONCE),
            ((found.whole == 0) & (found.steps > _MAX_CHUNKS), f"damaged: over {_MAX_CHUNKS} chunks"),
            (found.num_kept > _MAX_KEPT, "damaged: the PNG has several palettes"),
            (found.whole == 0, "cut short: the PNG has no end"),
            (found.picture_start == 0, "damaged: the PNG holds no picture data"),
            (
                tf.cast(found.picture_end - found.picture_start, tf.int64) > most_bytes,
                "damaged: the PNG holds more data than its header says",
            ),
        ]
    )
    picture = file.part(found.picture_start, found.picture_end - found.picture_start)
    opaque = (color < 4) & (found.transparency == 0)
    orientation = read_tag(file, found.exif_start, found.exif_end)
    channels = tf.where(opaque, 3, 4)
    return make_plan(
        status, tf.strings.join([found.kept, picture, _END]), [orientation, channels, depth], (width, height)
    )


def decode_png(plan: Plan) -> tf.Tensor:
    """The picture upright, on white, the upper half of 16 bits: uint8 (height, width, 3)."""
    image = tf.cond(
        plan.numbers[1] == 3,
        lambda: tf.io.decode_png(plan.payload, channels=3),
        lambda: put_on_white(tf.io.decode_png(plan.payload, channels=4)),
    )
    return apply_orientation(image, plan.numbers[0])


def _walk(file: FileBytes) -> _Chunks:
    def step(*state: tf.Tensor) -> _Chunks:
        at = _Chunks(*state)
        length, kind = file.number(at.position, 4), file.part(at.position + 4, 4)
        sound = (length <= file.size - at.position - 12) & (at.steps <= _MAX_CHUNKS)
        sound &= at.num_kept <= _MAX_KEPT  # with more of them the PNG is damaged, whatever follows
        after = at.position + 12 + tf.where(sound, length, 0)
        picture = sound & (kind == b"IDAT")
        # what follows the picture's first run of chunks, decoding does not need
        first = picture & (at.picture_start == 0)
        goes_on = picture & (at.picture_end == at.position)
        needed = sound & (at.picture_start == 0) & tf.reduce_any(kind == [b"IHDR", b"PLTE", b"tRNS"])
        kept = needed & (at.num_kept < _MAX_KEPT)
        chunk = file.part(at.position, tf.where(kept, after - at.position, 0))
        exif = sound & (kind == b"eXIf") & (at.exif_start == 0)
        ends = sound & (kind == b"IEND")
        return _Chunks(
            tf.where(sound & ~ends, after, 0),
            at.steps + 1,
            tf.strings.join([at.kept, chunk]),
            tf.where(first, at.position, at.picture_start),
            tf.where(first | goes_on, after, at.picture_end),
            tf.where(exif, at.position + 8, at.exif_start),
            tf.where(exif, after - 4, at.exif_end),
            tf.where(needed & (kind == b"tRNS"), 1, at.transparency),
            at.num_kept + tf.cast(needed, tf.int32),
            tf.where(ends, 1, at.whole),
        )

    none = tf.constant(0)
    start = (tf.constant(8), none, file.part(0, 8), *[none] * 7)
    return _Chunks(*tf.while_loop(lambda position, *_: position > 0, step, start, parallel_iterations=1))
