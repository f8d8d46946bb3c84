"""Random numbers of one example or step: one independent stream for each purpose."""

from __future__ import annotations

import tensorflow as tf

FLIP_AND_CROP, ROTATION, COLOUR, OPERATIONS, ERASING, NOISE, CHOICE, PAIRS, SHARES, PLACES = range(10)


def derive_key(key: tf.Tensor, purpose: int) -> tf.Tensor:
    """int32 (2,): the key of one purpose's stream. Keys are hashes already, so neighbours are not alike."""
    return key + tf.constant([0, purpose], key.dtype)


def draw_uniform(key: tf.Tensor, purpose: int, count: int) -> tf.Tensor:
    """float32 (count,) in [0, 1), the same on every device (Philox)."""
    return tf.random.stateless_uniform([count], derive_key(key, purpose), alg="philox")
