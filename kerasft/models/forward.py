"""A model's inference as one compiled function."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def make_forward(model: keras.Model) -> Callable[[Any], Any]:
    """The model's inference as one compiled function for batches of any size and width."""
    signature = tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), model.input)
    # of functions of one code, as a lambda's are, TensorFlow takes many models for one that is traced again and again
    return tf.function(functools.partial(_infer, model), input_signature=[signature], autograph=False)


def _infer(model: keras.Model, inputs: Any) -> Any:
    return model(inputs, training=False)


def compute_model_fingerprint(model: keras.Model) -> str:
    """Changes with the model's layers and with its weights, to the bit: outputs that are kept are kept by it."""
    digest = hashlib.sha256(model.to_json().encode())
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight).data)
    return digest.hexdigest()
