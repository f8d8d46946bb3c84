"""Reads and applies a picture's EXIF orientation, in core TensorFlow ops."""

from __future__ import annotations

import tensorflow as tf

from kerasft.vision.decoding.file_bytes import FileBytes

_ORIENTATION_TAG, _SHORT = 0x0112, 3
_TURNED = 5  # from here on, width and height change places
_MOST_BYTES = 1 << 16


def swaps_sides(orientation: tf.Tensor) -> tf.Tensor:
    """Whether a picture so turned is as wide as the file is high: bool, shaped as `orientation`."""
    return orientation >= _TURNED


def apply_orientation(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns and mirrors a picture the way its file asks for.

    Args:
        image: (height, width, channels), as the file has it.
        orientation: int32 scalar in 1..8.

    Returns:
        The picture upright, of the same dtype; height and width change places from orientation 5 on.
    """

    def apply() -> tf.Tensor:
        upside_down = tf.reduce_any(tf.equal(orientation, [3, 4, 7, 8]))
        mirrored = tf.reduce_any(tf.equal(orientation, [2, 3, 6, 7]))
        return _turn(image, swaps_sides(orientation), upside_down, mirrored)

    return tf.cond(orientation > 1, apply, lambda: image)


def turn_quarters(image: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Turns a picture counterclockwise, as seen on the screen.

    Args:
        image: (height, width, channels), any type.
        count: int32 scalar in 0..3, of quarter turns.

    Returns:
        The picture, of the same type; height and width change places where the count is odd.
    """

    def apply() -> tf.Tensor:
        upside_down = tf.reduce_any(tf.equal(count, [1, 2]))
        mirrored = tf.reduce_any(tf.equal(count, [2, 3]))
        return _turn(image, count % 2 == 1, upside_down, mirrored)

    return tf.cond(count > 0, apply, lambda: image)


def _turn(image: tf.Tensor, swapped: tf.Tensor, upside_down: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
    """Exchanges rows with columns, then top with bottom, then left with right, each where asked for."""
    turned = tf.transpose(image, tf.where(swapped, [1, 0, 2], [0, 1, 2]))
    return tf.raw_ops.Reverse(tensor=turned, dims=tf.stack([upside_down, mirrored, False]))


def read_tag(file: FileBytes, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """The orientation among the entries of the first directory of EXIF's TIFF part.

    Args:
        file: the picture's.
        start, end: int32, where the part begins and ends; a start of 0 stands for none.

    Returns:
        int32 scalar in 1..8; 1, as it is, where there is no such entry, or nothing that makes sense.

    Source: Exif 2.3 (JEITA CP-3451C), 4.6; TIFF 6.0, section 2.
    """
    return tf.cond(start > 0, lambda: _read_tag(file.values[: file.size], start, end), lambda: tf.constant(1))


def _read_tag(values: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    tiff = tf.cast(values[start : tf.minimum(end, start + _MOST_BYTES)], tf.int32)
    tiff = tf.concat([tiff, tf.zeros([20], tf.int32)], axis=0)
    little = tf.reduce_all(tiff[:4] == [0x49, 0x49, 42, 0])
    big = tf.reduce_all(tiff[:4] == [0x4D, 0x4D, 0, 42])

    weights = tf.where(little, [1, 256], [256, 1])

    def number(taken: tf.Tensor) -> tf.Tensor:
        """What pairs of bytes along the last axis stand for in this byte order."""
        return tf.reduce_sum(taken * weights, axis=-1)

    # A segment has less than 65,536 bytes, so an offset fits into two; one that points past the end is damage.
    halves = number(tf.reshape(tiff[4:8], [2, 2]))
    offset, zero = tf.unstack(tf.where(little, halves, tf.reverse(halves, [0])))
    room = tf.size(tiff) - 20 - offset - 2
    sound = (little | big) & (zero == 0) & (room >= 12)
    offset = tf.where(sound, offset, 0)
    count = tf.where(sound, tf.minimum(number(tiff[offset : offset + 2]), room // 12), 0)
    entries = tf.reshape(tiff[offset + 2 : offset + 2 + count * 12], [-1, 12])
    tags, kinds, orientations = (number(entries[:, place : place + 2]) for place in (0, 2, 8))
    valid = (tags == _ORIENTATION_TAG) & (kinds == _SHORT) & (orientations >= 1) & (orientations <= 8)
    return tf.concat([tf.boolean_mask(orientations, valid), [1]], axis=0)[0]
