"""GIF files in core TensorFlow ops: only the first frame is decoded."""

from __future__ import annotations

import tensorflow as tf

from kerasft.vision.decoding.file_bytes import FileBytes, Plan, find_problem, list_size_problems, make_plan
from kerasft.vision.pictures import MAX_PIXELS_AT_ONCE

_MAX_EXTENSIONS = 1000
_MAX_RUNS = (
    20_000  # of all blocks up to the first frame's end: what a file costs does not follow from how it is cut
)
_RUN = 4096
_EXTENSION, _CONTROL, _FRAME = 0x21, 0xF9, 0x2C


def inspect_gif(file: FileBytes) -> Plan:
    """The payload is a GIF of the first frame, white where it is transparent.

    Numbers: where the frame lies (top, left), the whole picture's height and width, and its colour around the frame.
    """
    screen_width, screen_height = (file.number(at, 2, little=True) for at in (6, 8))
    global_flags = file.number(10, 1)
    global_bytes = _measure_palette(global_flags)
    frame, transparent, runs = _find_frame(file, 13 + global_bytes)
    left, top, width, height = (file.number(frame + at, 2, little=True) for at in (1, 3, 5, 7))
    flags = file.number(frame + 9, 1)
    local_bytes = _measure_palette(flags)
    codes = frame + 10 + local_bytes
    end, runs = _skip_blocks(file, codes + 1, runs)
    full_width = tf.maximum(screen_width, left + width)
    full_height = tf.maximum(screen_height, top + height)
    status = find_problem(
        [
            (file.size < 13, "cut short: the GIF has no header"),
            ((screen_width == 0) | (screen_height == 0), "no pixels: the header says so"),
            (runs > _MAX_RUNS, f"damaged: a GIF of over {_MAX_RUNS:,} runs of blocks"),
            (frame == 0, "damaged: the GIF holds no frame"),
            *list_size_problems(full_width, full_height, MAX_PIXELS_AT_ONCE),
            (end == 0, "cut short: the GIF's first frame has no end"),
            ((width == 0) | (height == 0), "no pixels: the GIF's first frame has none"),
        ]
    )
    own = local_bytes > 0
    palette = tf.where(own, frame + 10, 13)
    around = tf.where(transparent < 0, file.read(palette, 3), 255)
    payload = tf.strings.join(
        [
            b"GIF89a",
            file.part(frame + 5, 4),
            file.part(10, 1),
            b"\0\0",
            _whiten(file, 13, global_bytes, tf.where(own, -1, transparent)),
            b"\x2c\0\0\0\0",
            file.part(frame + 5, 5),
            _whiten(file, frame + 10, local_bytes, tf.where(own, transparent, -1)),
            file.part(codes, end - codes),
            b"\x3b",
        ]
    )
    return make_plan(
        status, payload, [top, left, full_height, full_width, *tf.unstack(around)], (full_width, full_height)
    )


def decode_gif(plan: Plan) -> tf.Tensor:
    """The whole picture, uint8 (height, width, 3)."""
    frame = tf.io.decode_gif(plan.payload)[0]
    return place(frame, plan.numbers[:2], plan.numbers[2:4], tf.cast(plan.numbers[4:7], tf.uint8))


def place(frame: tf.Tensor, corner: tf.Tensor, size: tf.Tensor, around: tf.Tensor) -> tf.Tensor:
    """A frame within a picture of one colour.

    Args:
        frame: uint8 (height, width, channels).
        corner: int32 (2,), where its top left is (y, x).
        size: int32 (2,), the picture's height and width.
        around: uint8 (channels,).
    """
    below = size - corner - tf.shape(frame)[:2]

    def pad() -> tf.Tensor:
        amounts = tf.concat([tf.stack([corner, below], 1), [[0, 0]]], 0)
        inside = tf.pad(tf.ones_like(frame[..., :1], tf.bool), amounts)
        return tf.where(inside, tf.pad(frame, amounts), around)

    return tf.cond(tf.reduce_any(corner + below > 0), pad, lambda: frame)


def _measure_palette(flags: tf.Tensor) -> tf.Tensor:
    entries = tf.bitwise.left_shift(2, tf.bitwise.bitwise_and(flags, 7))
    return tf.where(flags >= 128, 3 * entries, 0)


def _whiten(file: FileBytes, start: tf.Tensor | int, length: tf.Tensor, entry: tf.Tensor) -> tf.Tensor:
    """A palette in which one entry is white; none where `entry` is negative."""
    before = tf.where((entry >= 0) & (3 * entry < length), 3 * entry, length)
    rest = tf.maximum(length - before - 3, 0)
    white = tf.where(before < length, b"\xff\xff\xff", b"")
    return tf.strings.join([file.part(start, before), white, file.part(start + length - rest, rest)])


def _find_frame(file: FileBytes, start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Where the first frame begins, 0 if there is none; the palette's entry that is transparent in it, or -1; and how
    many runs of blocks were skipped."""

    def step(position, steps, runs, transparent, _):
        head = file.read(position, 7)
        control = (head[0] == _EXTENSION) & (head[1] == _CONTROL) & (head[2] == 4)
        clear = tf.where(tf.bitwise.bitwise_and(head[3], 1) == 1, head[6], -1)
        transparent = tf.where(control, clear, transparent)
        found = head[0] == _FRAME
        extension = (head[0] == _EXTENSION) & (steps < _MAX_EXTENSIONS)
        blocks = tf.where(extension, position + 2, file.size)
        after, runs = _skip_blocks(file, blocks, runs)
        return after, steps + 1, runs, transparent, tf.where(found, position, 0)

    none = tf.constant(0)
    _, _, runs, transparent, frame = tf.while_loop(
        lambda position, *_: (position > 0) & (position < file.size),
        step,
        (start, none, none, tf.constant(-1), none),
        parallel_iterations=1,
    )
    return frame, transparent, runs


def _skip_blocks(file: FileBytes, start: tf.Tensor, runs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The place behind a row of blocks, each with its length before it and the last empty; 0 if the file ends before.

    Blocks of the same length, as nearly all writers make them, are skipped at once: a run. Skips no more when
    `_MAX_RUNS` are skipped, those before (`runs`) among them; the second answer is how many now are.
    """

    def step(position, runs, _):
        length = file.number(position, 1)
        stride = length + 1
        lengths = file.values[position : position + stride * _RUN : stride]
        others = tf.where(lengths != tf.cast(length, tf.uint8), tf.range(tf.size(lengths)), tf.size(lengths))
        after = position + stride * tf.where(length > 0, tf.reduce_min(others), 1)
        ended = (length == 0) & (after <= file.size)
        going_on = (length > 0) & (after < file.size) & (runs < _MAX_RUNS)
        return tf.where(going_on, after, 0), runs + 1, tf.where(ended, after, 0)

    loop = (tf.where(start < file.size, start, 0), runs, tf.constant(0))
    _, runs, end = tf.while_loop(lambda position, *_: position > 0, step, loop, parallel_iterations=1)
    return end, runs
