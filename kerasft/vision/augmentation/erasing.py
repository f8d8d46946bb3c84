"""Random erasing: fills a rectangle with noise."""

from __future__ import annotations

import math

import tensorflow as tf

from kerasft.vision.augmentation.random_streams import ERASING, NOISE, derive_key, draw_uniform

_AREA = (0.02, 0.4)
_PROPORTION = math.log(1 / 0.3)


def erase_rectangle(image: tf.Tensor, key: tf.Tensor, probability: float) -> tf.Tensor:
    """Fills a rectangle with noise, or leaves the picture as it is.

    It takes 2 to 40 % of the area, its height is 0.3 to 3.3 times its width, and it lies anywhere inside; one that
    would be higher or wider than the picture ends at its edges.

    Args:
        image: float32 (height, width, channels) in 0..255.
        key: int32 (2,), the example's.
        probability: of there being one.

    Returns:
        float32, shaped as `image`, in 0..255.

    Source: Zhong et al. 2017, arXiv:1708.04896; its best variant, each pixel random.
    """
    uniform = draw_uniform(key, ERASING, 5)

    def erase() -> tf.Tensor:
        size = tf.cast(tf.shape(image)[:2], tf.float32)
        area = tf.reduce_prod(size) * (_AREA[0] + (_AREA[1] - _AREA[0]) * uniform[1])
        proportion = tf.exp((2.0 * uniform[2] - 1.0) * _PROPORTION)
        box = tf.minimum(tf.sqrt(area * tf.stack([proportion, 1.0 / proportion])), size)
        corner = uniform[3:] * (size - box)
        inside = is_inside(corner, corner + box, size)
        noise = tf.random.stateless_uniform(tf.shape(image), derive_key(key, NOISE), 0.0, 255.0, alg="philox")
        return tf.where(inside[..., None], noise, image)

    return tf.cond(uniform[0] < probability, erase, lambda: image)


def is_inside(low: tf.Tensor, high: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Which pixels' centres lie in boxes.

    Args:
        low: float32 (…, 2), the boxes' top left (y, x).
        high: float32 (…, 2), their bottom right.
        size: (2,), height and width.

    Returns:
        bool (…, height, width).
    """
    y, x = tf.range(size[0]) + 0.5, tf.range(size[1]) + 0.5
    rows = (y >= low[..., :1]) & (y < high[..., :1])
    columns = (x >= low[..., 1:]) & (x < high[..., 1:])
    return rows[..., :, None] & columns[..., None, :]
