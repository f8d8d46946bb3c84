"""Gradients before they are used: duplicates summed, norms measured, clipping turned into factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import tensorflow as tf

# A tf.Tensor or a tf.IndexedSlices.
Gradient: TypeAlias = Any


def sum_duplicates(gradient: Gradient) -> Gradient:
    """A gradient whose rows are each named once; dense gradients are returned as they are.

    An embedding's gradient is an `IndexedSlices` with one row a token, so a token that occurs twice has two
    rows whose sum is meant. Squares and norms are right only once the rows are summed.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def scale(gradient: Gradient, factor: tf.Tensor) -> Gradient:
    """A gradient times a float32 scalar, dense or not as it was."""
    if isinstance(gradient, tf.IndexedSlices):
        values = gradient.values * tf.cast(factor, gradient.values.dtype)
        return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
    return gradient * tf.cast(factor, gradient.dtype)


def squared_norm(gradient: Gradient) -> tf.Tensor:
    """Σ g² in float32 (float64 for float64). Rows must not repeat: see `sum_duplicates`."""
    values = gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
    if values.dtype != tf.float64:
        values = tf.cast(values, tf.float32)
    # l2_loss is Σ g² / 2 in one pass on all cores, with no squares written to memory.
    return tf.cast(2.0 * tf.nn.l2_loss(values), tf.float32)


def global_norm_factor(norm: tf.Tensor, limit: float) -> tf.Tensor:
    """limit / max(norm, limit); NaN where the norm is not finite, so that the fault is not hidden."""
    return limit * tf.minimum(1.0 / norm, 1.0 / limit) + (norm - norm)


def clipping_factors(
    gradients: Sequence[Gradient],
    factor: float | tf.Tensor,
    *,
    clipnorm: float | None,
    global_clipnorm: float | None,
    measure: bool,
) -> tuple[list[tf.Tensor | None], tf.Tensor | None]:
    """What each gradient is to be multiplied by, and the norm of all together.

    Clipping is left to the update, which multiplies while it reads the gradient anyway: no clipped copy of
    the gradients is ever written.

    Args:
        gradients: without repeated rows.
        factor: what the gradients are multiplied by before their norms are taken; a tensor where only the step knows it
            (1 / what accumulated losses are divided by).
        clipnorm: largest norm of each gradient.
        global_clipnorm: largest norm of all gradients together.
        measure: whether the norm is wanted where clipping does not need it.

    Returns:
        One float32 scalar a gradient (None: leave it alone), and the float32 norm of all gradients together,
        after `factor` and before clipping (None unless measured).
    """
    if isinstance(factor, tf.Tensor):
        unchanged = factor
    else:
        unchanged = tf.constant(factor, tf.float32) if factor != 1.0 else None
    if not (clipnorm or global_clipnorm or measure):
        return [unchanged] * len(gradients), None
    squares = [squared_norm(gradient) for gradient in gradients]
    # Not add_n: it begins with whichever input's memory it can reuse, so its last bit may differ run to run.
    norm = factor * tf.sqrt(tf.reduce_sum(tf.stack(squares)))
    if global_clipnorm:
        return [factor * global_norm_factor(norm, global_clipnorm)] * len(gradients), norm
    if clipnorm:
        norms = [factor * tf.sqrt(square) for square in squares]
        return [factor * clipnorm / tf.maximum(each, clipnorm) for each in norms], norm
    return [unchanged] * len(gradients), norm
