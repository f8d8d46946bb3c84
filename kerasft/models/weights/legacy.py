"""Weights from Keras' legacy `.h5` form into a net that was built here, by layers' names, or by their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_UNNAMED = "unnamed_"
_OLD_NAMES = {"running_mean": "moving_mean", "running_std": "moving_variance", "W": "kernel", "b": "bias"}


@dataclass(frozen=True)
class StoredLayer:
    """One layer's weights in a file.

    Attributes:
        name: the layer's.
        weights: (the weight's own name, its dataset), in the file's order.
    """

    name: str
    weights: list[tuple[str, Any]]


def is_legacy(file: Any) -> bool:
    """Whether an open HDF5 file is in the legacy form."""
    return "layer_names" in _find_root(file).attrs or "layer_names0" in _find_root(file).attrs


def load_legacy_weights(backbone: Any, file: Any) -> None:
    """Fills the backbone; what stands after its last layer in the file is a head, and left out.

    Layers are paired by their names where the file has all of them, else by their order, as Keras does it. Nothing is
    assigned before all shapes agree.

    Args:
        backbone: of `build_image_backbone`.
        file: an open HDF5 file of the legacy form, without links.

    Raises:
        ValueError: a layer is missing or one too many, or a shape or type differs; the message names it.
    """
    stored = read_stored_layers(file)
    layers = list_layers_with_weights(backbone)
    pairs = _pair_layers(layers, stored)
    values = [(layer, _read_values(layer, each)) for layer, each in pairs]
    for layer, arrays in values:
        for variable, array in zip(_order_variables(layer), arrays, strict=True):
            variable.assign(array)
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()  # Normalization keeps what it computed of its variables


def list_layers_with_weights(model: Any) -> list[Any]:
    """The layers that hold weights themselves, those inside nested models included, from the bottom."""
    found = []
    for layer in model.layers:
        if hasattr(layer, "layers"):
            found += list_layers_with_weights(layer)
        elif layer.weights:
            found.append(layer)
    return found


def read_stored_layers(file: Any) -> list[StoredLayer]:
    """The layers of a legacy file that hold weights; those of nested models each by itself."""
    root = _find_root(file)
    found: dict[tuple[str, str], list[tuple[str, Any]]] = {}
    for group_name in _read_names(root, "layer_names"):
        group = root[group_name]
        for weight_name in _read_names(group, "weight_names"):
            parts = weight_name.split(":")[0].split("/")
            # a nested model's weights stand in its group, each named after its own layer
            layer = parts[-2] if len(parts) > 1 else group_name
            dataset = group[weight_name]
            if not hasattr(dataset, "shape"):
                raise ValueError(f"{weight_name} is not an array")
            found.setdefault((group_name, layer), []).append((parts[-1], dataset))
    return [StoredLayer(layer, weights) for (_, layer), weights in found.items()]


def _find_root(file: Any) -> Any:
    return file.get("model_weights", file)


def _read_names(group: Any, key: str) -> list[str]:
    """A list of names out of a group's attributes; long ones are stored in pieces, `key0`, `key1`, …"""
    pieces, number = [], 0
    if key in group.attrs:
        pieces.append(group.attrs[key])
    while f"{key}{number}" in group.attrs:
        pieces.append(group.attrs[f"{key}{number}"])
        number += 1
    names = [name for piece in pieces for name in piece]
    return [name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in names]


def _pair_layers(layers: list[Any], stored: list[StoredLayer]) -> list[tuple[Any, StoredLayer]]:
    names = [each.name for each in stored]
    named = [layer.name for layer in layers if not layer.name.startswith(_UNNAMED)]
    if set(named) <= set(names) and len(set(names)) == len(names):
        return _pair_by_name(layers, stored)
    if len(stored) < len(layers):
        raise ValueError(_explain_missing(layers, stored))
    pairs = list(zip(layers, stored, strict=False))
    for layer, each in pairs:
        if not _fits(layer, each):
            raise ValueError(_explain_misfit(layer, each, named, names))
    _check_is_head(stored[len(layers) :])
    return pairs


def _pair_by_name(layers: list[Any], stored: list[StoredLayer]) -> list[tuple[Any, StoredLayer]]:
    """By name; layers without a name of their own get what is left, in order."""
    by_name = {each.name: each for each in stored}
    named = {layer.name for layer in layers if not layer.name.startswith(_UNNAMED)}
    left = [each for each in stored if each.name not in named]
    last = max((index for index, each in enumerate(stored) if each.name in named), default=-1)
    pairs = []
    for layer in layers:
        if layer.name in named:
            pairs.append((layer, by_name[layer.name]))
            continue
        if not left:
            raise ValueError(f"it holds nothing for the net's layer {layer.name}")
        pairs.append((layer, left.pop(0)))
    for each in left:
        if stored.index(each) < last:
            raise ValueError(f"it holds the layer {each.name}, which the net does not have")
    _check_is_head(left)
    for layer, each in pairs:
        if not _fits(layer, each):
            raise ValueError(_explain_misfit(layer, each))
    return pairs


def _fits(layer: Any, stored: StoredLayer) -> bool:
    variables = _order_variables(layer)
    if len(variables) == len(stored.weights) == 1:
        return _agree(variables[0], stored.weights[0][1])
    shapes = [tuple(variable.shape) for variable in variables]
    return sorted(shapes) == sorted(tuple(dataset.shape) for _, dataset in stored.weights)


def _agree(variable: Any, dataset: Any) -> bool:
    """Whether the shapes are the same; ConvNeXt's layer scale is a 1×1 kernel here, and a list in files."""
    wanted, found = tuple(variable.shape), tuple(dataset.shape)
    return wanted == found or (len(found) == 1 and wanted == (1, 1, *found, 1))


def _check_is_head(stored: list[StoredLayer]) -> None:
    """What is left may be a classification head: matrices, 1×1 kernels and their biases."""
    for each in stored:
        for _, dataset in each.weights:
            shape = tuple(dataset.shape)
            if len(shape) > 2 and shape[:-2] != (1, 1):
                raise ValueError(
                    f"it holds the layer {each.name} of shape {list(shape)}, which the net does not have"
                )


def _explain_missing(layers: list[Any], stored: list[StoredLayer]) -> str:
    names = {each.name for each in stored}
    missing = [layer.name for layer in layers if layer.name not in names]
    first = f"; it has no {missing[0]}" if missing else ""
    return f"it holds {len(stored)} layers with weights, and the net has {len(layers)}{first}"


def _explain_misfit(
    layer: Any, stored: StoredLayer, named: list[str] | None = None, names: list[str] | None = None
) -> str:
    wanted = ", ".join(str(list(variable.shape)) for variable in _order_variables(layer))
    found = ", ".join(str(list(dataset.shape)) for _, dataset in stored.weights)
    missing = sorted(set(named or []) - set(names or []))
    hint = f" (and it has no layer {missing[0]})" if missing else ""
    return f"its {stored.name} has the shapes {found}, and the net's {layer.name} has {wanted}{hint}"


def _order_variables(layer: Any) -> list[Any]:
    """As legacy files order a layer's: what learns first, then statistics; whether it is frozen now is no matter."""
    return list(layer.weights)


def _read_values(layer: Any, stored: StoredLayer) -> list[np.ndarray]:
    """The arrays for the layer's variables, by the weights' names where they are the variables', else in order."""
    variables = _order_variables(layer)
    by_name = {_OLD_NAMES.get(name, name): dataset for name, dataset in stored.weights}
    names = [variable.name for variable in variables]
    datasets = (
        [by_name[name] for name in names] if set(names) == set(by_name) else [d for _, d in stored.weights]
    )
    arrays = []
    for variable, dataset in zip(variables, datasets, strict=True):
        if not _agree(variable, dataset) or dataset.dtype.kind not in "fiu":
            raise ValueError(
                f"its {stored.name} holds {dataset.dtype} {list(dataset.shape)}, and the net's {variable.path} is "
                f"{list(variable.shape)}"
            )
        array = np.asarray(dataset)
        if not np.isfinite(array).all():
            raise ValueError(f"its {stored.name} holds numbers that are not finite")
        arrays.append(array.reshape(variable.shape))
    return arrays
