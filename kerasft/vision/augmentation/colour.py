"""Colour changes that are one matrix and one offset for each picture."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from kerasft.vision.augmentation.random_streams import COLOUR, draw_uniform
from kerasft.vision.config import Augmentation, BoxAugmentation

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""The weights of red, green and blue in grey (ITU-R BT.601)."""
_TO_YIQ = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float32)
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


def jitter_colours(
    image: tf.Tensor, key: tf.Tensor, augmentation: Augmentation | BoxAugmentation
) -> tf.Tensor:
    """Brightness, saturation, hue and contrast, changed by as much as the example's key says.

    Args:
        image: float32 (height, width, 3) in 0..255.
        key: int32 (2,), the example's.
        augmentation: how far each may change.

    Returns:
        float32 (height, width, 3) in 0..255.
    """
    limits = [augmentation.brightness, augmentation.saturation, augmentation.contrast, augmentation.hue]
    if not any(limits):
        return image
    changes = (2.0 * draw_uniform(key, COLOUR, 4) - 1.0) * limits
    brightness, saturation, contrast = tf.unstack(1.0 + changes[:3])
    return change_colours(image, brightness, saturation, contrast, changes[3] if augmentation.hue else None)


def change_colours(
    image: tf.Tensor,
    brightness: tf.Tensor | float = 1.0,
    saturation: tf.Tensor | float = 1.0,
    contrast: tf.Tensor | float = 1.0,
    hue: tf.Tensor | float | None = None,
) -> tf.Tensor:
    """Colours times brightness; then stretched from grey by saturation, turned by hue, stretched from the mean grey.

        y = c·H·(s·b·x + (1 - s)·b·grey(x)) + (1 - c)·b·grey(mean x), cut to 0..255 in the end

    Args:
        image: float32 (height, width, 3) in 0..255.
        brightness: b; 1 changes nothing, nor do the next two.
        saturation: s; 0 is grey.
        contrast: c; 0 is the mean grey alone.
        hue: share of the colour circle by which H turns chroma, brightness as seen (Y of YIQ) unchanged.

    Returns:
        float32 (height, width, 3) in 0..255.
    """
    grey = tf.ones([3, 1]) * LUMA
    matrix = brightness * (saturation * tf.eye(3) + (1.0 - saturation) * grey)
    if hue is not None:
        matrix = _turn_hue(hue) @ matrix
    mean = tf.reduce_mean(image, axis=[0, 1])
    offset = (1.0 - contrast) * brightness * tf.reduce_sum(LUMA * mean)
    changed = tf.reshape(image, [-1, 3]) @ tf.transpose(contrast * matrix) + offset
    return tf.clip_by_value(tf.reshape(changed, tf.shape(image)), 0.0, 255.0)


def _turn_hue(share: tf.Tensor | float) -> tf.Tensor:
    angle = 2.0 * math.pi * share
    cosine, sine, zero = tf.cos(angle), tf.sin(angle), tf.zeros([])
    turn = tf.stack([[1.0, zero, zero], [zero, cosine, -sine], [zero, sine, cosine]])
    return _FROM_YIQ @ turn @ _TO_YIQ
