"""A model's inference as one compiled function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


def make_forward(model: keras.Model) -> Callable[[Any], Any]:
    """The model's inference as one compiled function for batches of any size and width."""
    signature = tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), model.input)
    return tf.function(
        lambda inputs: model(inputs, training=False), input_signature=[signature], autograph=False
    )
