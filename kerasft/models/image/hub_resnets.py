"""keras-hub's ResNets from a local preset folder: numbers out of its JSON files, and a net of plain Keras layers.

keras-hub's other image backbones are made of layers of its own, so that what is trained from them would not open with
Keras alone; they are refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasft.errors import PresetError
from kerasft.models.hubs.folders import read_json

_CLASS = "keras_hub>ResNetBackbone"
_LIMITS = {
    "input_conv_filters": 8192,
    "input_conv_kernel_sizes": 15,
    "stackwise_num_filters": 8192,
    "stackwise_num_blocks": 200,
    "stackwise_num_strides": 4,
}
_MAX_LIST = 8
_BLOCK_TYPES = ("basic_block", "bottleneck_block", "basic_block_vd", "bottleneck_block_vd")
_KNOWN = {
    *_LIMITS,
    "block_type",
    "use_pre_activation",
    "image_shape",
    "data_format",
    "name",
    "trainable",
    "dtype",
}
_FETCH = "The preset is damaged, or was written for another model: fetch it again."


@dataclass(frozen=True, kw_only=True)
class HubResNet:
    """A ResNet's sizes by keras-hub's names, and its pixels' scale and offset by channel."""

    input_conv_filters: tuple[int, ...]
    input_conv_kernel_sizes: tuple[int, ...]
    stackwise_num_filters: tuple[int, ...]
    stackwise_num_blocks: tuple[int, ...]
    stackwise_num_strides: tuple[int, ...]
    block_type: str
    use_pre_activation: bool
    scale: tuple[float, ...]
    offset: tuple[float, ...]
    image_size_px: int

    def list_arguments(self) -> dict[str, Any]:
        """Those of keras-hub's `ResNetBackbone`."""
        lists = {name: list(getattr(self, name)) for name in _LIMITS}
        return {**lists, "block_type": self.block_type, "use_pre_activation": self.use_pre_activation}

    def count_least_parameters(self) -> int:
        """Fewer than such a net has: the 3×3 kernels alone."""
        stacks = zip(self.stackwise_num_filters, self.stackwise_num_blocks, strict=True)
        return sum(9 * filters * filters * blocks for filters, blocks in stacks)

    def describe(self) -> dict[str, Any]:
        """The preset's JSON files, by name, as keras-hub writes them."""
        family = "keras_hub.src.models.resnet.resnet"
        size = [self.image_size_px, self.image_size_px]
        converter = {
            "module": f"{family}_image_converter",
            "class_name": "ResNetImageConverter",
            "config": {"image_size": size, "scale": list(self.scale), "offset": list(self.offset)},
            "registered_name": "keras_hub>ResNetImageConverter",
        }
        backbone = {
            "module": f"{family}_backbone",
            "class_name": "ResNetBackbone",
            "config": {**self.list_arguments(), "image_shape": [None, None, 3]},
            "registered_name": _CLASS,
        }
        return {"config.json": backbone, "image_converter.json": converter}


def read_hub_resnet(folder: Path, config: dict[str, Any]) -> HubResNet:
    """The sizes that a preset's files name.

    Args:
        folder: holds config.json, image_converter.json (or preprocessor.json) and model.weights.h5.
        config: the content of config.json.

    Raises:
        PresetError: it is of another architecture, or names a size that no ResNet has or its weights do not fill.
    """
    path = folder / "config.json"
    given = config.get("config")
    if config.get("registered_name") != _CLASS or not isinstance(given, dict):
        name = str(config.get("class_name") or config.get("model_type"))[:60]
        raise PresetError(
            f"is a {name}; of keras-hub's image backbones ResNets are built here.",
            where=str(folder),
            fix="`kerasft presets list` shows the nets of keras.applications, which can be named.",
        )
    unknown = sorted(set(given) - _KNOWN)
    if unknown:
        raise _refuse(f"contains keys that ResNetBackbone does not know: {', '.join(unknown)[:200]}", path)
    if given.get("data_format") not in (None, "channels_last"):
        raise _refuse("names another data_format than channels_last", path)
    if (
        given.get("block_type") not in _BLOCK_TYPES
        or type(given.get("use_pre_activation", False)) is not bool
    ):
        raise _refuse("names a block_type or use_pre_activation that is not known", path)
    sizes = {name: _read_list(given.get(name), name, limit, path) for name, limit in _LIMITS.items()}
    stacks = {len(sizes[name]) for name in _LIMITS if name.startswith("stackwise")}
    if len(stacks) != 1 or len(sizes["input_conv_filters"]) != len(sizes["input_conv_kernel_sizes"]):
        raise _refuse("names lists of different lengths", path)
    scale, offset, size = _read_converter(folder)
    resnet = HubResNet(
        **sizes,
        block_type=given["block_type"],
        use_pre_activation=given.get("use_pre_activation", False),
        scale=scale,
        offset=offset,
        image_size_px=size,
    )
    _check_weights_file(folder / "model.weights.h5", resnet)
    return resnet


def _check_weights_file(path: Path, resnet: HubResNet) -> None:
    if not path.is_file():
        raise PresetError("there is no such file.", where=str(path), fix=_FETCH)
    # at a byte a weight: before memory is taken for what no file could fill
    if resnet.count_least_parameters() > path.stat().st_size:
        raise _refuse(
            f"asks for more than {resnet.count_least_parameters():,} weights, and {path.name} has "
            f"{path.stat().st_size:,} bytes",
            path.parent / "config.json",
        )


def _read_list(value: Any, name: str, limit: int, path: Path) -> tuple[int, ...]:
    right = isinstance(value, list) and 1 <= len(value) <= _MAX_LIST
    if not right or any(type(each) is not int or not 1 <= each <= limit for each in value):
        raise _refuse(f"{name} is not a list of 1 to {_MAX_LIST} whole numbers from 1 to {limit:,}", path)
    return tuple(value)


def _read_converter(folder: Path) -> tuple[tuple[float, ...], tuple[float, ...], int]:
    """Scale and offset by channel, and the images' side."""
    path = folder / "image_converter.json"
    if path.is_file():
        section = read_json(path).get("config")
    else:
        path = folder / "preprocessor.json"
        if not path.is_file():
            raise PresetError("lacks image_converter.json.", where=str(folder), fix=_FETCH)
        section = read_json(path).get("config")
        for key in ("image_converter", "config"):
            section = section.get(key) if isinstance(section, dict) else None
    if not isinstance(section, dict):
        raise _refuse("describes no image converter", path)
    size = section.get("image_size")
    if (
        not isinstance(size, list)
        or len(size) != 2
        or type(size[0]) is not int
        or size[0] != size[1]
        or not 32 <= size[0] <= 4096
    ):
        raise _refuse("names no square image_size from 32 to 4,096", path)
    scale = _read_channels(section.get("scale"), 1.0, "scale", path)
    return scale, _read_channels(section.get("offset"), 0.0, "offset", path), size[0]


def _read_channels(value: Any, default: float, name: str, path: Path) -> tuple[float, ...]:
    values = [default if value is None else value] * 3 if not isinstance(value, list) else value
    right = len(values) == 3 and all(type(each) in (int, float) and math.isfinite(each) for each in values)
    if not right:
        raise _refuse(f"{name} is neither a number nor three", path)
    return tuple(float(each) for each in values)


def _refuse(what: str, path: Path) -> PresetError:
    return PresetError(f"{what}.", where=str(path), fix=_FETCH)


def build_hub_resnet(
    resnet: HubResNet,
    *,
    size_px: int | tuple[int, int] | None = None,
    seed: int = 0,
    dtype: str | None = None,
) -> Any:
    """keras-hub's ResNet with random weights, its preprocessing as its first layer, of plain Keras layers alone.

    Args:
        resnet: its sizes.
        size_px, seed, dtype: as `build_image_backbone`.

    Returns:
        A model as of `build_image_backbone`.
    """
    import keras
    import keras_hub

    from kerasft.models.image.backbones import BACKBONE, list_sides

    keras.utils.set_random_seed(seed)
    hub = keras_hub.models.ResNetBackbone(
        **resnet.list_arguments(), image_shape=(None, None, 3), data_format="channels_last", dtype=dtype
    )
    pixels = keras.Input((*list_sides(size_px), 3), dtype="float32", name="image")

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if layer.name == "conv1_pad":
            rescale = keras.layers.Rescaling(
                list(resnet.scale), list(resnet.offset), dtype="float32", name="preprocessing"
            )
            args = (rescale(args[0]), *args[1:])
        return layer(*args, **kwargs)

    plain = keras.models.clone_model(hub, input_tensors=pixels, call_function=call)
    return keras.Model(pixels, plain.outputs[0], name=BACKBONE)
