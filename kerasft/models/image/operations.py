"""The arithmetic of fast image networks on a CPU, with gradients in closed form where that spares passes over memory.

Convolutions take less than half of a step of EfficientNet as Keras builds it. The rest reads and writes: batch
normalisation and swish as a dozen operations each, every one a pass of its own over all pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from kerasft.models.number_formats import adds_bfloat16_in_float32

Gradient = Callable[..., Any]

# oneDNN normalises other numbers of channels in bfloat16 by a reference routine, some twenty times as slow.
CHANNELS_PER_VECTOR = 16

# Wider kernels' gradients fall to a generic routine in oneDNN, some four times as slow.
WIDEST_FAST_GRADIENT = 3


def _compile(function: Callable) -> Callable:
    """One pass over memory, by XLA."""
    return tf.function(function, jit_compile=True, autograph=False, reduce_retracing=True)


@_compile
def _swish_gradient(x: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
    wide = tf.cast(x, tf.float32)
    gate = tf.sigmoid(wide)
    return tf.cast(tf.cast(upstream, tf.float32) * (gate * (1.0 + wide * (1.0 - gate))), x.dtype)


@_compile
def _product(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    return x * y


@tf.custom_gradient
def swish(x: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
    """x·σ(x), the gradient σ·(1 + x·(1 − σ)) in one pass; any shape and float dtype.

    Source: Ramachandran et al. 2017, arXiv:1710.05941.
    """

    def gradient(upstream: tf.Tensor) -> tf.Tensor:
        flat = _swish_gradient(tf.reshape(x, [-1]), tf.reshape(upstream, [-1]))
        return tf.reshape(flat, tf.shape(x))

    return x * tf.sigmoid(x), gradient


@tf.custom_gradient
def scale_channels(x: tf.Tensor, gate: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
    """x · gate, as squeeze-and-excitation does it.

    Args:
        x: (batch, height, width, channels).
        gate: (batch, 1, 1, channels), of x's dtype.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        flat = _product(tf.reshape(upstream, [-1]), tf.reshape(x, [-1]))
        summed = mean_pixels(tf.reshape(flat, tf.shape(x))) * _pixels(x)
        return _product(upstream, gate), tf.cast(summed, gate.dtype)

    return _product(x, gate), gradient


def mean_pixels(x: tf.Tensor) -> tf.Tensor:
    """Each channel's mean, added up in float32.

    Args:
        x: (batch, height, width, channels), height and width static.

    Returns:
        (batch, 1, 1, channels), of x's dtype.
    """
    if x.dtype != tf.float32:  # TensorFlow's own pooling adds up in x's dtype: in bfloat16 256 + 1 is 256
        return tf.reduce_mean(x, (1, 2), keepdims=True)
    return tf.nn.avg_pool2d(x, x.shape[1:3], 1, "VALID")


@tf.custom_gradient
def add_bias(x: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
    """x + bias, whose gradient is added up in float32; `tf.nn.bias_add`'s is added up in x's dtype.

    Args:
        x: (batch, height, width, channels).
        bias: (channels,), of x's dtype.
    """

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return upstream, tf.reduce_sum(upstream, (0, 1, 2))

    return tf.nn.bias_add(x, bias), gradient


def _pixels(x: tf.Tensor) -> tf.Tensor:
    return tf.cast(x.shape[1] * x.shape[2], x.dtype)


def convolution(x: tf.Tensor, kernel: tf.Tensor, strides: tuple[int, int], padding: str) -> tf.Tensor:
    """A convolution over all channels, in float32 where TensorFlow's own kernels would add up in bfloat16.

    Args:
        x: (batch, height, width, in).
        kernel: (height, width, in, out), of x's dtype.
        strides: along height and width.
        padding: `SAME` or `VALID`.
    """
    if x.dtype != tf.bfloat16 or adds_bfloat16_in_float32():
        return tf.nn.conv2d(x, kernel, strides, padding)
    y = tf.nn.conv2d(tf.cast(x, tf.float32), tf.cast(kernel, tf.float32), strides, padding)
    return tf.cast(y, x.dtype)


def pointwise_convolution(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """A 1 × 1 convolution as a matrix product: its gradients are the faster ones in float32, and the closer ones where
    TensorFlow's own kernels compute in bfloat16.

    Args:
        x: (batch, height, width, in).
        kernel: (1, 1, in, out), of x's dtype.
    """
    if x.dtype == tf.bfloat16 and adds_bfloat16_in_float32():
        return tf.nn.conv2d(x, kernel, 1, "VALID")
    product = tf.matmul(tf.reshape(x, [-1, x.shape[-1]]), kernel[0, 0])
    return tf.reshape(product, tf.concat([tf.shape(x)[:3], tf.shape(kernel)[3:]], 0))


def depthwise_convolution(x: tf.Tensor, kernel: tf.Tensor, stride: int, padding: str) -> tf.Tensor:
    """A depthwise convolution whose gradients avoid oneDNN's slow routines.

    Args:
        x: (batch, height, width, channels), height and width static.
        kernel: (height, width, channels, multiplier), of x's dtype.
        stride: in both directions.
        padding: `SAME` or `VALID`.
    """
    strides = [1, stride, stride, 1]

    @tf.custom_gradient
    def convolve(x: tf.Tensor, kernel: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            of_x = _gradient_of_input(x, kernel, upstream, strides, padding)
            return of_x, _gradient_of_kernel(x, kernel, upstream, strides, padding)

        return tf.nn.depthwise_conv2d(x, kernel, strides, padding), gradient

    return convolve(x, kernel)


def _gradient_of_input(x, kernel, upstream, strides: list[int], padding: str) -> tf.Tensor:
    # oneDNN has no bfloat16 routine for strides in this layout, but one for float32.
    dtype = x.dtype if strides[1] == 1 else tf.float32
    gradient = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
        input_sizes=tf.shape(x),
        filter=tf.cast(kernel, dtype),
        out_backprop=tf.cast(upstream, dtype),
        strides=strides,
        padding=padding,
    )
    return tf.cast(gradient, x.dtype)


def _gradient_of_kernel(x, kernel, upstream, strides: list[int], padding: str) -> tf.Tensor:
    """The kernel's columns by threes, each against the part of the picture that it meets."""
    height, width, channels, multiplier = kernel.shape
    dtype = x.dtype
    if dtype == tf.bfloat16 and not adds_bfloat16_in_float32():  # as fast there, and right
        x, upstream = tf.cast(x, tf.float32), tf.cast(upstream, tf.float32)

    def of_columns(x: tf.Tensor, columns: int, padding: str) -> tf.Tensor:
        return tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
            input=x,
            filter_sizes=[height, columns, channels, multiplier],
            out_backprop=upstream,
            strides=strides,
            padding=padding,
        )

    if width <= WIDEST_FAST_GRADIENT:
        return tf.cast(of_columns(x, width, padding), dtype)
    if padding == "SAME":
        sides = [_same_padding(x.shape[axis], kernel.shape[axis - 1], strides[axis]) for axis in (1, 2)]
        x = tf.pad(x, [(0, 0), *sides, (0, 0)])
    parts, done = [], 0
    while done < width:
        start = min(done, width - WIDEST_FAST_GRADIENT)
        beyond = width - start - WIDEST_FAST_GRADIENT
        part = of_columns(x[:, :, start : x.shape[2] - beyond], WIDEST_FAST_GRADIENT, "VALID")
        parts.append(part[:, done - start :])
        done = start + WIDEST_FAST_GRADIENT
    return tf.cast(tf.concat(parts, 1), dtype)


def _same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """What `SAME` adds before and after; TensorFlow's rule."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def normalize_batch(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Batch normalisation with the batch's own statistics, in one operation; TensorFlow knows its gradient.

    Args:
        x: float32 or bfloat16 (batch, height, width, channels).
        gamma, beta: float32 (channels,).
        epsilon: added to the variance.

    Returns:
        y of x's dtype, and the batch's mean and (biased) variance, float32 (channels,).

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167.
    """
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=_widen_odd(x), scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True
    )
    count = tf.cast(tf.size(x) // x.shape[-1], tf.float32)
    return tf.cast(y, x.dtype), mean, variance * ((count - 1.0) / count)


def _widen_odd(x: tf.Tensor) -> tf.Tensor:
    return x if x.shape[-1] % CHANNELS_PER_VECTOR == 0 else tf.cast(x, tf.float32)


def normalize_with(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, epsilon: float
) -> tf.Tensor:
    """Batch normalisation with statistics gathered before.

    Args:
        x, gamma, beta, epsilon: as in `normalize_batch`.
        mean, variance: float32 (channels,).
    """
    y, *_ = tf.raw_ops.FusedBatchNormV3(
        x=_widen_odd(x),
        scale=gamma,
        offset=beta,
        mean=mean,
        variance=variance,
        epsilon=epsilon,
        is_training=False,
    )
    return tf.cast(y, x.dtype)


def normalize_with_constants(
    x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, epsilon: float
) -> tf.Tensor:
    """`normalize_with` in a frozen layer: a gradient for x alone, in one pass."""
    gamma, beta, mean, variance = (tf.convert_to_tensor(each) for each in (gamma, beta, mean, variance))

    @tf.custom_gradient
    def normalize(x: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
        def gradient(upstream: tf.Tensor) -> tf.Tensor:
            scale = tf.cast(gamma * tf.math.rsqrt(variance + epsilon), x.dtype)
            return _product(upstream, scale)

        return normalize_with(x, gamma, beta, mean, variance, epsilon), gradient

    return normalize(x)
