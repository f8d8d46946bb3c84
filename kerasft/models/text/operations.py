"""The arithmetic of the fast text encoder, with gradients in closed form where that spares passes over memory.

Beside the matrix products, what takes the time is reading and writing: TensorFlow runs each square, product and sum
over all tokens as a pass of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf

LAYER_NORM_EPSILON = 1e-12
GELU_A = 2 * math.sqrt(2 / math.pi)
GELU_B = 0.044715 * GELU_A


def matrix_product(x: tf.Tensor, kernel: tf.Tensor, dtype: str) -> tf.Tensor:
    """x (rows, in), float32 or `dtype`, · kernel (in, out) with inputs rounded to `dtype`; float32 (rows, out)."""
    if dtype == "float32":
        return tf.matmul(x, kernel)
    return tf.cast(tf.matmul(tf.cast(x, dtype), tf.cast(kernel, dtype)), tf.float32)


def layer_norm(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float = LAYER_NORM_EPSILON
) -> tf.Tensor:
    """Layer normalisation over the last axis, in float32. Source: Ba et al. 2016, arXiv:1607.06450."""

    @tf.custom_gradient
    def compute(x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> Any:
        return _layer_norm(x, gamma, beta, epsilon)

    return compute(x, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta))


def _layer_norm(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, ...]]]:
    """With the gradient in closed form: fewer passes over memory than one by one.

    n = (x − mean x)·r,  r = 1/√(var x + ε),  y = γ·n + β,  d = γ·∂y
    ∂x = r·(d − mean d − n·mean(d·n)),  ∂γ = Σ ∂y·n,  ∂β = Σ ∂y
    """
    centred = x - tf.reduce_mean(x, -1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), -1, keepdims=True)
    scale = tf.math.rsqrt(variance + epsilon)
    normal = centred * scale

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
        inner = upstream * gamma
        along = tf.reduce_mean(inner * normal, -1, keepdims=True)
        of_x = scale * (inner - tf.reduce_mean(inner, -1, keepdims=True) - normal * along)
        batch_axes = list(range(x.shape.rank - 1))
        return of_x, tf.reduce_sum(upstream * normal, batch_axes), tf.reduce_sum(upstream, batch_axes)

    return normal * gamma + beta, gradient


@tf.custom_gradient
def gelu(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Gelu in its approximation by tanh, written with a sigmoid, in half the passes over memory.

        x·½(1 + tanh u) = x·σ(2u),  2u = x·(a + b·x²),  a = 2√(2/π),  b = 0.044715·a
        d/dx = σ + x·σ(1 − σ)·(a + 3b·x²)

    Args:
        x: float32, any shape.

    Source: Hendrycks and Gimpel 2016, arXiv:1606.08415.
    """
    square = tf.square(x)
    gate = tf.sigmoid(x * (GELU_B * square + GELU_A))

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        inner = upstream * (x * (3 * GELU_B * square + GELU_A))
        return upstream * gate + tf.raw_ops.SigmoidGrad(y=gate, dy=inner)

    return x * gate, gradient


@tf.custom_gradient
def exact_gelu(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Gelu itself, by the error function.

        x·Φ(x),  Φ(x) = ½(1 + erf(x/√2)),  d/dx = Φ(x) + x·φ(x),  φ(x) = exp(−x²/2)/√(2π)

    Args:
        x: float32, any shape.

    Source: Hendrycks and Gimpel 2016, arXiv:1606.08415.
    """
    share = 0.5 * (1.0 + tf.math.erf(x * math.sqrt(0.5)))

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        density = tf.exp(-0.5 * tf.square(x)) * (1.0 / math.sqrt(2 * math.pi))
        return upstream * (share + x * density)

    return x * share, gradient


def byte_dropout(x: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Dropout whose mask takes one random byte an element, a quarter of the usual random bits.

    The rate is rounded to a multiple of 1/256, at most 255/256 (0.1 becomes 26/256 = 0.1016); what is kept is scaled
    by the rounded rate, so that the mean stays.

    Args:
        x: float32, any shape.
        rate: in [0, 1).
        seed: int or uint32 (2,), stateless.
    """
    threshold = min(round(rate * 256), 255)
    if threshold == 0:
        return x
    count = tf.size(x)
    bits = tf.random.stateless_uniform(
        [(count + 3) // 4], tf.bitcast(tf.cast(seed, tf.uint32), tf.int32), None, None, tf.int32, alg="philox"
    )
    mask_bytes = tf.reshape(tf.reshape(tf.bitcast(bits, tf.uint8), [-1])[:count], tf.shape(x))
    kept = mask_bytes >= tf.constant(threshold, tf.uint8)
    return x * tf.where(kept, tf.constant(256.0 / (256.0 - threshold), x.dtype), tf.zeros([], x.dtype))
