"""Image networks rebuilt for speed on a CPU: to train, and to run forward with the weights as constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kerasft.models.image.layers import (
    FastBatchNormalization,
    FastConvolution,
    FastDepthwiseConvolution,
    FastGlobalAveragePooling,
    FastLayer,
    FastMultiply,
    FastSwish,
)

DTYPES = ("float32", "bfloat16")

# Without weights, and as right in bfloat16 as in float32.
_PLAIN = (
    keras.layers.Add,
    keras.layers.AveragePooling2D,
    keras.layers.Concatenate,
    keras.layers.Dropout,
    keras.layers.MaxPooling2D,
    keras.layers.ReLU,
    keras.layers.Reshape,
    keras.layers.ZeroPadding2D,
)
_ACTIVATIONS = ("hard_sigmoid", "hard_silu", "linear", "relu", "relu6", "sigmoid")


def accelerate_image_model(model: keras.Model, dtype: str = "float32") -> keras.Model:
    """The same network, computed faster on a CPU, over the very variables of `model`.

    To train: fit the result, and save `model`, which has learned what the other one learned. Variables keep their
    paths, so checkpoints and parameter groups do not notice. Freezing a layer of `model` freezes it in both; do
    so before `compile`.

    Layers of `keras.applications`' convolutional nets are computed in `dtype`: convolutions, batch
    normalisation, swish, pooling, squeeze-and-excitation. Others (`Dense`, `Rescaling`, `Normalization`, a user's
    own) stay as they are, in their own number format, and outputs are float32. Batch normalisation's statistics and
    all variables are float32 in either case. Nets within the net are rebuilt too. In float32 the outputs are
    `model`'s up to rounding; bfloat16 has 8 bits of precision, as under `mixed_bfloat16`.

    Args:
        model: functional, built, its pictures' height and width known.
        dtype: `float32`, or `bfloat16` where the processor multiplies it faster.

    Returns:
        A functional model. It cannot be saved as a `.keras` file: save `model`.

    Raises:
        ValueError: `dtype` is another, or `model` is not functional.
    """
    return _rebuild(model, dtype, foldable=False)


def build_fast_forward(model: keras.Model, dtype: str = "float32") -> Callable[[Any], Any]:
    """`model` in inference as one function with today's weights as constants, the fastest that a CPU offers.

    Batch normalisation is folded into the convolutions before it.

    Args:
        model: as for `accelerate_image_model`; one input, one output.
        dtype: as there.

    Returns:
        float32 (batch, height, width, channels) → the model's output, a float32 tensor; any batch size. What
        `model` learns later does not reach it.

    Raises:
        ValueError: as `accelerate_image_model`, or there are several inputs or outputs.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(f"{model.name} has {len(model.inputs)} inputs and {len(model.outputs)} outputs")
    fast = _rebuild(model, dtype, foldable=True)
    function = tf.function(
        lambda x: tf.nest.flatten(fast(x, training=False))[0],
        input_signature=[tf.TensorSpec(model.inputs[0].shape, tf.float32)],
        autograph=False,
    )
    frozen = convert_variables_to_constants_v2(function.get_concrete_function())
    return lambda x: frozen(tf.convert_to_tensor(x, tf.float32))[0]


def _rebuild(model: keras.Model, dtype: str, foldable: bool) -> keras.Model:
    if dtype not in DTYPES:
        raise ValueError(f"`dtype` is one of {', '.join(DTYPES)}; got {dtype!r}")
    if not _is_functional(model):
        raise ValueError(f"{model.name} is not a functional model")

    def replace(layer: keras.layers.Layer) -> keras.layers.Layer:
        if _is_functional(layer):
            return _rebuild(layer, dtype, foldable)
        kind = _find_fast(layer)
        if kind is FastBatchNormalization:
            return FastBatchNormalization(layer, dtype, foldable)
        return layer if kind is None else kind(layer, dtype)

    fast = keras.models.clone_model(model, clone_function=replace)
    outputs = tf.nest.map_structure(_to_float32, fast.output)
    return keras.Model(fast.input, outputs, name=model.name)


def _is_functional(layer: Any) -> bool:
    return isinstance(layer, keras.Model) and hasattr(layer, "operations") and bool(layer.inputs)


def _to_float32(output: Any) -> Any:
    if output.dtype == "float32":
        return output
    return keras.layers.Identity(dtype="float32")(output)


def _find_fast(layer: keras.layers.Layer) -> type[FastLayer] | None:
    """What stands in for a layer; None: it stays. A subclass may do anything, and stays."""
    kind = type(layer)
    if kind is keras.layers.Activation:
        if layer.activation is keras.activations.silu:
            return FastSwish
        return FastLayer if getattr(layer.activation, "__name__", "") in _ACTIVATIONS else None
    if kind is keras.layers.BatchNormalization:
        takes = layer.axis in (-1, 3) and not layer.synchronized and layer.input.ndim == 4
        return FastBatchNormalization if takes else None
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return None
    if kind in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D):
        if layer.dilation_rate != (1, 1) or type(layer.activation).__name__ != "function":
            return None
        if kind is keras.layers.Conv2D:
            return FastConvolution if layer.groups == 1 else None
        return FastDepthwiseConvolution if layer.strides[0] == layer.strides[1] else None
    if kind is keras.layers.GlobalAveragePooling2D:
        return FastGlobalAveragePooling
    if kind is keras.layers.Multiply:
        return FastMultiply
    return FastLayer if kind in _PLAIN else None
