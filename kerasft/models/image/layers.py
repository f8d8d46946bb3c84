"""Keras' layers for images, each computed in a faster way with the layer's own variables."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kerasft.models.image import operations


class FastLayer(keras.layers.Layer):
    """Does a built Keras layer's work with that layer's own variables, in a number format of choice.

    Nothing is copied: what this one learns the other has learned, and what is frozen there is frozen here. On its
    own it runs the layer's `call` as it is, which does for layers without weights.

    Args:
        source: the layer.
        dtype: `float32` or `bfloat16`: what comes in is cast to it, and what goes out is of it.
    """

    def __init__(self, source: keras.layers.Layer, dtype: str):
        super().__init__(name=source.name, dtype=dtype)
        self.source = source
        self.built = True

    def convert(self, variable: Any) -> tf.Tensor:
        """A variable in the layer's number format."""
        return tf.cast(tf.convert_to_tensor(variable), self.compute_dtype)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if isinstance(self.source, keras.layers.Dropout):
            return self.source.call(inputs, training=training)
        return self.source.call(inputs)

    def compute_output_spec(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        spec = self.source.compute_output_spec(inputs)
        return keras.KerasTensor(spec.shape, dtype=self.compute_dtype)


class FastSwish(FastLayer):
    """For `Activation("swish")`."""

    def call(self, x: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        return operations.swish(x)


class FastConvolution(FastLayer):
    """For `Conv2D`."""

    def call(self, x: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        layer = self.source
        kernel = self.convert(layer.kernel)
        if training and kernel.shape[:2] == (1, 1) and layer.strides == (1, 1):
            y = operations.pointwise_convolution(x, kernel)
        else:
            y = operations.convolution(x, kernel, layer.strides, layer.padding.upper())
        if layer.use_bias:
            add = operations.add_bias if training else tf.nn.bias_add
            y = add(y, self.convert(layer.bias))
        return layer.activation(y)


class FastDepthwiseConvolution(FastLayer):
    """For `DepthwiseConv2D`."""

    def call(self, x: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        layer = self.source
        kernel = self.convert(layer.kernel)
        y = operations.depthwise_convolution(x, kernel, layer.strides[0], layer.padding.upper())
        if layer.use_bias:
            add = operations.add_bias if training else tf.nn.bias_add
            y = add(y, self.convert(layer.bias))
        return layer.activation(y)


class FastBatchNormalization(FastLayer):
    """For `BatchNormalization` over the last axis.

    Args:
        source, dtype: see `FastLayer`.
        foldable: for inference only: a product and a sum, which TensorFlow folds into the convolution before it once
            weights are constants; else one operation, the faster one where they are not.
    """

    def __init__(self, source: keras.layers.Layer, dtype: str, foldable: bool = False):
        super().__init__(source, dtype)
        self.foldable = foldable

    def call(self, x: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        layer = self.source
        mean, variance = layer.moving_mean.value, layer.moving_variance.value
        gamma = layer.gamma.value if layer.scale else tf.ones_like(mean)
        beta = layer.beta.value if layer.center else tf.zeros_like(mean)
        if self.foldable:
            scale = gamma * tf.math.rsqrt(variance + layer.epsilon)
            return tf.nn.bias_add(x * self.convert(scale), self.convert(beta - mean * scale))
        if not layer.trainable:
            return operations.normalize_with_constants(x, gamma, beta, mean, variance, layer.epsilon)
        if not training:
            return operations.normalize_with(x, gamma, beta, mean, variance, layer.epsilon)
        y, batch_mean, batch_variance = operations.normalize_batch(x, gamma, beta, layer.epsilon)
        for moving, new in ((layer.moving_mean, batch_mean), (layer.moving_variance, batch_variance)):
            moving.assign(moving * layer.momentum + tf.stop_gradient(new) * (1.0 - layer.momentum))
        return y


class FastMultiply(FastLayer):
    """For `Multiply` of a picture and a gate for each of its channels."""

    def call(self, inputs: list[tf.Tensor], training: bool | None = None, mask: Any = None) -> tf.Tensor:
        if len(inputs) == 2 and inputs[0].shape.rank == 4 and inputs[1].shape[1:3] == (1, 1):
            return operations.scale_channels(*inputs)
        return self.source.call(inputs)


class FastGlobalAveragePooling(FastLayer):
    """For `GlobalAveragePooling2D`."""

    def call(self, x: tf.Tensor, training: bool | None = None, mask: Any = None) -> tf.Tensor:
        mean = operations.mean_pixels(x)
        return mean if self.source.keepdims else tf.squeeze(mean, (1, 2))
