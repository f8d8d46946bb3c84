"""A decoder's weights by key, whatever a form calls them: `embeddings/token`, `3/query_key_value/kernel`, `head/table`.

A form stores one weight in one or several parts, which stand side by side in ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from kerasft.models.text.decoders.build import EMBEDDINGS, FINAL_NORM, LOSS_HEAD
from kerasft.models.text.decoders.layers import find_decoder_layers


class Stored(NamedTuple):
    """A part of a weight as a file stores it."""

    name: str
    shape: tuple[int, ...]
    """As it is stored."""
    transposed: bool = False
    """Whether (outputs, inputs) is stored."""
    interleaved: int = 0
    """In so many heads the two rows that RoPE turns together are neighbours, and not half a head apart; 0: in none."""


class Part(NamedTuple):
    """A part of a weight as a Keras model has it: it is reshaped to two axes at most, and transposed then."""

    variable: Any
    transposed: bool = False


def list_variables(model: Any) -> dict[str, Any]:
    """Each weight's key → its variable, adapters aside, of a model of `build_causal_lm`."""
    found = {f"embeddings/{part}": table for part, table in model.get_layer(EMBEDDINGS).tables.items()}
    for index, layer in enumerate(find_decoder_layers(model)):
        for name, (kernel, bias) in layer._dense.items():
            found |= {f"{index}/{name}/kernel": kernel, f"{index}/{name}/bias": bias}
        for name, (gamma, beta) in layer._norms.items():
            found |= {f"{index}/{name}/gamma": gamma, f"{index}/{name}/beta": beta}
    gamma, beta = model.get_layer(FINAL_NORM)._norms["layer_norm"]
    found |= {"final_norm/gamma": gamma, "final_norm/beta": beta}
    head = model.get_layer(LOSS_HEAD)
    if not head.sizes.tied:
        found["head/table"] = head.table
    return {key: variable for key, variable in found.items() if variable is not None}


def compute_values(model: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Each weight's key and value, float32, one after another; products beside kernels are added."""
    products = {
        f"{index}/{dense}/kernel": product
        for index, layer in enumerate(find_decoder_layers(model))
        for dense, product in layer.low_rank.items()
    }
    for key, variable in list_variables(model).items():
        value = variable.numpy()
        yield key, products[key].merge(value) if key in products else value


def fill_from_tensors(
    model: Any, stored: Mapping[str, Sequence[Stored]], tensors: Iterable[tuple[str, np.ndarray]]
) -> None:
    """Gives a model the weights of a file, whose names and shapes were looked at before.

    Args:
        model: of `build_causal_lm`.
        stored: each weight's key → its parts.
        tensors: each part's name and value, in any order.
    """
    variables = list_variables(model)
    keys = {part.name: key for key, parts in stored.items() for part in parts}
    arrived: dict[str, dict[str, np.ndarray]] = {}
    for name, value in tensors:
        key = keys[name]
        waiting = arrived.setdefault(key, {})
        waiting[name] = value
        if len(waiting) == len(stored[key]):
            parts = [_read_part(part, waiting[part.name]) for part in stored[key]]
            variables[key].assign(np.concatenate(parts, -1))
            del arrived[key]


def _read_part(part: Stored, value: np.ndarray) -> np.ndarray:
    if part.interleaved:
        rows = value.reshape(part.interleaved, -1, 2, *value.shape[1:])
        value = np.swapaxes(rows, 1, 2).reshape(value.shape)
    return value.T if part.transposed else value


def fill_from_parts(model: Any, parts: Mapping[str, Sequence[Part]]) -> None:
    """Gives a model the weights of another Keras model, exactly.

    Args:
        model: of `build_causal_lm`.
        parts: each weight's key → the other's variables.
    """
    for key, variable in list_variables(model).items():
        values = []
        for part in parts[key]:
            value = part.variable.numpy()
            if part.transposed:
                value = value.T
            values.append(value.reshape(variable.shape[0], -1) if len(variable.shape) == 2 else value.ravel())
        variable.assign(np.concatenate(values, -1))


def hand_to_parts(model: Any, parts: Mapping[str, Sequence[Part]]) -> None:
    """Gives another Keras model the weights of a model of `build_causal_lm`; products beside kernels are added."""
    for key, value in compute_values(model):
        shapes = [tuple(part.variable.shape) for part in parts[key]]
        sizes = [int(np.prod(shape)) // (value.shape[0] if value.ndim == 2 else 1) for shape in shapes]
        columns = np.split(value, np.cumsum(sizes)[:-1], -1)
        for part, shape, column in zip(parts[key], shapes, columns, strict=True):
            part.variable.assign(column.T if part.transposed else column.reshape(shape))
