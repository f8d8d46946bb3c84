"""Resamples a picture to a given size: which part is used, and how."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

Resize = Literal["crop", "pad", "stretch"]


def divide(values: tf.Tensor, constant: object) -> tf.Tensor:
    """A quotient that is the same to the bit however a graph is optimised.

    TensorFlow's optimizer turns a division by a constant into a product with its reciprocal, which rounds otherwise;
    `tf.data` leaves it. A last bit decides where a pixel's value lies halfway between two.

    Args:
        values: float32.
        constant: of any shape that fits.

    Returns:
        float32.
    """
    return tf.cast(tf.cast(values, tf.float64) / tf.constant(constant, tf.float64), tf.float32)


def find_frame(
    image_size: tf.Tensor, size_px: tuple[int, int], resize: Resize
) -> tuple[tf.Tensor, tf.Tensor]:
    """The part of a picture that becomes the whole of the target.

    `crop`: the largest part in the middle that has the target's proportions. `pad`: the smallest frame of these
    proportions around the picture. `stretch`: the picture itself.

    Args:
        image_size: float32 (…, 2), the picture's height and width.
        size_px: the target's height and width.
        resize: how the picture's proportions are met.

    Returns:
        The frame's top left corner and its size, both float32 (…, 2), (y, x), in the picture's pixels.
    """
    if resize == "stretch":
        return tf.zeros_like(image_size), image_size
    target = tf.constant(size_px, tf.float32)
    factors = divide(image_size, size_px)
    choose = tf.reduce_min if resize == "crop" else tf.reduce_max
    factor = choose(factors, axis=-1, keepdims=True)
    return (image_size - target * factor) / 2.0, target * factor


def resample_box(
    image: tf.Tensor, corner: tf.Tensor, box_size: tf.Tensor, size_px: tuple[int, int]
) -> tf.Tensor:
    """A box of a picture as a picture of its own, linear between pixels, averaged where it shrinks.

    It gives what Pillow's `BILINEAR` gives. What lies outside of the picture is black.

    Args:
        image: (height, width, channels), any number type.
        corner: float32 (2,), the box's top left (y, x) in pixels.
        box_size: float32 (2,), its height and width in pixels.
        size_px: height and width of the result.

    Returns:
        float32 (*size_px, channels).
    """
    scale = tf.constant(size_px, tf.float32) / box_size
    resampled = tf.raw_ops.ScaleAndTranslate(
        images=image[None],
        size=size_px,
        scale=scale,
        translation=-corner * scale,
        kernel_type="triangle",
        antialias=True,
    )[0]
    resampled.set_shape((*size_px, image.shape[-1]))
    return resampled
