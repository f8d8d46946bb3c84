"""WebP files in core TensorFlow ops: a still picture, or the first frame of an animation.

The op is `DecodeImage`, which TensorFlow knows from 2.4 on and which takes WebP from 2.20 on: older releases load the
graph, and say of a WebP file that they cannot decode it.
"""

from __future__ import annotations

import tensorflow as tf

from kerasft.vision.decoding.file_bytes import (
    FileBytes,
    Plan,
    find_problem,
    list_size_problems,
    make_plan,
    put_on_white,
)
from kerasft.vision.decoding.gif import place
from kerasft.vision.decoding.orientation import apply_orientation, read_tag
from kerasft.vision.pictures import MAX_PIXELS_AT_ONCE

_MAX_CHUNKS = 4096
_BYTES = [bytes([value]) for value in range(256)]
_ANIMATED = 2


def inspect_webp(file: FileBytes) -> Plan:
    """Numbers: orientation, where the frame lies (top, left), the whole picture's height and width."""
    kind = file.part(12, 4)
    extended = kind == b"VP8X"
    width, height = _measure(file, kind)
    animated = extended & (tf.bitwise.bitwise_and(file.number(20, 1), _ANIMATED) > 0)
    frame, frame_end, exif_start, exif_end = tf.cond(
        extended, lambda: _find_chunks(file), lambda: tuple(tf.constant(0) for _ in range(4))
    )
    left, top = (2 * file.number(frame + at, 3, little=True) for at in (0, 3))
    frame_width, frame_height = (1 + file.number(frame + at, 3, little=True) for at in (6, 9))
    fits = (left + frame_width <= width) & (top + frame_height <= height)
    status = find_problem(
        [
            (file.size < 30, "cut short: the WebP has no header"),
            (file.wide_number(4, 4, little=True) + 8 > tf.cast(file.size, tf.int64), "cut short: the WebP"),
            ((width == 0) & (height == 0), "damaged: the WebP does not begin as one"),
            *list_size_problems(width, height, MAX_PIXELS_AT_ONCE),
            (animated & (frame == 0), "damaged: the WebP holds no frame"),
            (animated & ~fits, "damaged: the WebP's frame does not fit into it"),
        ]
    )
    payload = tf.cond(animated, lambda: _make_still(file, frame, frame_end), lambda: file.data)
    corner = [tf.where(animated, top, 0), tf.where(animated, left, 0)]
    return make_plan(
        status, payload, [read_tag(file, exif_start, exif_end), *corner, height, width], (width, height)
    )


def decode_webp(plan: Plan) -> tf.Tensor:
    """The picture upright, on white, uint8 (height, width, 3)."""
    image = tf.io.decode_image(plan.payload, expand_animations=False)
    image = tf.ensure_shape(image, [None, None, None])
    image = tf.cond(tf.shape(image)[-1] == 4, lambda: put_on_white(image), lambda: image)
    white = tf.constant([255, 255, 255], tf.uint8)
    placed = place(tf.ensure_shape(image, [None, None, 3]), plan.numbers[1:3], plan.numbers[3:5], white)
    return apply_orientation(placed, plan.numbers[0])


def _measure(file: FileBytes, kind: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Width and height; 0 where the file is none."""
    extended = [1 + file.number(at, 3, little=True) for at in (24, 27)]
    bits = file.wide_number(21, 4, little=True)
    lossless = [
        tf.cast(tf.bitwise.bitwise_and(tf.bitwise.right_shift(bits, shift), 0x3FFF), tf.int32) + 1
        for shift in (tf.constant(0, tf.int64), tf.constant(14, tf.int64))
    ]
    lossy = [tf.bitwise.bitwise_and(file.number(at, 2, little=True), 0x3FFF) for at in (26, 28)]
    choices = tf.stack([extended, lossless, lossy, [0, 0]])
    names = tf.concat([tf.equal(kind, [b"VP8X", b"VP8L", b"VP8 "]), [True]], 0)
    width, height = tf.unstack(tf.gather(choices, tf.argmax(tf.cast(names, tf.int32))))
    return width, height


def _find_chunks(file: FileBytes) -> tuple[tf.Tensor, ...]:
    """Where the contents of the first frame and of EXIF begin and end; 0 where there is none."""

    def step(position, steps, *found):
        kind, length = file.part(position, 4), file.number(position + 4, 4, little=True)
        sound = (length <= file.size - position - 8) & (steps < _MAX_CHUNKS)
        start = position + 8
        end = start + tf.where(sound, length, 0)
        spans = []
        for name, old_start, old_end in ((b"ANMF", *found[:2]), (b"EXIF", *found[2:])):
            is_it = sound & (kind == name) & (old_start == 0)
            # some writers put the name that JPEG has before it
            skipped = tf.where(file.part(start, 6) == b"Exif\0\0", 6, 0)
            spans += [tf.where(is_it, start + skipped, old_start), tf.where(is_it, end, old_end)]
        following = end + length % 2
        return tf.where(sound & (following < file.size), following, 0), steps + 1, *spans

    none = tf.constant(0)
    loop = (tf.constant(12), none, none, none, none, none)
    return tf.while_loop(lambda position, *_: position > 0, step, loop, parallel_iterations=1)[2:]


def _make_still(file: FileBytes, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """A WebP file of one frame of an animation."""
    inner = file.part(start + 16, end - start - 16)
    size = file.part(start + 6, 6)
    has_alpha = tf.strings.substr(inner, 0, tf.minimum(4, tf.strings.length(inner))) == b"ALPH"
    extended = tf.strings.join([b"VP8X\x0a\0\0\0\x10\0\0\0", size])
    body = tf.strings.join([b"WEBP", tf.where(has_alpha, extended, b""), inner])
    return tf.strings.join([b"RIFF", _write_number(tf.strings.length(body)), body])


def _write_number(number: tf.Tensor) -> tf.Tensor:
    """string scalar: 4 bytes, the lowest first."""
    digits = tf.bitwise.bitwise_and(tf.bitwise.right_shift(number, [0, 8, 16, 24]), 255)
    return tf.strings.reduce_join(tf.gather(tf.constant(_BYTES), digits))
