"""JPEG files in core TensorFlow ops: reads the segments, and decodes at a given scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from kerasft.vision.decoding.file_bytes import FileBytes, Plan, find_problem, list_size_problems, make_plan
from kerasft.vision.decoding.orientation import apply_orientation, read_tag, swaps_sides
from kerasft.vision.files.jpeg import ADOBE, MAX_SCANS
from kerasft.vision.pictures import MAX_PIXELS, MAX_PIXELS_AT_ONCE

SCALES = (1, 2, 4, 8)
"""What a JPEG can be decoded at a fraction of."""
_MAX_SEGMENTS = 4096
_APP1, _ADOBE_MARKER, _START_OF_SCAN, _END_OF_IMAGE = 0xE1, 0xEE, 0xDA, 0xD9
_BASELINE, _PROGRESSIVE = (0xC0, 0xC1), 0xC2
_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)


class _Segments(NamedTuple):
    """What the segments before the first scan say; all int32, 0 where there is none."""

    position: tf.Tensor
    steps: tf.Tensor
    exif_start: tf.Tensor
    exif_end: tf.Tensor
    frame: tf.Tensor
    """The frame header's marker."""
    frame_start: tf.Tensor
    """Behind its length."""
    adobe: tf.Tensor


def read_orientation(data: tf.Tensor) -> tf.Tensor:
    """The EXIF orientation of a JPEG file: int32 scalar in 1..8, of its bytes, string scalar."""
    file = FileBytes(data)
    segments = _walk(file)
    return read_tag(file, segments.exif_start, segments.exif_end)


def inspect_jpeg(file: FileBytes) -> Plan:
    """Numbers: orientation, height and width as the file has them."""
    found = _walk(file)
    depth, channels = file.number(found.frame_start, 1), file.number(found.frame_start + 5, 1)
    height, width = file.number(found.frame_start + 1, 2), file.number(found.frame_start + 3, 2)
    progressive = found.frame == _PROGRESSIVE
    starts = (file.values[:-1] == 0xFF) & (file.values[1:] == _START_OF_SCAN)
    scans = tf.math.count_nonzero(starts)
    pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    status = find_problem(
        [
            (tf.reduce_any(found.frame == _OTHER_FRAMES), "unsupported format: a rare kind of JPEG"),
            (found.frame == 0, "damaged: a JPEG without a picture"),
            (depth != 8, "unsupported format: JPEG of other than 8 bits a channel"),
            (
                ~tf.reduce_any(channels == (1, 3, 4)),
                "unsupported format: JPEG of other than 1, 3 or 4 channels",
            ),
            *list_size_problems(width, height, MAX_PIXELS),
            (
                progressive & (pixels > MAX_PIXELS_AT_ONCE),
                f"too large: a progressive JPEG has at most {MAX_PIXELS_AT_ONCE:,} pixels",
            ),
            (scans > MAX_SCANS, f"damaged: a JPEG of more than {MAX_SCANS} scans"),
            (scans * pixels > 12 * MAX_PIXELS, "too large: a JPEG of many scans of many pixels"),
        ]
    )
    # without the mark TensorFlow takes ink as it is; nearly all writers mean it inverted
    unmarked = (channels == 4) & (found.adobe == 0)
    marked = tf.strings.join([file.part(0, 2), ADOBE, file.part(2, file.size)])
    # decoded at a fraction of its size, a picture takes a fraction of the memory
    weight = tf.where(progressive, width, width // 8)
    orientation = read_tag(file, found.exif_start, found.exif_end)
    return make_plan(
        status, tf.where(unmarked, marked, file.data), [orientation, height, width], (weight, height)
    )


def decode_jpeg(plan: Plan, choose_scale: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """The picture upright, uint8 (height, width, 3).

    Args:
        plan: what `inspect_jpeg` says.
        choose_scale: from the upright height and width, float32 (2,), to the place of the scale in `SCALES`.
    """
    scale = choose_scale(tf.cast(measure_jpeg(plan), tf.float32))

    def decode_at(ratio: int) -> Callable[[], tf.Tensor]:
        # this method gives the same pixels on every processor
        return lambda: tf.io.decode_jpeg(plan.payload, 3, ratio=ratio, dct_method="INTEGER_ACCURATE")

    image = tf.switch_case(scale, [decode_at(ratio) for ratio in SCALES])
    return apply_orientation(image, plan.numbers[0])


def measure_jpeg(plan: Plan) -> tf.Tensor:
    """The upright picture's height and width: int32 (2,)."""
    size = plan.numbers[1:3]
    return tf.where(swaps_sides(plan.numbers[0]), tf.reverse(size, [0]), size)


def _walk(file: FileBytes) -> _Segments:
    frames = (*_BASELINE, _PROGRESSIVE, *_OTHER_FRAMES)

    def step(*state: tf.Tensor) -> _Segments:
        at = _Segments(*state)
        head = file.read(at.position, 4)
        marker, after = head[1], at.position + 2 + head[2] * 256 + head[3]
        begins = head[0] == 0xFF
        ends = (marker == _START_OF_SCAN) | (marker == _END_OF_IMAGE)
        known = begins & ~ends & (after <= file.size)
        exif = (
            known & (marker == _APP1) & (file.part(at.position + 4, 6) == b"Exif\0\0") & (at.exif_start == 0)
        )
        frame = known & tf.reduce_any(marker == frames) & (at.frame == 0)
        adobe = known & (marker == _ADOBE_MARKER) & (file.part(at.position + 4, 5) == b"Adobe")
        # 0xFF before a marker is padding
        padding = begins & (marker == 0xFF)
        following = tf.where(padding, at.position + 1, after)
        going_on = (known | padding) & (following < file.size) & (at.steps < _MAX_SEGMENTS)
        return _Segments(
            tf.where(going_on, following, 0),
            at.steps + 1,
            tf.where(exif, at.position + 10, at.exif_start),
            tf.where(exif, after, at.exif_end),
            tf.where(frame, marker, at.frame),
            tf.where(frame, at.position + 4, at.frame_start),
            tf.where(adobe, 1, at.adobe),
        )

    none = tf.constant(0)
    start = tf.where(file.size > 4, 2, 0)
    return _Segments(
        *tf.while_loop(lambda position, *_: position > 0, step, (start, *[none] * 6), parallel_iterations=1)
    )
