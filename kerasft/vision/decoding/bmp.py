"""BMP files in core TensorFlow ops: of palettes, of 16, 24 and 32 bits, from the bottom up and from the top down.

TensorFlow's own op takes a palette's numbers for grey, and pictures with one for damaged where colours are asked for.
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
from kerasft.vision.pictures import MAX_PIXELS_AT_ONCE

_DEPTHS = (1, 4, 8, 16, 24, 32)
_MASKS_16 = ((0x7C00, 0x03E0, 0x001F), (0xF800, 0x07E0, 0x001F))
_BYTE_MASKS = (0xFF, 0xFF00, 0xFF0000, 0xFF000000)


def inspect_bmp(file: FileBytes) -> Plan:
    """Numbers: bits a pixel, width, height (negative: from the top down), where pixels begin, where the palette does,
    bytes of its entries, and how channels are laid out: of 16 bits the place in `_MASKS_16`, of 32 the bytes of red,
    green, blue and opacity in base 8 (4: there is none)."""
    header, offset = file.number(14, 4, little=True), file.number(10, 4, little=True)
    old = header == 12
    packing = tf.where(old, 0, file.number(30, 4, little=True))
    depth = tf.where(old, file.number(24, 2, little=True), file.number(28, 2, little=True))
    sizes = [
        tf.where(old, file.number(at_old, 2, little=True), _sign(file.wide_number(at, 4, little=True)))
        for at_old, at in ((18, 18), (20, 22))
    ]
    width, height = sizes
    rows = tf.abs(height)
    stride = (tf.cast(width, tf.int64) * tf.cast(depth, tf.int64) + 31) // 32 * 4
    wanted = tf.cast(offset, tf.int64) + stride * tf.cast(rows, tf.int64)
    layout, known = _read_layout(file, header, depth, packing)
    status = find_problem(
        [
            (file.size < 26, "cut short: the BMP has no header"),
            ((header != 12) & (header < 40), "damaged: the BMP's header makes no sense"),
            (tf.reduce_any(packing == (1, 2)), "unsupported format: BMP with run-length coding"),
            (~tf.reduce_any(packing == (0, 3)), "unsupported format: packed BMP"),
            (~tf.reduce_any(depth == _DEPTHS), "unsupported format: BMP of a rare number of bits"),
            *list_size_problems(width, rows, MAX_PIXELS_AT_ONCE),
            (~known, "unsupported format: BMP with rare channels"),
            (offset < 14, "damaged: the BMP's header makes no sense"),
            (wanted > tf.cast(file.size, tf.int64), "cut short: the BMP holds fewer pixels than it says"),
        ]
    )
    entry = tf.where(old, 3, 4)
    palette = 14 + header + tf.where((packing == 3) & (header == 40), 12, 0)
    return make_plan(
        status, file.data, [depth, width, height, offset, palette, entry, layout], (width, height)
    )


def decode_bmp(plan: Plan) -> tf.Tensor:
    """The picture, on white, uint8 (height, width, 3)."""
    depth, width, height, offset = tf.unstack(plan.numbers[:4])
    rows, layout = tf.abs(height), plan.numbers[6]
    values = tf.io.decode_raw(plan.payload, tf.uint8)
    stride = (width * depth + 31) // 32 * 4
    lines = tf.reshape(values[offset : offset + stride * rows], [rows, stride])

    def spread(bits: int) -> tf.Tensor:
        """Numbers of fewer bits than a byte has."""
        shifts = tf.range(8 - bits, -1, -bits)
        parts = tf.bitwise.right_shift(lines[..., None], tf.cast(shifts, tf.uint8))
        parts = tf.bitwise.bitwise_and(parts, tf.constant(2**bits - 1, tf.uint8))
        return tf.reshape(parts, [rows, -1])[:, :width]

    def take(bytes_a_pixel: int) -> tf.Tensor:
        return tf.reshape(lines[:, : width * bytes_a_pixel], [rows, width, bytes_a_pixel])

    image = tf.switch_case(
        tf.argmax(tf.cast(tf.equal(depth, _DEPTHS), tf.int32), output_type=tf.int32),
        [
            lambda: _look_up(values, plan, spread(1)),
            lambda: _look_up(values, plan, spread(4)),
            lambda: _look_up(values, plan, lines[:, :width]),
            lambda: _split_16(take(2), layout),
            lambda: tf.reverse(take(3), [2]),
            lambda: _choose_bytes(take(4), layout),
        ],
    )
    return tf.cond(height > 0, lambda: tf.reverse(image, [0]), lambda: image)


def _sign(number: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.where(number >= 2**31, tf.maximum(number - 2**32, 1 - 2**31), number), tf.int32)


def _read_layout(
    file: FileBytes, header: tf.Tensor, depth: tf.Tensor, packing: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """How channels are laid out (see `inspect_bmp`), and whether that is known."""
    masks = tf.stack([file.wide_number(54 + 4 * channel, 4, little=True) for channel in range(4)])
    masks = tf.concat([masks[:3], [tf.where(header >= 56, masks[3], 0)]], 0)
    has_masks = packing == 3
    same = tf.reduce_all(masks[None, :3] == tf.constant(_MASKS_16, tf.int64), 1)
    of_16 = tf.where(has_masks, tf.argmax(tf.cast(same, tf.int32), output_type=tf.int32), 0)
    equal = masks[:, None] == tf.constant(_BYTE_MASKS, tf.int64)
    bytes_of = tf.where(tf.reduce_any(equal, 1), tf.argmax(tf.cast(equal, tf.int32), 1, tf.int32), 4)
    of_32 = tf.where(has_masks, tf.reduce_sum(bytes_of * [512, 64, 8, 1]), 2 * 512 + 1 * 64 + 0 * 8 + 4)
    whole_bytes = tf.reduce_all(bytes_of[:3] < 4) & ((masks[3] == 0) | (bytes_of[3] < 4))
    known = ~has_masks | tf.where(depth == 16, tf.reduce_any(same), (depth != 32) | whole_bytes)
    return tf.where(depth == 16, of_16, of_32), known


def _look_up(values: tf.Tensor, plan: Plan, numbers: tf.Tensor) -> tf.Tensor:
    offset, start, entry = plan.numbers[3], plan.numbers[4], plan.numbers[5]
    entries = tf.minimum((offset - start) // entry, 256)
    palette = tf.reshape(values[start : start + entries * entry], [entries, entry])
    return tf.gather(tf.reverse(palette[:, :3], [1]), tf.cast(numbers, tf.int32))


def _split_16(pairs: tf.Tensor, layout: tf.Tensor) -> tf.Tensor:
    numbers = tf.cast(pairs[..., 0], tf.int32) + 256 * tf.cast(pairs[..., 1], tf.int32)
    green = tf.where(layout == 0, 5, 6)
    channels = []
    for shift, bits in ((5 + green, 5), (5, green), (0, 5)):
        top = tf.bitwise.left_shift(1, bits) - 1
        table = tf.cast(tf.range(top + 1) * 255 // top, tf.uint8)
        channels.append(tf.gather(table, tf.bitwise.bitwise_and(tf.bitwise.right_shift(numbers, shift), top)))
    return tf.stack(channels, -1)


def _choose_bytes(pixels: tf.Tensor, layout: tf.Tensor) -> tf.Tensor:
    places = tf.bitwise.bitwise_and(tf.bitwise.right_shift(layout, [9, 6, 3, 0]), 7)
    return tf.cond(
        places[3] == 4,
        lambda: tf.gather(pixels, places[:3], axis=2),
        lambda: put_on_white(tf.gather(pixels, places, axis=2)),
    )
