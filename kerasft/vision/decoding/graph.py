"""From an image file's bytes to pixels: the one graph behind training, evaluation, prediction and export.

Core TensorFlow ops alone, all of them older than TensorFlow 2.6, so that a SavedModel with this graph inside loads in
any TensorFlow Serving. What a file says of itself is looked at before anything is decoded.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kerasft.vision.decoding.file_bytes import NUMBERS, Plan
from kerasft.vision.decoding.formats import (
    NUM_FORMATS,
    PREPARED_FORMATS,
    decode_file,
    inspect_file,
)
from kerasft.vision.resampling import Resize, find_frame, resample_box

do_not_convert = tf.autograph.experimental.do_not_convert  # nothing here needs it, and it takes long

DAMAGED = "damaged: the picture cannot be decoded"
DECODING_VERSION = 3
"""Changes with the pixels: whatever is kept of decoded pictures is known by it."""

_PARALLEL = 8
_LARGE_PIXELS = 4_000_000


@do_not_convert
def decode_image(
    data: tf.Tensor,
    size_px: tuple[int, int],
    *,
    resize: Resize = "crop",
    name: tf.Tensor | str = "The picture",
) -> tf.Tensor:
    """A file's picture, upright, in one size.

    Transparent parts are white, 16 bits become 8, of an animation the first frame is taken.

    Args:
        data: string scalar, the bytes of a JPEG, PNG, GIF, BMP or WebP file.
        size_px: height and width of the result.
        resize: `crop` cuts what is too long off both ends, `pad` puts black beside what is too short, `stretch` does
            not mind the proportions.
        name: string scalar that an error calls the picture.

    Returns:
        uint8 (*size_px, 3), RGB.

    Raises:
        tf.errors.InvalidArgumentError: when it runs, on bytes that are no such file or are damaged.
    """
    return _finish(decode_near(data, size_px, resize=resize, name=name), size_px, resize)


@do_not_convert
def decode_near(
    data: tf.Tensor,
    size_px: tuple[int, int],
    *,
    resize: Resize = "crop",
    smallest_crop: float = 1.0,
    name: tf.Tensor | str = "The picture",
    prepared: bool = False,
) -> tf.Tensor:
    """A file's picture, upright, in a size from which the target can be cut or shrunk: what training augments.

    A JPEG is decoded at a half, quarter or eighth where that leaves at least twice the target's height and width,
    which is nearly indistinguishable from decoding all of it (as with Pillow's `reducing_gap=2.0`).

    Args:
        data: string scalar, the bytes of a JPEG, PNG, GIF, BMP or WebP file.
        size_px: height and width that the picture will have in the end.
        resize: how it will get there.
        smallest_crop: the least share of the area that a crop may take.
        name: string scalar that an error calls the picture.
        prepared: whether it can be only what a prepared dataset holds, JPEG or PNG: the graph is smaller.

    Returns:
        uint8 (height, width, 3), RGB.

    Raises:
        tf.errors.InvalidArgumentError: when it runs, on bytes that are no such file or are damaged.
    """
    return decode_near_and_measure(
        data, size_px, resize=resize, smallest_crop=smallest_crop, name=name, prepared=prepared
    )[0]


@do_not_convert
def decode_near_and_measure(
    data: tf.Tensor,
    size_px: tuple[int, int],
    *,
    resize: Resize = "crop",
    smallest_crop: float = 1.0,
    name: tf.Tensor | str = "The picture",
    prepared: bool = False,
) -> tuple[tf.Tensor, tf.Tensor]:
    """`decode_near`, and the height and width of the whole picture, upright: int32 (2,)."""
    formats = PREPARED_FORMATS if prepared else NUM_FORMATS
    kind, plan = inspect_file(data, formats)
    sound = tf.debugging.Assert(plan.status == "", [name, plan.status])
    with tf.control_dependencies([] if sound is None else [sound]):
        kind = tf.identity(kind)
    return decode_file(kind, plan, size_px, resize, smallest_crop, formats)


@do_not_convert
def decode_batch(data: tf.Tensor, size_px: tuple[int, int], *, resize: Resize = "crop") -> tf.Tensor:
    """The pictures of a batch of a prepared dataset's files, several at once.

    One bad file fails the batch; where it is no picture, the message has its number.

    Args:
        data: string (batch,), JPEG or PNG; may be empty.
        size_px: height and width of the result.
        resize: see `decode_image`.

    Returns:
        uint8 (batch, *size_px, 3), RGB.

    Raises:
        tf.errors.InvalidArgumentError: when it runs, on bytes that are no such file or are damaged.
    """
    return decode_batch_and_measure(data, size_px, resize=resize)[0]


@do_not_convert
def decode_batch_and_measure(
    data: tf.Tensor, size_px: tuple[int, int], *, resize: Resize = "crop"
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """`decode_batch`; and of each picture the height and width at which it was decoded, and those of the whole one,
    int32 (batch, 2) both."""

    def decode_at(place: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        name = tf.strings.join(["Picture ", tf.strings.as_string(place + 1), " of the batch"])
        near, size = decode_near_and_measure(data[place], size_px, resize=resize, name=name, prepared=True)
        return _finish(near, size_px, resize), tf.shape(near)[:2], size

    sides = tf.TensorSpec((2,), tf.int32)
    pictures = tf.TensorSpec((*size_px, 3), tf.uint8)
    return tf.map_fn(decode_at, tf.range(tf.size(data)), fn_output_signature=(pictures, sides, sides))


@functools.lru_cache(maxsize=8)
def build_batch_decoder(size_px: tuple[int, int], resize: Resize) -> Callable[[tf.Tensor], tf.Tensor]:
    """`decode_batch` for one size as a graph, which takes seconds to build: once a process, however many datasets."""
    return tf.function(
        lambda data: decode_batch(data, size_px, resize=resize),
        input_signature=[tf.TensorSpec((None,), tf.string)],
        autograph=False,
    )


@functools.lru_cache(maxsize=8)
def build_near_decoder(
    size_px: tuple[int, int], resize: Resize, smallest_crop: float
) -> Callable[[tf.Tensor], tf.Tensor]:
    """`decode_near` of a prepared dataset's files, likewise."""
    return tf.function(
        lambda data: decode_near(data, size_px, resize=resize, smallest_crop=smallest_crop, prepared=True),
        input_signature=[tf.TensorSpec((), tf.string)],
        autograph=False,
    )


@functools.lru_cache(maxsize=8)
def build_decoder(
    size_px: tuple[int, int], resize: Resize
) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    """`decode_or_explain` for one size as a graph, which takes seconds to build: once a process."""
    return tf.function(
        lambda data: decode_or_explain(data, size_px, resize=resize),
        input_signature=[tf.TensorSpec((None,), tf.string)],
        autograph=False,
    )


@do_not_convert
def decode_or_explain(
    data: tf.Tensor, size_px: tuple[int, int], *, resize: Resize = "crop"
) -> tuple[tf.Tensor, tf.Tensor]:
    """The pictures of a batch of files from anywhere, and what is the matter with those that are none.

    Of a file's size little follows for time and memory: what is too large is not decoded, and large pictures are
    decoded one after another. No file fails the batch.

    Args:
        data: string (batch,), which may be empty.
        size_px: height and width of the result.
        resize: see `decode_image`.

    Returns:
        uint8 (batch, *size_px, 3), RGB, black where there is no picture.
        string (batch,), why there is none; empty where there is one.
    """
    images, _, _, status = decode_or_explain_and_measure(data, size_px, resize=resize)
    return images, status


@do_not_convert
def decode_or_explain_and_measure(
    data: tf.Tensor, size_px: tuple[int, int], *, resize: Resize = "crop"
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """`decode_or_explain`, with sizes as of `decode_batch_and_measure` between the two; 1 where there is no picture."""
    count = tf.size(data)
    kinds, plans, large = tf.map_fn(
        lambda place: _inspect_and_weigh(data[place]),
        tf.range(count),
        fn_output_signature=(
            tf.TensorSpec((), tf.int32),
            Plan(
                tf.TensorSpec((), tf.string), tf.TensorSpec((), tf.string), tf.TensorSpec(NUMBERS, tf.int32)
            ),
            tf.TensorSpec((), tf.bool),
        ),
    )

    def decode_at(place: tf.Tensor) -> tuple[tf.Tensor, ...]:
        plan = Plan(*(part[place] for part in plans))
        near, size = decode_file(kinds[place], plan, size_px, resize)
        return place, _finish(near, size_px, resize), tf.shape(near)[:2], size

    good = tf.equal(plans.status, "")
    sides = tf.ones([1, 2], tf.int32)
    none = tf.fill([1], count), tf.zeros((1, *size_px, 3), tf.uint8), sides, sides
    several = _decode_sound(tf.boolean_mask(tf.range(count), good & ~large), decode_at, none, _PARALLEL)
    single = _decode_sound(tf.boolean_mask(tf.range(count), good & large), decode_at, none, None)
    done, images, near_sizes, sizes = (tf.concat(parts, 0) for parts in zip(several, single, strict=True))
    # where each file's picture stands among those that were decoded; the first stands for none
    places = tf.scatter_nd(
        done[:, None], tf.range(tf.size(done)) * tf.cast(done < count, tf.int32), [count + 1]
    )
    places = tf.where(good, places[:count], 0)
    status = tf.where(good & (places == 0), DAMAGED, plans.status)
    return tf.gather(images, places), tf.gather(near_sizes, places), tf.gather(sizes, places), status


def decode_upright(data: bytes, longest_px: int) -> tuple[np.ndarray, tuple[int, int]]:
    """The whole picture of a file that `decode_or_explain` decodes: uint8 (height, width, 3).

    A JPEG may be smaller than its file says, with sides of at least `longest_px`: height and width in the file are told
    besides.

    Raises:
        tf.errors.InvalidArgumentError: it is none.
    """
    pixels, size = _decode_whole(longest_px)(tf.constant(data))
    height, width = size.numpy().tolist()
    return pixels.numpy(), (height, width)


@functools.cache
def _decode_whole(longest_px: int) -> Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]:
    return tf.function(
        lambda data: decode_near_and_measure(data, (longest_px, longest_px), resize="pad"),
        input_signature=[tf.TensorSpec((), tf.string)],
        autograph=False,
    )


def _decode_sound(
    places: tf.Tensor,
    decode_at: Callable[..., tuple],
    none: tuple[tf.Tensor, ...],
    parallel: int | None,
) -> tuple[tf.Tensor, ...]:
    """What `decode_at` gives of the files that can be decoded, behind `none`."""
    # An op that fails ends a graph but not a dataset: this is the only way to go on after a damaged file.
    sound = tf.data.Dataset.from_tensor_slices(places).map(decode_at, num_parallel_calls=parallel)
    sound = sound.ignore_errors()
    whole = tf.data.Dataset.from_tensor_slices(none).concatenate(sound)
    return whole.batch(tf.cast(tf.size(places) + 1, tf.int64)).get_single_element()


def _inspect_and_weigh(data: tf.Tensor) -> tuple[tf.Tensor, Plan, tf.Tensor]:
    """Besides kind and plan, whether the picture is decoded by itself."""
    kind, plan = inspect_file(data)
    return kind, plan, plan.numbers[-1] > _LARGE_PIXELS


def _finish(near: tf.Tensor, size_px: tuple[int, int], resize: Resize) -> tf.Tensor:
    corner, frame = find_frame(tf.cast(tf.shape(near)[:2], tf.float32), size_px, resize)
    return tf.cast(tf.round(resample_box(near, corner, frame, size_px)), tf.uint8)
