"""RandAugment: a few operations, drawn anew for each picture, all of one strength.

Those that move points are given as matrices, so that they are done together with cropping and turning, at the price
of one resampling, and move boxes and masks as well. They come before those that change colours.

Source: Cubuk et al. 2019, arXiv:1909.13719; the operations' ranges are those of AutoAugment, arXiv:1805.09501.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from kerasft.vision.augmentation.colour import change_colours
from kerasft.vision.augmentation.random_streams import OPERATIONS, draw_uniform

COLOUR_OPERATIONS = (
    "identity",
    "autocontrast",
    "equalize",
    "solarize",
    "posterize",
    "color",
    "contrast",
    "brightness",
    "sharpness",
)
MOVING_OPERATIONS = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")
NAMES = COLOUR_OPERATIONS + MOVING_OPERATIONS
_MOST = 10.0  # the magnitude of the ranges' far ends
_ROTATION, _SHEAR, _TRANSLATION, _ENHANCEMENT = math.radians(30.0), 0.3, 150 / 331, 0.9


class Operations(NamedTuple):
    """What is done to one picture, in order."""

    kinds: tf.Tensor
    """int32 (layers,), places in `NAMES`."""
    signs: tf.Tensor
    """float32 (layers,), −1 or 1: to the left or right, less or more."""


def draw_operations(key: tf.Tensor, layers: int) -> Operations:
    """Draws each layer's operation.

    Args:
        key: int32 (2,), the example's.
        layers: how many.
    """
    uniform = draw_uniform(key, OPERATIONS, 2 * layers)
    kinds = tf.cast(uniform[:layers] * len(NAMES), tf.int32)
    return Operations(kinds, tf.where(uniform[layers:] < 0.5, -1.0, 1.0))


def list_movements(operations: Operations, magnitude: float, size_px: tuple[int, int]) -> list[tf.Tensor]:
    """A matrix a layer, float32 (3, 3), around the picture's centre; the identity where colours are changed.

    Args:
        operations: as drawn.
        magnitude: 0 to 10.
        size_px: the picture's height and width.
    """
    height, width = size_px
    strength = magnitude / _MOST
    matrices = []
    for kind, sign in zip(*map(tf.unstack, operations), strict=True):
        is_kind = {name: tf.cast(kind == NAMES.index(name), tf.float32) for name in MOVING_OPERATIONS}
        angle = is_kind["rotate"] * sign * strength * _ROTATION
        shear, shift = sign * strength * _SHEAR, sign * strength * _TRANSLATION
        cosine, sine = tf.cos(angle), tf.sin(angle)
        x_row = [cosine, sine + is_kind["shear_x"] * shear, is_kind["translate_x"] * shift * width]
        y_row = [-sine + is_kind["shear_y"] * shear, cosine, is_kind["translate_y"] * shift * height]
        matrices.append(tf.stack([x_row, y_row, [0.0, 0.0, 1.0]]))
    return matrices


def apply_colour_operations(image: tf.Tensor, operations: Operations, magnitude: float) -> tf.Tensor:
    """Those of the operations that change colours, one after the other.

    Args:
        image: float32 (height, width, 3) in 0..255.
        operations: as drawn.
        magnitude: 0 to 10.

    Returns:
        float32 (height, width, 3) in 0..255.
    """
    for kind, sign in zip(*map(tf.unstack, operations), strict=True):
        branches = _list_branches(image, sign, magnitude / _MOST)
        # the first changes nothing: so those that move points have been done elsewhere
        image = tf.switch_case(tf.where(kind < len(branches), kind, 0), branches)
    return image


def _list_branches(image: tf.Tensor, sign: tf.Tensor, strength: float) -> list:
    factor = 1.0 + sign * strength * _ENHANCEMENT
    return [
        lambda: tf.identity(image),
        lambda: stretch_to_full_range(image),
        lambda: equalize(image),
        lambda: solarize(image, 256.0 * (1.0 - strength)),
        lambda: posterize(image, 8 - round(4 * strength)),
        lambda: change_colours(image, saturation=factor),
        lambda: change_colours(image, contrast=factor),
        lambda: change_colours(image, brightness=factor),
        lambda: sharpen(image, factor),
    ]


def stretch_to_full_range(image: tf.Tensor) -> tf.Tensor:
    """Each channel's lowest value becomes 0 and its highest 255; one of a single value stays."""
    low, high = tf.reduce_min(image, axis=[0, 1]), tf.reduce_max(image, axis=[0, 1])
    return tf.where(high > low, tf.math.divide_no_nan((image - low) * 255.0, high - low), image)


def equalize(image: tf.Tensor) -> tf.Tensor:
    """Each channel's values are spread so that all are about as frequent, as in Pillow's `ImageOps.equalize`."""
    values = tf.cast(tf.round(image), tf.int32) + tf.constant([0, 256, 512])
    counts = tf.reshape(tf.math.bincount(values, minlength=768, maxlength=768), [3, 256])
    pixels = tf.reduce_sum(counts, axis=1)
    highest = tf.reduce_max(tf.where(counts > 0, tf.range(256), 0), axis=1)
    step = (pixels - tf.gather(counts, highest, axis=1, batch_dims=1)) // 255
    before = tf.cumsum(counts, axis=1, exclusive=True) + step[:, None] // 2
    table = tf.where(step[:, None] > 0, before // tf.maximum(step, 1)[:, None], tf.range(256))
    return tf.cast(tf.gather(tf.reshape(tf.minimum(table, 255), [-1]), values), tf.float32)


def solarize(image: tf.Tensor, threshold: float) -> tf.Tensor:
    """Values from `threshold` on are inverted."""
    return tf.where(image < threshold, image, 255.0 - image)


def posterize(image: tf.Tensor, bits: int) -> tf.Tensor:
    """Values keep their upper `bits` of eight."""
    step = 2.0 ** (8 - bits)
    return tf.floor(image / step) * step


def sharpen(image: tf.Tensor, factor: tf.Tensor | float) -> tf.Tensor:
    """Stretched from a smoothed copy by `factor`: below 1 is softer. The outermost pixels stay as they are."""
    kernel = tf.reshape(tf.constant([1.0, 1, 1, 1, 5, 1, 1, 1, 1]) / 13.0, [3, 3, 1, 1])
    smooth = tf.nn.depthwise_conv2d(image[None], tf.tile(kernel, [1, 1, 3, 1]), [1, 1, 1, 1], "VALID")[0]
    inner = image[1:-1, 1:-1]
    change = tf.pad((factor - 1.0) * (inner - smooth), [[1, 1], [1, 1], [0, 0]])
    return tf.clip_by_value(image + change, 0.0, 255.0)
