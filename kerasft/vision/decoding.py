"""From an image file's bytes to pixels: the one graph behind training, evaluation, prediction and export.

Core TensorFlow ops alone, all of them older than TensorFlow 2.6, so that a SavedModel with this graph inside loads in
any TensorFlow Serving.
"""

from __future__ import annotations

import tensorflow as tf

from kerasft.vision.orientation import apply_orientation, read_orientation, swaps_sides
from kerasft.vision.resampling import Resize, divide, find_frame, resample_box

NOT_A_PICTURE = "is no JPEG, PNG, GIF or BMP file"
DECODING_VERSION = 2
"""Changes with the pixels: whatever is kept of decoded pictures is known by it."""

_SCALES = (1, 2, 4, 8)  # what a JPEG can be decoded at a fraction of
_SPARE = 2.0  # pixels along a side for each that is asked for; with one or less, edges get softer
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM")


def decode_image(
    data: tf.Tensor,
    size_px: tuple[int, int],
    *,
    resize: Resize = "crop",
    name: tf.Tensor | str = "The picture",
) -> tf.Tensor:
    """A file's picture, upright, in one size.

    Transparent parts are white, 16 bits become 8, of an animated GIF the first frame is taken.

    Args:
        data: string scalar, the bytes of a JPEG, PNG, GIF or BMP file.
        size_px: height and width of the result.
        resize: `crop` cuts what is too long off both ends, `pad` puts black beside what is too short, `stretch` does
            not mind the proportions.
        name: string scalar that an error calls the picture.

    Returns:
        uint8 (*size_px, 3), RGB.

    Raises:
        tf.errors.InvalidArgumentError: when it runs, on bytes that are no such file or are damaged.
    """
    image = decode_near(data, size_px, resize=resize, name=name)
    corner, frame = find_frame(_size_of(image), size_px, resize)
    return tf.cast(tf.round(resample_box(image, corner, frame, size_px)), tf.uint8)


def decode_near(
    data: tf.Tensor,
    size_px: tuple[int, int],
    *,
    resize: Resize = "crop",
    smallest_crop: float = 1.0,
    name: tf.Tensor | str = "The picture",
) -> tf.Tensor:
    """A file's picture, upright, in a size from which the target can be cut or shrunk: what training augments.

    A JPEG is decoded at a half, quarter or eighth where that leaves at least twice the target's height and width,
    which is nearly indistinguishable from decoding all of it (as with Pillow's `reducing_gap=2.0`).

    Args:
        data: string scalar, the bytes of a JPEG, PNG, GIF or BMP file.
        size_px: height and width that the picture will have in the end.
        resize: how it will get there.
        smallest_crop: the least share of the area that a crop may take.
        name: string scalar that an error calls the picture.

    Returns:
        uint8 (height, width, 3), RGB.

    Raises:
        tf.errors.InvalidArgumentError: when it runs, on bytes that are no such file or are damaged.
    """
    begins = tf.stack([tf.strings.substr(data, 0, len(signature)) == signature for signature in _SIGNATURES])
    known = tf.debugging.Assert(tf.reduce_any(begins), [name, NOT_A_PICTURE])
    with tf.control_dependencies([] if known is None else [known]):
        kind = tf.argmax(tf.cast(begins, tf.int32), output_type=tf.int32)
    image = tf.switch_case(
        kind,
        [
            lambda: _decode_jpeg(data, size_px, resize, smallest_crop),
            lambda: _decode_png(data),
            lambda: tf.io.decode_gif(data)[0],
            lambda: tf.io.decode_bmp(data, channels=3),
        ],
    )
    image.set_shape((None, None, 3))
    return image


def decode_batch(data: tf.Tensor, size_px: tuple[int, int], *, resize: Resize = "crop") -> tf.Tensor:
    """The pictures of a batch of files, several at once.

    One bad file fails the batch; where it is no picture, the message has its number.

    Args:
        data: string (batch,), which may be empty.
        size_px: height and width of the result.
        resize: see `decode_image`.

    Returns:
        uint8 (batch, *size_px, 3), RGB.

    Raises:
        tf.errors.InvalidArgumentError: when it runs, on bytes that are no such file or are damaged.
    """

    def decode_at(place: tf.Tensor) -> tf.Tensor:
        name = tf.strings.join(["Picture ", tf.strings.as_string(place + 1), " of the request"])
        return decode_image(data[place], size_px, resize=resize, name=name)

    return tf.map_fn(
        decode_at, tf.range(tf.size(data)), fn_output_signature=tf.TensorSpec((*size_px, 3), tf.uint8)
    )


def _size_of(image: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.shape(image)[:2], tf.float32)


def _decode_jpeg(
    data: tf.Tensor, size_px: tuple[int, int], resize: Resize, smallest_crop: float
) -> tf.Tensor:
    orientation = read_orientation(data)
    size = tf.cast(tf.image.extract_jpeg_shape(data)[:2], tf.float32)
    upright = tf.where(swaps_sides(orientation), tf.reverse(size, [0]), size)
    _, frame = find_frame(upright, size_px, resize)
    spare = tf.reduce_min(divide(frame, size_px)) * (smallest_crop**0.5 / _SPARE)
    scale = tf.reduce_sum(tf.cast(spare >= _SCALES[1:], tf.int32))

    def decode_at(ratio: int):
        # this method gives the same pixels on every processor
        return lambda: tf.io.decode_jpeg(data, 3, ratio=ratio, dct_method="INTEGER_ACCURATE")

    image = tf.switch_case(scale, [decode_at(ratio) for ratio in _SCALES])
    return apply_orientation(image, orientation)


def _decode_png(data: tf.Tensor) -> tf.Tensor:
    image = tf.io.decode_png(data, channels=4)
    colours, opacity = image[..., :3], image[..., 3:]
    # TensorFlow calls a picture of 1, 2 or 4 bits without transparency 1, 3 or 15 of 255 opaque
    depth = tf.minimum(tf.cast(tf.io.decode_raw(tf.strings.substr(data, 24, 1), tf.uint8)[0], tf.int32), 8)
    opaque = tf.cast(tf.bitwise.left_shift(1, depth) - 1, tf.uint8)

    def put_on_white() -> tf.Tensor:
        share = divide(tf.cast(opacity, tf.float32), 255.0)
        return tf.cast(tf.round(tf.cast(colours, tf.float32) * share + 255.0 * (1.0 - share)), tf.uint8)

    return tf.cond(tf.reduce_all(opacity == opaque), lambda: colours, put_on_white)
