"""MixUp and CutMix: combine two training pictures and their labels."""

from __future__ import annotations

import tensorflow as tf

from kerasft.vision.augmentation.erasing import is_inside
from kerasft.vision.augmentation.random_streams import CHOICE, PAIRS, PLACES, SHARES, derive_key, draw_uniform


def mix_batch(
    images: tf.Tensor, labels: tf.Tensor, key: tf.Tensor, *, mixup: float, cutmix: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """MixUp or CutMix, whichever is on; with both, each batch has one of them, either as likely.

    Args:
        images: float32 (batch, height, width, channels).
        labels: float32 (batch, classes), summing to 1.
        key: int32 (2,), the step's.
        mixup: MixUp's alpha; 0 is off.
        cutmix: CutMix' alpha; 0 is off.

    Returns:
        Images and labels, shaped as given.
    """
    if not (mixup and cutmix):
        return blend(images, labels, key, mixup) if mixup else paste(images, labels, key, cutmix)
    return tf.cond(
        draw_uniform(key, CHOICE, 1)[0] < 0.5,
        lambda: blend(images, labels, key, mixup),
        lambda: paste(images, labels, key, cutmix),
    )


def blend(images: tf.Tensor, labels: tf.Tensor, key: tf.Tensor, alpha: float) -> tuple[tf.Tensor, tf.Tensor]:
    """MixUp: each picture with another one of its batch.

        x = s·x + (1 - s)·x',  y = s·y + (1 - s)·y',  s ~ Beta(alpha, alpha), one a picture

    Args:
        images: float32 (batch, height, width, channels).
        labels: float32 (batch, classes).
        key: int32 (2,), the step's.
        alpha: above 0; small ones leave most pictures nearly alone.

    Returns:
        Images and labels, shaped as given.

    Source: Zhang et al. 2017, arXiv:1710.09412.
    """
    partners, shares = _draw_partners(key, tf.shape(images)[0], alpha)
    theirs = 1.0 - shares
    images += (tf.gather(images, partners) - images) * theirs[:, None, None, None]
    return images, labels + (tf.gather(labels, partners) - labels) * theirs[:, None]


def paste(images: tf.Tensor, labels: tf.Tensor, key: tf.Tensor, alpha: float) -> tuple[tf.Tensor, tf.Tensor]:
    """CutMix: a rectangle of each picture is that of another one of its batch.

    The rectangle has the picture's proportions, 1 − s of its area with s ~ Beta(alpha, alpha), its centre anywhere, and
    is cut off at the edges. Labels are mixed by the pixels that were pasted in the end.

    Args:
        images: float32 (batch, height, width, channels).
        labels: float32 (batch, classes).
        key: int32 (2,), the step's.
        alpha: above 0; at 1 every size is as likely.

    Returns:
        Images and labels, shaped as given.

    Source: Yun et al. 2019, arXiv:1905.04899.
    """
    batch = tf.shape(images)[0]
    partners, shares = _draw_partners(key, batch, alpha)
    size = tf.cast(tf.shape(images)[1:3], tf.float32)
    half = size * tf.sqrt(1.0 - shares)[:, None] / 2.0
    centre = tf.random.stateless_uniform([batch, 2], derive_key(key, PLACES), alg="philox") * size
    inside = is_inside(centre - half, centre + half, size)
    theirs = tf.reduce_mean(tf.cast(inside, tf.float32), axis=[1, 2])
    images = tf.where(inside[..., None], tf.gather(images, partners), images)
    return images, labels + (tf.gather(labels, partners) - labels) * theirs[:, None]


def _draw_partners(key: tf.Tensor, batch: tf.Tensor, alpha: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Who is mixed with whom, int32 (batch,), and the share that each keeps of itself, float32 (batch,)."""
    order = tf.argsort(tf.random.stateless_uniform([batch], derive_key(key, PAIRS), alg="philox"))
    # each with the next in a random circle: with itself only where it is alone
    partners = tf.gather(tf.roll(order, 1, axis=0), tf.argsort(order))
    gammas = tf.random.stateless_gamma([batch, 2], derive_key(key, SHARES), alpha)
    # both may be too small to be told from 0
    return partners, tf.math.divide_no_nan(gammas[:, 0], gammas[:, 0] + gammas[:, 1])
