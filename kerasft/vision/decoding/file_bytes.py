"""Reads numbers and parts of a file's bytes, in core TensorFlow ops that never fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from kerasft.vision.pictures import MAX_PIXELS, MAX_SIDE_PX, MIN_SIDE_PX
from kerasft.vision.resampling import divide

NUMBERS = 8
"""What a `Plan` has room for."""
_SPARE_BYTES = 16
_PIXELS_AT_ONCE = 1 << 20


class Plan(NamedTuple):
    """What is known of a picture's file before it is decoded."""

    status: tf.Tensor
    """string scalar: why it is not decoded; empty where it is."""
    payload: tf.Tensor
    """string scalar: what of the file is decoded."""
    numbers: tf.Tensor
    """int32 (8,): what the format's decoder has to know besides."""


class FileBytes:
    """A file's bytes.

    Args:
        data: string scalar.
    """

    def __init__(self, data: tf.Tensor):
        self.data = data
        self.size = tf.strings.length(data)
        # what is read past the end is zero
        self.values = tf.concat([tf.io.decode_raw(data, tf.uint8), tf.zeros([_SPARE_BYTES], tf.uint8)], 0)

    def read(self, start: tf.Tensor | int, count: int) -> tf.Tensor:
        """int32 (count,): bytes; zeros past the end."""
        places = tf.clip_by_value(start + tf.range(count), 0, tf.size(self.values) - 1)
        return tf.cast(tf.gather(self.values, places), tf.int32)

    def number(self, start: tf.Tensor | int, count: int, *, little: bool = False) -> tf.Tensor:
        """int32 scalar: an unsigned number of up to 4 bytes; one of 2³¹ and more is 2³¹ - 1."""
        return tf.cast(tf.minimum(self.wide_number(start, count, little=little), 2**31 - 1), tf.int32)

    def wide_number(self, start: tf.Tensor | int, count: int, *, little: bool = False) -> tf.Tensor:
        """int64 scalar: an unsigned number of up to 4 bytes."""
        weights = [256**place for place in range(count)]
        weights = weights if little else weights[::-1]
        return tf.reduce_sum(tf.cast(self.read(start, count), tf.int64) * tf.constant(weights, tf.int64))

    def part(self, start: tf.Tensor | int, length: tf.Tensor | int) -> tf.Tensor:
        """string scalar: as much of it as there is."""
        start = tf.clip_by_value(tf.convert_to_tensor(start), 0, self.size)
        return tf.strings.substr(self.data, start, tf.maximum(tf.convert_to_tensor(length), 0))


def make_plan(
    status: tf.Tensor,
    payload: tf.Tensor,
    numbers: Sequence[tf.Tensor | int],
    pixels: tuple[tf.Tensor, tf.Tensor] | None = None,
) -> Plan:
    """A plan with the numbers filled up; the last tells how many pixels are held at once, from width and height."""
    known = [tf.cast(number, tf.int32) for number in numbers]
    fillers = [tf.constant(0)] * (NUMBERS - 1 - len(known))
    count = tf.constant(0)
    if pixels is not None:
        sides = [tf.cast(tf.abs(side), tf.int64) for side in pixels]
        count = tf.cast(tf.minimum(sides[0] * sides[1], 2**31 - 1), tf.int32)
    return Plan(status, payload, tf.stack([*known, *fillers, count]))


def find_problem(problems: Sequence[tuple[tf.Tensor, str]]) -> tf.Tensor:
    """string scalar: what is said of the first condition that holds; empty where none does."""
    conditions = tf.stack([*(tf.convert_to_tensor(condition) for condition, _ in problems), True])
    messages = tf.constant([*(message for _, message in problems), ""])
    return tf.gather(messages, tf.argmax(tf.cast(conditions, tf.int32)))


def list_size_problems(
    width: tf.Tensor, height: tf.Tensor, most: int = MAX_PIXELS
) -> list[tuple[tf.Tensor, str]]:
    """What can be wrong with a size, as `kerasft.vision.pictures.check_size` says it."""
    pixels = tf.cast(width, tf.int64) * tf.cast(height, tf.int64)
    return [
        ((width <= 0) | (height <= 0), "no pixels: the header says so"),
        (pixels > most, f"too large: a picture of this kind has at most {most:,} pixels"),
        (tf.maximum(width, height) > MAX_SIDE_PX, f"too large: a side has at most {MAX_SIDE_PX:,} pixels"),
        (tf.minimum(width, height) < MIN_SIDE_PX, f"too small: a side has at least {MIN_SIDE_PX} pixels"),
    ]


def put_on_white(image: tf.Tensor) -> tf.Tensor:
    """Colours with their opacity, uint8 (height, width, 4), on white: uint8 (height, width, 3).

    Some rows at a time: numbers between take four times the memory of the picture.
    """
    height, width = tf.unstack(tf.shape(image)[:2])
    rows = tf.maximum(1, _PIXELS_AT_ONCE // tf.maximum(width, 1))
    parts = (height + rows - 1) // rows

    def add_part(part: tf.Tensor, done: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        taken = tf.cast(image[part * rows : (part + 1) * rows], tf.float32)
        share = divide(taken[..., 3:], 255.0)
        mixed = tf.round(taken[..., :3] * share + 255.0 * (1.0 - share))
        return part + 1, done.write(part, tf.cast(mixed, tf.uint8))

    done = tf.TensorArray(tf.uint8, parts, infer_shape=False, element_shape=[None, None, 3])
    done = tf.while_loop(
        lambda part, _: part < parts, add_part, (tf.constant(0), done), parallel_iterations=1
    )[1]
    return done.concat()
