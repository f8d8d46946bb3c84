"""How a JPEG file says that it wants to be turned, read and done in core TensorFlow ops."""

from __future__ import annotations

import tensorflow as tf

_APP1, _START_OF_SCAN, _END_OF_IMAGE = 0xE1, 0xDA, 0xD9
_ORIENTATION_TAG, _SHORT = 0x0112, 3
_TURNED = 5  # from here on, width and height change places


def read_orientation(data: tf.Tensor) -> tf.Tensor:
    """The EXIF orientation of a JPEG file.

    Args:
        data: string scalar, the file's bytes.

    Returns:
        int32 scalar in 1..8; 1, as it is, where there is no EXIF, no such entry, or nothing that makes sense.

    Source: Exif 2.3 (JEITA CP-3451C), 4.6; TIFF 6.0, section 2.
    """
    # zeros behind, so that what is read past the end is a number that ends the search
    values = tf.concat([tf.io.decode_raw(data, tf.uint8), tf.zeros([12], tf.uint8)], axis=0)
    start, end = _find_tiff(data, values)
    return tf.cond(start > 0, lambda: _read_tag(values, start, end), lambda: tf.constant(1))


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

    def turn() -> tf.Tensor:
        turned = swaps_sides(orientation)
        swapped = tf.transpose(image, tf.where(turned, [1, 0, 2], [0, 1, 2]))
        upside_down = tf.reduce_any(tf.equal(orientation, [3, 4, 7, 8]))
        mirrored = tf.reduce_any(tf.equal(orientation, [2, 3, 6, 7]))
        return tf.raw_ops.Reverse(tensor=swapped, dims=tf.stack([upside_down, mirrored, False]))

    return tf.cond(orientation > 1, turn, lambda: image)


def _find_tiff(data: tf.Tensor, values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Where EXIF's TIFF part begins and ends; 0 where there is none."""
    size = tf.strings.length(data)

    def step(position: tf.Tensor, start: tf.Tensor, end: tf.Tensor):
        head = tf.cast(values[position : position + 4], tf.int32)
        marker, after = head[1], position + 2 + head[2] * 256 + head[3]
        known = (head[0] == 0xFF) & (marker != _START_OF_SCAN) & (marker != _END_OF_IMAGE) & (after <= size)
        named = tf.strings.substr(data, tf.minimum(position + 4, size), 6) == b"Exif\0\0"
        found = known & (marker == _APP1) & named
        # 0xFF before a marker is padding
        following = tf.where(marker == 0xFF, position + 1, after)
        going_on = ((known & ~found) | ((marker == 0xFF) & (head[0] == 0xFF))) & (following < size)
        none = tf.constant(0)
        return (
            tf.where(going_on, following, none),
            tf.where(found, position + 10, none),
            tf.where(found, after, none),
        )

    start_of_image = tf.where(size > 4, 2, 0)
    _, start, end = tf.while_loop(
        lambda position, start, end: position > 0,
        step,
        (start_of_image, tf.constant(0), tf.constant(0)),
        parallel_iterations=1,
    )
    return start, end


def _read_tag(values: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """The orientation among the entries of the first directory."""
    tiff = tf.cast(values[start:end], tf.int32)
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
