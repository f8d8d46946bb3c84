"""The arithmetic of the fast decoders, with gradients in closed form where that spares passes over memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.models.text.decoders.sizes import DecoderSizes

MASKED_SCORE = -1e9
"""What is added to the score of a key that is not to be seen: its weight falls below what float32 can tell from 0."""


def rms_norm(x: tf.Tensor, gamma: tf.Tensor | None, epsilon: float) -> tf.Tensor:
    """Divides by the root mean square of the last axis.

        y = γ·n,  n = x·r,  r = 1/√(mean x² + ε),  d = γ·∂y
        ∂x = r·(d − n·mean(d·n)),  ∂γ = Σ ∂y·n

    Args:
        x: float32, any shape.
        gamma: float32 (size of the last axis,); None: 1.
        epsilon: ε.

    Source: Zhang and Sennrich 2019, arXiv:1910.07467.
    """

    @tf.custom_gradient
    def compute(x: tf.Tensor, *scales: tf.Tensor) -> Any:
        factor = tf.math.rsqrt(tf.reduce_mean(tf.square(x), -1, keepdims=True) + epsilon)
        normal = x * factor

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
            inner = upstream * scales[0] if scales else upstream
            along = tf.reduce_mean(inner * normal, -1, keepdims=True)
            of_x = factor * (inner - normal * along)
            if not scales:
                return (of_x,)
            return of_x, tf.reduce_sum(upstream * normal, list(range(x.shape.rank - 1)))

        return normal * scales[0] if scales else normal, gradient

    return compute(x) if gamma is None else compute(x, tf.convert_to_tensor(gamma))


@tf.custom_gradient
def relu_squared(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """max(x, 0)², any shape. Source: So et al. 2021, arXiv:2109.08668."""
    positive = tf.nn.relu(x)
    return tf.square(positive), lambda upstream: 2.0 * positive * upstream


@tf.custom_gradient
def silu_gate(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """g·σ(g)·u of float32 (…, 2·n), g and u side by side, → (…, n). Source: Shazeer 2020, arXiv:2002.05202."""
    gate, inner = tf.split(x, 2, -1)
    share = tf.sigmoid(gate)
    active = gate * share

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        of_gate = upstream * inner * (share + active * (1.0 - share))
        return tf.concat([of_gate, upstream * active], -1)

    return active * inner, gradient


def compute_frequencies(sizes: DecoderSizes) -> np.ndarray:
    """By how much each pair of numbers turns from a position to the next: float64 (head_size / 2,), in radians.

        f of pair i = base^(−2i / head_size)

    With scaling: wavelengths w = 2π / f above c / low are stretched by the factor, those below c / high are not, and
    between the two s = (c / w − low) / (high − low) of f is kept as it is, c the original context.

    Source: Su et al. 2021, arXiv:2104.09864; the scaling is Llama 3.1's.
    """
    frequencies = sizes.rope_base ** (-np.arange(0, sizes.head_size, 2) / sizes.head_size)
    scaling = sizes.rope_scaling
    if scaling is None:
        return frequencies
    turns = scaling.original_context * frequencies / (2 * np.pi)
    kept = np.clip((turns - scaling.low_factor) / (scaling.high_factor - scaling.low_factor), 0.0, 1.0)
    return frequencies * (kept + (1.0 - kept) / scaling.factor)


def compute_rotary(positions: tf.Tensor, sizes: DecoderSizes) -> tf.Tensor:
    """The cosines, and after them the sines, by which a token's queries and keys are turned.

    Args:
        positions: int32, any shape.
        sizes: with rotary positions.

    Returns:
        float32 (…, head_size).
    """
    frequencies = compute_frequencies(sizes).astype(np.float32)
    angles = tf.cast(positions, tf.float32)[..., None] * frequencies
    return tf.concat([tf.cos(angles), tf.sin(angles)], -1)


def rotate(x: tf.Tensor, rotary: tf.Tensor) -> tf.Tensor:
    """Turns each pair of numbers (i, i + head_size/2) by its angle; the gradient turns back.

    Args:
        x: float32 (…, head_size).
        rotary: of `compute_rotary`; its shape is broadcast to x's.
    """
    cosine, sine = tf.split(rotary, 2, -1)

    def turn(x: tf.Tensor, sine: tf.Tensor) -> tf.Tensor:
        first, second = tf.split(x, 2, -1)
        return tf.concat([first * cosine - second * sine, second * cosine + first * sine], -1)

    @tf.custom_gradient
    def compute(x: tf.Tensor) -> Any:
        return turn(x, sine), lambda upstream: turn(upstream, -sine)

    return compute(x)


def attend(
    query: tf.Tensor,
    key: tf.Tensor,
    value: tf.Tensor,
    mask: tf.Tensor,
    drop: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
) -> tf.Tensor:
    """softmax(query·keyᵀ + mask)·value.

    Args:
        query: (…, queries, head size), already scaled, in the dtype of products.
        key, value: (…, keys, head size), of the same dtype.
        mask: float32, broadcast to (…, queries, keys): 0, or `MASKED_SCORE` where a query does not look.
        drop: dropout on the weights.

    Returns:
        (…, queries, head size), in the dtype of products.
    """
    scores = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32) + mask
    return tf.matmul(tf.cast(drop(tf.nn.softmax(scores)), value.dtype), value)


def attend_causally(
    query: tf.Tensor,
    key: tf.Tensor,
    value: tf.Tensor,
    mask: tf.Tensor,
    drop: Callable[[tf.Tensor], tf.Tensor],
    blocks: int,
) -> tf.Tensor:
    """`attend` where no query looks at later keys, computed in blocks of queries with the keys up to their end.

    Args:
        query, key, value, mask, drop: see `attend`, with as many keys as queries.
        blocks: n of them take (n + 1) / 2n of the work of one.
    """
    if blocks == 1:
        return attend(query, key, value, mask, drop)
    tokens = tf.shape(query)[-2]
    bounds = [tokens * place // blocks for place in range(blocks + 1)]
    parts = [
        attend(
            query[..., start:end, :],
            key[..., :end, :],
            value[..., :end, :],
            mask[..., start:end, :end],
            drop,
        )
        for start, end in itertools.pairwise(bounds)
    ]
    return tf.concat(parts, -2)
