"""The complete state that the next training step depends on: read without a copy, and restored."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.errors import DataError

_COUNTED = re.compile(r"(seed_generator)_\d+")


def take_snapshot(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The variables' values as they are now, whatever training does to them later.

    No copy is made here: TensorFlow gives a variable whose value is still read elsewhere a new buffer when it is
    next assigned.

    Args:
        variables: Keras variables by name.
    """
    return {
        name: np.asarray(memoryview(tf.convert_to_tensor(variable.value)))
        for name, variable in variables.items()
    }


def name_variables(model: keras.Model) -> dict[str, Any]:
    """What a compiled model's next step reads and writes, by names that are the same in every process.

    `model/…` are weights and the states of seed generators, `optimizer/…` slots and counters, `metrics/…` the
    running means of the epoch. Optimizer and metrics must be built: see `build_all`.
    """
    named = name_weights(model)
    _name(named, "optimizer", model.optimizer.variables, skip_first=True)
    _name(named, "metrics", model.metrics_variables)
    return named


def name_weights(model: keras.Model) -> dict[str, Any]:
    """The part of `name_variables` that is the model's own: `model/…`, seed generators included."""
    named: dict[str, Any] = {}
    metrics = {id(variable) for variable in model.metrics_variables}
    _name(named, "model", (v for v in model.variables if id(v) not in metrics))
    return named


def _name(named: dict[str, Any], group: str, variables: Iterable[Any], *, skip_first: bool = False) -> None:
    seen: set[int] = set()
    for variable in variables:
        if id(variable) in seen:
            continue
        seen.add(id(variable))
        # what Keras counts through a process (seed_generator_8, adam_w_1) must not be part of a name
        path = _COUNTED.sub(r"\1", variable.path)
        if skip_first and "/" in path:
            path = path.split("/", 1)[1]
        name, number = f"{group}/{path}", 1
        while name in named:
            number += 1
            name = f"{group}/{path}#{number}"
        named[name] = variable


def build_all(model: keras.Model, inputs: Any, labels: Any) -> None:
    """Makes the variables of optimizer and metrics, so that they can be named and restored before the first step.

    Args:
        model: compiled.
        inputs, labels: of one batch, or of one example.
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    outputs = model(inputs, training=False)
    model.compute_loss(inputs, labels, outputs)
    model.compute_metrics(inputs, labels, outputs)
    model.reset_metrics()


def restore_variables(variables: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> None:
    """Puts values into variables of the same names.

    Raises:
        DataError: names or shapes differ.
    """
    lacking, unknown = sorted(set(variables) - set(tensors)), sorted(set(tensors) - set(variables))
    if lacking or unknown:
        problems = [f"it lacks {lacking[0]}"] if lacking else []
        problems += [f"it holds {unknown[0]}"] if unknown else []
        raise DataError(
            f"the checkpoint belongs to another model: {' and '.join(problems)}",
            fix="Use the versions that wrote it, or start over: --restart.",
        )
    for name, variable in variables.items():
        value = tensors[name]
        if tuple(variable.shape) != value.shape:
            raise DataError(
                f"the checkpoint belongs to another model: {name} has shape {value.shape}, "
                f"the model's is {tuple(variable.shape)}",
                fix="Use the config that it was written with, or start over: --restart.",
            )
        # not through Keras' assign, which would convert: the bits are wanted
        variable.value.assign(tf.constant(value, variable.value.dtype))


def read_generators() -> dict[str, Any]:
    """The states of Python's and NumPy's global generators, JSON-able."""
    version, numbers, gauss = random.getstate()
    state: dict[str, Any] = np.random.get_state(legacy=False)  # type: ignore[assignment]
    inner = {name: np.asarray(value).tolist() for name, value in state["state"].items()}
    return {"python": [version, list(numbers), gauss], "numpy": {**state, "state": inner}}


def restore_generators(states: Mapping[str, Any]) -> None:
    """Puts back what `read_generators` gave."""
    version, numbers, gauss = states["python"]
    random.setstate((version, tuple(numbers), gauss))
    numpy_state = dict(states["numpy"])
    numpy_state["state"] = {
        name: np.asarray(value, np.uint32) if isinstance(value, list) else value
        for name, value in numpy_state["state"].items()
    }
    np.random.set_state(numpy_state)
