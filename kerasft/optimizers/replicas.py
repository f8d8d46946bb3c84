"""Variables that have a copy on each device: what picks a device's own, and the tensors inside Keras' objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from kerasft.optimizers.gradients import Gradient

Pick = Callable[[Any], Any]
"""Picks this device's own copy of a variable or a tensor."""


def list_copies(strategy: Any, variable: Any) -> list[tuple[Pick, str | None]]:
    """For each device with a copy of the variables: what picks its own copy of anything, and its name."""
    if strategy is None:
        return [(lambda value: value, None)]

    def picker(place: int) -> Pick:
        def pick(value):
            results = strategy.experimental_local_results(value)
            return results[place] if len(results) > 1 else results[0]

        return pick

    copies = strategy.experimental_local_results(unwrap(variable))
    return [(picker(place), copy.device) for place, copy in enumerate(copies)]


def unwrap(variable: Any) -> Any:
    """The `tf.Variable` inside a Keras variable."""
    return variable.value if isinstance(variable, keras.Variable) else variable


def as_gradient(gradient: Any) -> Gradient:
    return gradient if isinstance(gradient, tf.IndexedSlices) else tf.convert_to_tensor(gradient)
