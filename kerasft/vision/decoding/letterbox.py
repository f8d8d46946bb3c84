"""Pictures as a detector is given them, the proportions kept and the rest black, and where their points lie there.

Boxes are float32 (…, boxes, 4): left, top, right, bottom in pixels, the origin in the upper left corner.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from kerasft.vision.decoding.graph import (
    decode_batch_and_measure,
    decode_near_and_measure,
    decode_or_explain_and_measure,
)
from kerasft.vision.resampling import find_frame


class Letterbox(NamedTuple):
    """How pictures lie in the net's input: a point p of a picture lies at scale · p + offset."""

    scale: tf.Tensor
    """float32 (batch,): pixels of the input for each of the picture."""
    offset: tf.Tensor
    """float32 (batch, 2): where the picture's upper left corner lies in the input, (x, y) in pixels."""
    size: tf.Tensor
    """int32 (batch, 2): the picture's height and width as a person sees it, in its own pixels."""


def decode_letterbox(data: tf.Tensor, size_px: tuple[int, int]) -> tuple[tf.Tensor, Letterbox]:
    """A batch of a prepared dataset's pictures, as evaluation sees them; see `graph.decode_batch`.

    Args:
        data: string (batch,), JPEG or PNG files.
        size_px: the input's height and width.

    Returns:
        uint8 (batch, *size_px, 3), RGB, each picture in the middle and black beside it; and where they lie.

    Raises:
        tf.errors.InvalidArgumentError: when it runs, on bytes that are no such file or are damaged.
    """
    images, near, sizes = decode_batch_and_measure(data, size_px, resize="pad")
    return images, _locate(near, sizes, size_px)


def decode_letterbox_or_explain(
    data: tf.Tensor, size_px: tuple[int, int]
) -> tuple[tf.Tensor, Letterbox, tf.Tensor]:
    """The same pixels of files from anywhere, none of which fails the batch; see `graph.decode_or_explain`.

    Args:
        data: string (batch,), which may be empty.
        size_px: the input's height and width.

    Returns:
        uint8 (batch, *size_px, 3), black where there is no picture; where they lie; and string (batch,), why there is
        no picture, empty where there is one.
    """
    images, near, sizes, status = decode_or_explain_and_measure(data, size_px, resize="pad")
    return images, _locate(near, sizes, size_px), status


@functools.lru_cache(maxsize=8)
def build_letterbox_decoder(
    size_px: tuple[int, int],
) -> Callable[[tf.Tensor], tuple[tf.Tensor, Letterbox]]:
    """`decode_letterbox` for one size as a graph, which takes seconds to build: once a process."""
    return tf.function(
        lambda data: decode_letterbox(data, size_px),
        input_signature=[tf.TensorSpec((None,), tf.string)],
        autograph=False,
    )


@functools.lru_cache(maxsize=8)
def build_letterbox_or_explain_decoder(
    size_px: tuple[int, int],
) -> Callable[[tf.Tensor], tuple[tf.Tensor, Letterbox, tf.Tensor]]:
    """`decode_letterbox_or_explain` for one size as a graph, likewise."""
    return tf.function(
        lambda data: decode_letterbox_or_explain(data, size_px),
        input_signature=[tf.TensorSpec((None,), tf.string)],
        autograph=False,
    )


@functools.lru_cache(maxsize=8)
def build_box_decoder(
    size_px: tuple[int, int], smallest_crop: float
) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """What training augments, as a graph: a prepared dataset's picture in a size from which the input can be cut.

    Args:
        size_px: the input's height and width.
        smallest_crop: see `graph.decode_near`.

    Returns:
        (string scalar, the file; boxes float32 (boxes, 4) in the picture's pixels) → uint8 (height, width, 3) and the
        boxes in its pixels.
    """

    def decode(data: tf.Tensor, boxes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        near, size = decode_near_and_measure(
            data, size_px, resize="pad", smallest_crop=smallest_crop, prepared=True
        )
        return near, boxes / _find_reduction(tf.shape(near)[:2], size)

    return tf.function(
        decode,
        input_signature=[tf.TensorSpec((), tf.string), tf.TensorSpec((None, 4), tf.float32)],
        autograph=False,
    )


def move_to_input(boxes: tf.Tensor, letterbox: Letterbox) -> tf.Tensor:
    """Boxes of pictures in the input's pixels.

    Args:
        boxes: float32 (batch, boxes, 4), in the pictures' pixels.
        letterbox: where the pictures lie.
    """
    return boxes * letterbox.scale[:, None, None] + _repeat(letterbox.offset)


def move_to_picture(boxes: tf.Tensor, letterbox: Letterbox) -> tf.Tensor:
    """Boxes of the input in the pictures' own pixels, cut off at their edges.

    Args:
        boxes: float32 (batch, boxes, 4), in the input's pixels.
        letterbox: where the pictures lie.
    """
    moved = (boxes - _repeat(letterbox.offset)) / letterbox.scale[:, None, None]
    return tf.clip_by_value(moved, 0.0, _repeat(tf.cast(tf.reverse(letterbox.size, [1]), tf.float32)))


def _repeat(points: tf.Tensor) -> tf.Tensor:
    """(batch, 2) → (batch, 1, 4): for both corners of every box."""
    return tf.concat([points, points], axis=1)[:, None]


def _locate(near: tf.Tensor, sizes: tf.Tensor, size_px: tuple[int, int]) -> Letterbox:
    """Where pictures lie that were decoded at `near`, int32 (batch, 2), and then resized."""
    corners, frames = find_frame(tf.cast(near, tf.float32), size_px, "pad")
    scales = tf.constant(size_px, tf.float32) / frames
    offsets = tf.reverse(-corners * scales, [1])
    return Letterbox(scales[:, 0] / _find_reduction(near, sizes), offsets, sizes)


def _find_reduction(decoded: tf.Tensor, whole: tf.Tensor) -> tf.Tensor:
    """How many pixels of a picture's side one that was decoded stands for: float32 (…), 1, 2, 4 or 8.

    Args:
        decoded, whole: int32 (…, 2), heights and widths.
    """
    # sides of a reduced picture are rounded up: its last pixel stands for fewer
    longest = [tf.reduce_max(tf.cast(size, tf.float32), axis=-1) for size in (whole, decoded)]
    return tf.round(longest[0] / longest[1])
