import keras
import numpy as np
import pytest
import tensorflow as tf
from tolerances import needs_bfloat16, rounding

from kerasft.models.image import operations
from kerasft.models.number_formats import adds_bfloat16_in_float32

pytestmark = pytest.mark.numerical

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


DTYPES = ["float32", pytest.param("bfloat16", marks=needs_bfloat16)]


def allow(dtype: str, *, terms: int = 1, layers: int = 2) -> float:
    """What a value and its gradient may be off by, relative to the largest: in bfloat16 each result is rounded once;
    where no kernel adds up in float32, so is each of the sum's `terms`."""
    if dtype == "float32":
        return rounding(dtype, terms=4096, layers=layers)
    return rounding(dtype, terms=1 if adds_bfloat16_in_float32() else terms, layers=layers)


def widened(function, dtype: str):
    """A function of what `dtype` holds, from float32 and back: to be compared with what float32 makes of the same."""
    return lambda *inputs: tf.cast(function(*(tf.cast(each, dtype) for each in inputs)), tf.float32)


def make_exact(*shape: int, mean: float = 0.0) -> tf.Tensor:
    """float32 numbers that bfloat16 holds."""
    return tf.cast(tf.cast(make(*shape) + mean, tf.bfloat16), tf.float32)


@pytest.mark.parametrize("dtype", DTYPES)
def test_swish_is_keras_in_value_and_gradient(dtype: str) -> None:
    compare(operations.swish, keras.activations.silu, 4 * make(2, 5, 3, 7, dtype=dtype), atol=allow(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_scaled_channels_are_a_product_with_its_gradients(dtype: str) -> None:
    x, gate = make(3, 6, 4, 8, dtype=dtype), make(3, 1, 1, 8, dtype=dtype)
    compare(operations.scale_channels, lambda x, gate: x * gate, x, gate, atol=allow(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_mean_over_pixels_is_added_up_in_float32(dtype: str) -> None:
    x = make(2, 40, 30, 16, dtype=dtype) + tf.cast(3.0, dtype)
    exact = tf.reduce_mean(tf.cast(x, tf.float32), (1, 2), keepdims=True)
    np.testing.assert_allclose(
        tf.cast(operations.mean_pixels(x), tf.float32),
        tf.cast(tf.cast(exact, dtype), tf.float32),
        rtol=allow(dtype, layers=1),
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_pointwise_convolution_is_a_convolution(dtype: str) -> None:
    x, kernel = make_exact(2, 5, 6, 16), make_exact(1, 1, 16, 24)
    ours = widened(operations.pointwise_convolution, dtype)
    compare(ours, lambda x, k: tf.nn.conv2d(x, k, 1, "VALID"), x, kernel, atol=allow(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 3, 4, 5, 7])
@pytest.mark.parametrize("multiplier", [1, 2])
def test_a_depthwise_convolution_has_tensorflows_gradients(
    size: int, stride: int, padding: str, multiplier: int, dtype: str
) -> None:
    x, kernel = make_exact(3, 14, 13, 16), make_exact(size, size, 16, multiplier)
    ours = widened(lambda x, kernel: operations.depthwise_convolution(x, kernel, stride, padding), dtype)
    strides = [1, stride, stride, 1]
    atol = allow(dtype, terms=size * size * multiplier)
    compare(ours, lambda x, k: tf.nn.depthwise_conv2d(x, k, strides, padding), x, kernel, atol=atol)


@needs_bfloat16
@pytest.mark.parametrize("name", ["depthwise", "bias", "scale", "pointwise"])
def test_gradients_over_many_pixels_are_added_up_in_float32(name: str) -> None:
    """Of 6,272 numbers around 1: a sum in bfloat16 stands still at 256."""
    x = make_exact(2, 56, 56, 16, mean=1.0)
    ours, theirs, weight = {
        "depthwise": (
            lambda x, k: operations.depthwise_convolution(x, k, 1, "SAME"),
            lambda x, k: tf.nn.depthwise_conv2d(x, k, [1, 1, 1, 1], "SAME"),
            make_exact(3, 3, 16, 1),
        ),
        "bias": (operations.add_bias, lambda x, bias: x + bias, make_exact(16)),
        "scale": (operations.scale_channels, lambda x, gate: x * gate, make_exact(2, 1, 1, 16)),
        "pointwise": (
            operations.pointwise_convolution,
            lambda x, k: tf.nn.conv2d(x, k, 1, "VALID"),
            make_exact(1, 1, 16, 8),
        ),
    }[name]
    gradients = []
    for function, dtype in ((ours, tf.bfloat16), (theirs, tf.float32)):
        given = tf.cast(x, dtype), tf.cast(weight, dtype)
        with tf.GradientTape() as tape:
            tape.watch(given[1])
            total = tf.reduce_sum(tf.cast(function(*given), tf.float32))
        gradients.append(tf.cast(tape.gradient(total, given[1]), tf.float32).numpy())
    np.testing.assert_allclose(*gradients, rtol=allow("bfloat16"))


def exact_normalization(x, gamma, beta):
    mean, variance = tf.nn.moments(x, (0, 1, 2))
    return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [8, 16])
def test_batch_normalization_has_the_gradients_of_its_equation(channels: int, dtype: str) -> None:
    x, gamma, beta = 3 * make(4, 5, 6, channels) + 2, make(channels), make(channels)

    def ours(x, gamma, beta):
        y, *_ = operations.normalize_batch(tf.cast(x, dtype), gamma, beta, 1e-3)
        assert y.dtype == dtype
        return tf.cast(y, tf.float32)

    compare(
        ours,
        exact_normalization,
        tf.cast(tf.cast(x, dtype), tf.float32),
        gamma,
        beta,
        atol=allow(dtype, layers=3),
    )


def test_the_batchs_variance_is_the_biased_one_that_keras_averages() -> None:
    x = 3 * make(2, 2, 1, 8) + 2
    _, mean, variance = operations.normalize_batch(x, tf.ones(8), tf.zeros(8), 1e-3)
    np.testing.assert_allclose(mean, np.mean(x, (0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(variance, np.var(x, (0, 1, 2)), rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gathered_statistics_normalize_as_the_equation_says(dtype: str) -> None:
    x, gamma, beta, mean = make(4, 5, 6, 8, dtype=dtype), make(8), make(8), make(8)
    variance = tf.square(make(8)) + 0.5

    def exact(x):
        y = tf.nn.batch_normalization(tf.cast(x, tf.float32), mean, variance, beta, gamma, 1e-3)
        return tf.cast(y, x.dtype)

    for ours in (operations.normalize_with, operations.normalize_with_constants):
        compare(
            lambda x, ours=ours: ours(x, gamma, beta, mean, variance, 1e-3),
            exact,
            x,
            atol=allow(dtype, layers=3),
        )
