"""EfficientNet-Lite of plain Keras layers, with the layers' names of keras.applications' EfficientNet.

An EfficientNet without squeeze-and-excitation, with ReLU6 in place of swish, and a first and a last stage that do not
grow with the net. Padding is TensorFlow's `same`, as in the authors' code.

Source: Tan and Le 2019, arXiv:1905.11946; the sizes are those of `efficientnet_lite_builder.py` in TensorFlow's
repository `tpu`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import keras

from kerasft.models.image_nets import LITE_SCALES

_STEM, _TOP = 32, 1280
"""Channels of the first and the last convolution, whatever the net's width."""
_DIVISOR = 8
_STOCHASTIC_DEPTH = 0.2
_INITIALIZER = {"scale": 2.0, "mode": "fan_out", "distribution": "truncated_normal"}
_PLAIN = {"padding": "same", "use_bias": False}


class _Stage(NamedTuple):
    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


def build_efficientnet_lite(name: str, pixels: Any) -> keras.Model:
    """The net without its head, with random weights.

    Args:
        name: `efficientnet_lite0` to `efficientnet_lite4`.
        pixels: its input, float32 (batch, height, width, 3), about from -1 to 1.

    Returns:
        Functional, to float32 (batch, height / 32, width / 32, 1280).
    """
    width, depth = LITE_SCALES[name]
    x = _convolve(pixels, "stem", _STEM, 3, stride=2)
    repeats = [
        stage.blocks if stage in (_STAGES[0], _STAGES[-1]) else math.ceil(depth * stage.blocks)
        for stage in _STAGES
    ]
    index, total = 0, sum(repeats)
    for number, (stage, blocks) in enumerate(zip(_STAGES, repeats, strict=True), start=1):
        for block in range(blocks):
            x = _add_block(
                x,
                f"block{number}{chr(ord('a') + block)}_",
                stage._replace(channels=_round(stage.channels * width), stride=1 if block else stage.stride),
                drop_rate=_STOCHASTIC_DEPTH * index / total,
            )
            index += 1
    x = _convolve(x, "top", _TOP, 1)
    return keras.Model(keras.utils.get_source_inputs(pixels), x)


def _add_block(inputs: Any, name: str, stage: _Stage, drop_rate: float) -> Any:
    """A mobile inverted bottleneck: expand, convolve each channel, project; and add what came in."""
    x, channels = inputs, inputs.shape[-1] * stage.expansion
    if stage.expansion != 1:
        x = _convolve(x, f"{name}expand", channels, 1)
    x = keras.layers.DepthwiseConv2D(
        stage.kernel,
        stage.stride,
        depthwise_initializer=keras.initializers.VarianceScaling(**_INITIALIZER),
        name=f"{name}dwconv",
        **_PLAIN,
    )(x)
    x = keras.layers.BatchNormalization(name=f"{name}bn")(x)
    x = keras.layers.Activation("relu6", name=f"{name}activation")(x)
    x = _convolve(x, f"{name}project", stage.channels, 1, activation=False)
    if stage.stride != 1 or inputs.shape[-1] != stage.channels:
        return x
    if drop_rate:
        x = keras.layers.Dropout(drop_rate, noise_shape=(None, 1, 1, 1), name=f"{name}drop")(x)
    return keras.layers.Add(name=f"{name}add")([x, inputs])


def _convolve(
    x: Any, name: str, channels: int, kernel: int, *, stride: int = 1, activation: bool = True
) -> Any:
    x = keras.layers.Conv2D(
        channels,
        kernel,
        stride,
        kernel_initializer=keras.initializers.VarianceScaling(**_INITIALIZER),
        name=f"{name}_conv",
        **_PLAIN,
    )(x)
    x = keras.layers.BatchNormalization(name=f"{name}_bn")(x)
    return keras.layers.Activation("relu6", name=f"{name}_activation")(x) if activation else x


def _round(channels: float) -> int:
    """To a multiple of 8, and not by more than a tenth down."""
    rounded = max(_DIVISOR, int(channels + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return rounded + _DIVISOR if rounded < 0.9 * channels else rounded
