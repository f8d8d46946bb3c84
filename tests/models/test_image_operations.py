import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.models import image_operations as operations

RANDOM = np.random.default_rng(0)


def make(*shape: int, dtype: str = "float32") -> tf.Tensor:
    return tf.cast(RANDOM.standard_normal(shape).astype(np.float32), dtype)


def compare(ours, theirs, *inputs: tf.Tensor, atol: float = 2e-5) -> None:
    """Values and gradients of two functions, relative to the largest."""
    upstream = None
    results = []
    for function in (ours, theirs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = function(*inputs)
            upstream = make(*output.shape, dtype=output.dtype) if upstream is None else upstream
        results.append([output, *tape.gradient(output, inputs, upstream)])
    for mine, other in zip(*results, strict=True):
        assert mine.dtype == other.dtype
        mine, other = (tf.cast(tensor, tf.float32).numpy() for tensor in (mine, other))
        scale = np.abs(other).max()
        np.testing.assert_allclose(mine / scale, other / scale, atol=atol)


TOLERANCES = [("float32", 2e-5), ("bfloat16", 0.02)]


@pytest.mark.parametrize(("dtype", "atol"), TOLERANCES)
def test_swish_is_keras_in_value_and_gradient(dtype: str, atol: float) -> None:
    compare(operations.swish, keras.activations.silu, 4 * make(2, 5, 3, 7, dtype=dtype), atol=atol)


@pytest.mark.parametrize(("dtype", "atol"), TOLERANCES)
def test_scaled_channels_are_a_product_with_its_gradients(dtype: str, atol: float) -> None:
    x, gate = make(3, 6, 4, 8, dtype=dtype), make(3, 1, 1, 8, dtype=dtype)
    compare(operations.scale_channels, lambda x, gate: x * gate, x, gate, atol=atol)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_mean_over_pixels_is_added_up_in_float32(dtype: str) -> None:
    x = make(2, 40, 30, 16, dtype=dtype) + tf.cast(3.0, dtype)
    exact = tf.reduce_mean(tf.cast(x, tf.float32), (1, 2), keepdims=True)
    np.testing.assert_allclose(
        tf.cast(operations.mean_pixels(x), tf.float32), tf.cast(tf.cast(exact, dtype), tf.float32), rtol=0.004
    )


@pytest.mark.parametrize(("dtype", "atol"), TOLERANCES)
def test_a_pointwise_convolution_is_a_convolution(dtype: str, atol: float) -> None:
    x, kernel = make(2, 5, 6, 16, dtype=dtype), make(1, 1, 16, 24, dtype=dtype)
    compare(
        operations.pointwise_convolution, lambda x, k: tf.nn.conv2d(x, k, 1, "VALID"), x, kernel, atol=atol
    )


@pytest.mark.parametrize(("dtype", "atol"), TOLERANCES)
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 3, 4, 5, 7])
@pytest.mark.parametrize("multiplier", [1, 2])
def test_a_depthwise_convolution_has_tensorflows_gradients(
    size: int, stride: int, padding: str, multiplier: int, dtype: str, atol: float
) -> None:
    x, kernel = make(3, 14, 13, 16), make(size, size, 16, multiplier)

    def ours(x, kernel):
        y = operations.depthwise_convolution(tf.cast(x, dtype), tf.cast(kernel, dtype), stride, padding)
        return tf.cast(y, tf.float32)

    strides = [1, stride, stride, 1]
    compare(ours, lambda x, k: tf.nn.depthwise_conv2d(x, k, strides, padding), x, kernel, atol=atol)


def exact_normalization(x, gamma, beta):
    mean, variance = tf.nn.moments(x, (0, 1, 2))
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)


@pytest.mark.parametrize(("dtype", "atol"), TOLERANCES)
@pytest.mark.parametrize("channels", [8, 16])
def test_batch_normalization_has_the_gradients_of_its_equation(
    channels: int, dtype: str, atol: float
) -> None:
    x, gamma, beta = 3 * make(4, 5, 6, channels) + 2, make(channels), make(channels)

    def ours(x, gamma, beta):
        y, *_ = operations.normalize_batch(tf.cast(x, dtype), gamma, beta, 1e-3)
        assert y.dtype == dtype
        return tf.cast(y, tf.float32)

    compare(ours, exact_normalization, tf.cast(tf.cast(x, dtype), tf.float32), gamma, beta, atol=atol)


def test_the_batchs_variance_is_the_biased_one_that_keras_averages() -> None:
    x = 3 * make(2, 2, 1, 8) + 2
    _, mean, variance = operations.normalize_batch(x, tf.ones(8), tf.zeros(8), 1e-3)
    np.testing.assert_allclose(mean, np.mean(x, (0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(variance, np.var(x, (0, 1, 2)), rtol=1e-5)


@pytest.mark.parametrize(("dtype", "atol"), TOLERANCES)
def test_gathered_statistics_normalize_as_the_equation_says(dtype: str, atol: float) -> None:
    x, gamma, beta, mean = make(4, 5, 6, 8, dtype=dtype), make(8), make(8), make(8)
    variance = tf.square(make(8)) + 0.5

    def exact(x):
        y = tf.nn.batch_normalization(tf.cast(x, tf.float32), mean, variance, beta, gamma, 1e-3)
        return tf.cast(y, x.dtype)

    for ours in (operations.normalize_with, operations.normalize_with_constants):
        compare(lambda x, ours=ours: ours(x, gamma, beta, mean, variance, 1e-3), exact, x, atol=atol)
