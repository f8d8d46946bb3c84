"""Builds a backbone from a net's name: a keras.Model from pixels to feature maps, with preprocessing."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras

from kerasft.errors import ConfigError, PresetError
from kerasft.models.image.efficientnet_lite import build_efficientnet_lite
from kerasft.models.image.imagenet_files import fetch_imagenet_weights
from kerasft.models.image.weights import load_backbone_weights
from kerasft.models.image_nets import (
    CONVNEXT,
    EFFICIENTNET,
    FAMILIES,
    OUTPUT,
    STRIDES,
    Family,
    ImageArchitecture,
    Preprocessing,
    check_arguments,
    find_architecture,
    find_near_nets,
)

BACKBONE = "image_backbone"
"""The name of every backbone, and of the layer that it is in a larger model."""
Size = int | tuple[int, int] | None
"""The images' side, or their height and width, in pixels; None: any."""
_MEAN_RGB = (0.485, 0.456, 0.406)
_STDDEV_RGB = (0.229, 0.224, 0.225)
_MEAN_BGR = (103.939, 116.779, 123.68)


def build_image_backbone(
    name: str,
    *,
    size_px: Size = None,
    weights: str = "imagenet",
    arguments: Mapping[str, Any] | None = None,
    seed: int = 0,
    dtype: str | None = None,
) -> keras.Model:
    """A net of `keras.applications`, or an EfficientNet-Lite, without its head; it takes pixels as they are.

    Preprocessing is part of the model and made of plain Keras layers; so are all others, so that the model opens with
    Keras alone. Names of layers and variables are the same in every process.

    Args:
        name: one of `IMAGE_ARCHITECTURES`.
        size_px: the images' side, or height and width; None takes images of any size.
        weights: `imagenet`, `none` (random ones, by the seed), or a file or folder that `load_backbone_weights` reads.
        arguments: further arguments of the net's builder (`alpha`).
        seed: of random weights; it seeds Python's, NumPy's and TensorFlow's global generators.
        dtype: Keras' policy for the net's layers ("mixed_bfloat16"); None is the policy in force. Preprocessing
            stays in float32.

    Returns:
        Functional, named `image_backbone`: from float32 or uint8 (batch, height, width, 3), RGB from 0 to 255, to
        (batch, height / 32, width / 32, channels).

    Raises:
        ConfigError: the net, an argument or the size is unknown or unfit.
        PresetError: the weights cannot be had or do not fit.
    """
    architecture = get_architecture(name)
    checked = check_arguments(architecture, arguments or {})
    sides = list_sides(size_px)
    least = None if None in sides else min(side for side in sides if side)
    check_size(architecture, least)
    path = None
    if weights == "imagenet":
        path = fetch_imagenet_weights(architecture, checked, least)
    elif weights != "none":
        path = Path(weights)
    keras.utils.set_random_seed(seed)
    backbone = _build(architecture, checked, sides, dtype)
    if path is not None:
        load_backbone_weights(backbone, path)
    return backbone


def list_sides(size_px: Size) -> tuple[int | None, int | None]:
    """Height and width; None where they are open."""
    return size_px if isinstance(size_px, tuple) else (size_px, size_px)


def get_architecture(name: str) -> ImageArchitecture:
    """The net of that name.

    Raises:
        ConfigError: there is none.
    """
    architecture = find_architecture(name)
    if architecture is None:
        near = find_near_nets(name)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise ConfigError(
            f"there is not an image net {name!r}.",
            where="model.preset",
            fix=f"{hint}`kerasft presets list` shows them all.",
        )
    return architecture


def check_size(architecture: ImageArchitecture, size_px: int | None) -> None:
    """Refuses an image size that the net cannot take.

    Raises:
        ConfigError: it is too small, or left open where the net must know it.
    """
    family = architecture.family
    if size_px is None and family.fixed_size:
        raise ConfigError(
            f"{architecture.name} needs the size of its images.",
            where="model.image_size_px",
            fix=f"It was trained at {architecture.image_size_px}.",
        )
    if size_px is not None and size_px < family.min_size_px:
        raise ConfigError(
            f"{architecture.name} takes images of {family.min_size_px} pixels or more, not {size_px}.",
            where="model.image_size_px",
            fix=f"It was trained at {architecture.image_size_px}.",
        )


def _build(
    architecture: ImageArchitecture,
    arguments: dict[str, Any],
    sides: tuple[int | None, int | None],
    dtype: str | None,
) -> keras.Model:
    inputs = keras.Input((*sides, 3), dtype="float32", name="image")
    pixels = add_preprocessing(inputs, architecture.family.preprocessing)
    if architecture.family.of_keras:
        builder = getattr(keras.applications, architecture.builder)
        network = builder(include_top=False, weights=None, input_tensor=pixels, **arguments)
    else:
        network = build_efficientnet_lite(architecture.name, pixels)
    copy = _copy_with_names(network, architecture.family, dtype)
    backbone = keras.Model(copy.inputs[0], copy.outputs[0], name=BACKBONE)
    if architecture.family is EFFICIENTNET:
        _set_efficientnet_statistics(backbone)
    return backbone


def add_preprocessing(pixels: Any, mode: Preprocessing) -> Any:
    """What `keras.applications`' `preprocess_input` does, or what EfficientNet-Lite was trained with, as layers.

    Args:
        pixels: float32 (batch, height, width, 3), RGB from 0 to 255.
        mode: "tf" to [-1, 1]; "torch" to mean 0 and deviation 1 by ImageNet's statistics; "caffe" to BGR less
            ImageNet's mean; "lite" to (x - 127) / 128; "inside" leaves it to the net.
    """
    if mode == "inside":
        return pixels
    if mode == "tf":
        return _rescale(1 / 127.5, -1.0)(pixels)
    if mode == "lite":
        return _rescale(1 / 128, -127 / 128)(pixels)
    if mode == "torch":
        scale = [1 / (255 * stddev) for stddev in _STDDEV_RGB]
        offset = [-mean / stddev for mean, stddev in zip(_MEAN_RGB, _STDDEV_RGB, strict=True)]
        return _rescale(scale, offset)(pixels)
    flipped = keras.ops.flip(pixels, axis=-1)
    return _rescale(1.0, [-mean for mean in _MEAN_BGR])(flipped)


def _rescale(scale: Any, offset: Any) -> keras.layers.Layer:
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="preprocessing")


def _copy_with_names(network: keras.Model, family: Family, dtype: str | None) -> keras.Model:
    """The same net of new layers, each with a name that does not depend on what else the process built.

    Two families are mended on the way. EfficientNet's builder adds a second rescaling only for the word "imagenet",
    though a net with ImageNet's weights out of a file needs it as well. ConvNeXt's variables of layer scale have
    counted names, and its feature maps are no layer's output.
    """
    counts: Counter[str] = Counter()

    def copy(operation: Any) -> Any:
        config = operation.get_config()
        kind = type(operation).__name__
        if _has_counted_name(operation.name, kind):
            base = re.sub(r"_\d+$", "", operation.name)
            counts[base] += 1
            config["name"] = f"unnamed_{base}_{counts[base]}"
        if isinstance(operation, keras.layers.Layer) and dtype and operation.name != "preprocessing":
            config["dtype"] = dtype
        if kind == "LayerScale":
            return _build_layer_scale(config)
        return type(operation).from_config(config)

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        stage = re.search(r"downsampling_block_(\d)$", layer.name) if family is CONVNEXT else None
        if stage:
            args = (keras.layers.Identity(name=f"stage_{stage[1]}_output")(args[0]), *args[1:])
        outputs = layer(*args, **kwargs)
        if family is EFFICIENTNET and isinstance(layer, keras.layers.Normalization):
            scale = [1 / math.sqrt(stddev) for stddev in _STDDEV_RGB]
            outputs = keras.layers.Rescaling(scale, dtype=dtype, name="second_rescaling")(outputs)
        return outputs

    return keras.models.clone_model(network, clone_function=copy, call_function=call, recursive=True)


def _has_counted_name(name: str, kind: str) -> bool:
    """Whether Keras made up the name of a layer of that class."""
    return re.sub(r"_\d+$", "", name).replace("_", "") == kind.lower()


def _build_layer_scale(config: dict[str, Any]) -> keras.layers.Layer:
    """A number a channel; as a 1×1 kernel it takes a tenth of the time that EinsumDense does."""
    return keras.layers.DepthwiseConv2D(
        1,
        use_bias=False,
        depthwise_initializer=keras.initializers.Constant(config["init_values"]),
        name=config["name"],
        dtype=config["dtype"],
    )


def _set_efficientnet_statistics(backbone: keras.Model) -> None:
    """ImageNet's statistics in the form that the second rescaling expects: deviations where variances stand."""
    layer = next(each for each in backbone.layers if isinstance(each, keras.layers.Normalization))
    _, _, count = layer.get_weights()
    shape = layer.weights[0].shape
    mean, variance = (keras.ops.reshape(numbers, shape) for numbers in (_MEAN_RGB, _STDDEV_RGB))
    layer.set_weights([keras.ops.convert_to_numpy(mean), keras.ops.convert_to_numpy(variance), count])
    layer.finalize_state()


def find_family(backbone: keras.Model) -> Family | None:
    """The design of a backbone that was built here, or opened from a file; None where it is none of the table's."""
    names = [layer.name for layer in backbone.layers]
    for family in FAMILIES:
        marked = any(re.fullmatch(family.mark, name) for name in names)
        if marked and all(_find_last(names, pattern) for pattern in family.feature_maps.values()):
            return family
    return None


def find_feature_map_layers(backbone: keras.Model) -> dict[str, str]:
    """The layers whose outputs are the feature maps: `stride_4`, `stride_8`, `stride_16`, `stride_32` → name.

    Each is the last of its resolution. A map at stride s has ceil(size / s) rows where the size is a multiple of 32;
    Xception's first convolutions have no padding, and its map at stride 4 lacks a row.

    Args:
        backbone: of `build_image_backbone`.

    Raises:
        PresetError: it is none of the nets that are known.
    """
    family = find_family(backbone)
    if family is None:
        raise PresetError("is not a net with known feature maps.", where=backbone.name)
    names = [layer.name for layer in backbone.layers]
    return {
        f"stride_{stride}": str(_find_last(names, pattern)) for stride, pattern in family.feature_maps.items()
    }


def _find_last(names: list[str], pattern: str) -> str | None:
    if pattern == OUTPUT:
        return names[-1]
    return next((name for name in reversed(names) if re.fullmatch(pattern, name)), None)


def build_feature_extractor(backbone: keras.Model, strides: Iterable[int] = STRIDES) -> keras.Model:
    """The backbone with feature maps of several resolutions as its outputs; it shares the backbone's variables.

    Args:
        backbone: of `build_image_backbone`.
        strides: of the maps wanted: 4, 8, 16, 32.

    Returns:
        Functional, from images as the backbone takes them to `{"stride_8": (batch, rows, columns, channels), …}`.

    Raises:
        ValueError: another stride.
        PresetError: as `find_feature_map_layers`.
    """
    names = find_feature_map_layers(backbone)
    keys = [f"stride_{stride}" for stride in strides]
    for key in keys:
        if key not in names:
            raise ValueError(f"strides are of {STRIDES}, not {key.removeprefix('stride_')}")
    return keras.Model(
        backbone.inputs[0], {key: backbone.get_layer(names[key]).output for key in keys}, name=BACKBONE
    )
