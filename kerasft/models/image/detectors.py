"""A detector on an image backbone: for each cell of one feature map the classes whose objects have their middle there.

A cell says for each class how likely an object's middle lies in it, how far the object's four sides are from its own
middle, and how well the box that these make fits. Objects are the peaks of the first: there are no anchors and nothing
to suppress.

Source: Zhou et al. 2019, arXiv:1904.07850 (the heat map); Liu et al. 2020, arXiv:1909.00700 (the four sides); Wu et al.
2020, arXiv:1912.05992 (how well the box fits).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import keras
import numpy as np

from kerasft.models.image.backbones import build_feature_extractor
from kerasft.models.image.heads import get_backbone
from kerasft.models.image.pyramids import MOMENTUM, LayerMaker, fuse_maps
from kerasft.models.image_nets import STRIDES

ANSWERS, THRESHOLD = "answers", "threshold"
"""The last layer, and the one that holds the score from which on an answer counts."""
DEFAULT_THRESHOLD = 0.3
"""Of a detector whose threshold nothing has settled yet."""
_SIDES = 4
_PRIOR = -math.log(99)
"""At first a middle lies in a cell with a probability of 0.01 (Lin et al. 2017, arXiv:1708.02002)."""
_CELLS_PER_UNIT = 8
"""A side is at least an eighth of a cell."""
_LARGEST_LOG = 8.0
_FIRST_LOG = math.log(32)
_PER_BRANCH = 2


class DetectorOutput(NamedTuple):
    """What a detector says of pictures, by cells; tensors."""

    logits: Any
    """float32 (batch, rows, columns, classes): whose sigmoid says how likely an object's middle lies in the cell."""
    sides: Any
    """float32 (batch, rows, columns, 4): how far left, top, right and bottom of the box are from the cell's middle, in
    pixels of the input, more than 0."""
    quality: Any
    """float32 (batch, rows, columns): the logit of the overlap (IoU) of that box with the object's; None where the
    detector does not say it."""
    threshold: Any
    """float32 (batch,): the score from which on an answer counts."""


def build_detector(
    backbone: keras.Model,
    num_classes: int,
    *,
    stride: int = 8,
    channels: int = 96,
    quality: bool = True,
    momentum: float = MOMENTUM,
    seed: int = 0,
    dtype: str | None = None,
) -> keras.Model:
    """The backbone, a neck to one map, and a float32 head.

    The backbone is one layer of the model, and has its maps as outputs.

    Args:
        backbone: of `load_image_backbone`, its height and width known; it becomes part of the model.
        num_classes: classes of objects.
        stride: pixels of the input a cell, along a side: 4, 8 or 16.
        channels: of neck and head.
        quality: whether the model says how well its boxes fit.
        momentum: of batch normalisation in neck and head.
        seed: of their weights.
        dtype: Keras' policy of their layers, but the last; None is the policy in force.

    Returns:
        Functional, from `{"image": float32 (batch, height, width, 3)}`, RGB from 0 to 255, to float32 (batch, rows,
        columns, classes + 5 or 6), which `split_output` takes apart.

    Raises:
        PresetError: the backbone is none of the nets that are known.
    """
    extractor = build_feature_extractor(backbone, [each for each in STRIDES if each >= stride])
    image = backbone.inputs[0]
    inputs = keras.Input(image.shape[1:], dtype=image.dtype, name="image")
    make = LayerMaker(seed, momentum=momentum, dtype=dtype)
    fused = fuse_maps(extractor(inputs), make, stride=stride, channels=channels)

    def add_branch(name: str) -> Any:
        x = fused
        for number in range(_PER_BRANCH):
            x = make.convolve_separably(x, f"{name}_{number}", channels)
        return x

    classes = _answer(add_branch("classes"), "heat", num_classes, _PRIOR, make)
    place = add_branch("place")
    # between the logarithms of the smallest and the largest distance, so that no step of training overflows
    logs = keras.layers.ReLU(_LARGEST_LOG, name="side_logs", dtype="float32")(
        _answer(place, "sides", _SIDES, _FIRST_LOG, make)
    )
    units = keras.layers.Activation("exponential", name="side_units", dtype="float32")(logs)
    parts = [
        classes,
        keras.layers.Rescaling(stride / _CELLS_PER_UNIT, name="side_px", dtype="float32")(units),
        *([_answer(place, "quality", 1, 0.0, make)] if quality else []),
        _hold_threshold(fused),
    ]
    answers = keras.layers.Concatenate(name=ANSWERS, dtype="float32")(parts)
    return keras.Model({"image": inputs}, answers, name="object_detector")


def _answer(x: Any, name: str, channels: int, bias: float, make: LayerMaker) -> Any:
    return keras.layers.Conv2D(
        channels,
        1,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01, seed=make.draw_seed()),
        bias_initializer=keras.initializers.Constant(bias),
        name=name,
        dtype="float32",
    )(x)


def _hold_threshold(x: Any) -> Any:
    """The threshold as a map: so it is one of the model's weights, in every file of it."""
    return keras.layers.Conv2D(
        1,
        1,
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(DEFAULT_THRESHOLD),
        trainable=False,
        name=THRESHOLD,
        dtype="float32",
    )(x)


def get_net(detector: keras.Model) -> keras.Model:
    """The backbone inside a detector, of the same layers, with its last map as its one output."""
    extractor = get_backbone(detector)
    return keras.Model(extractor.inputs[0], extractor.output[f"stride_{STRIDES[-1]}"], name=extractor.name)


def set_threshold(detector: keras.Model, score: float) -> None:
    """Settles the score from which on an answer counts, from 0 to 1."""
    layer = detector.get_layer(THRESHOLD)
    layer.set_weights([np.zeros(layer.kernel.shape, np.float32), np.array([score], np.float32)])


def split_output(output: Any, num_classes: int) -> DetectorOutput:
    """A detector's output, taken apart.

    Args:
        output: float32 (batch, rows, columns, classes + 5 or 6).
        num_classes: classes of objects.
    """
    sides_end = num_classes + _SIDES
    has_quality = output.shape[-1] == sides_end + 2
    return DetectorOutput(
        output[..., :num_classes],
        output[..., num_classes:sides_end],
        output[..., sides_end] if has_quality else None,
        output[:, 0, 0, -1],
    )
