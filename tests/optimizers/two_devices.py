"""Trains on two virtual CPU devices and on one, and prints the largest differences as JSON, a line a case.

A program of its own, because devices are split before TensorFlow starts: `two_devices.py CASE ACCUMULATED …`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

from kerasft.optimizers import AdamW, GradientDescent, Muon

# At a rate of 0.01 descent is unstable here and any last bit grows to 5e-5, with Keras' SGD too.
CASES = {
    "descent": lambda **o: GradientDescent(
        0.002, momentum=0.9, weight_decay=0.01, measure_gradient_norm=True, **o
    ),
    "adamw": lambda **o: AdamW(0.001, global_clipnorm=0.05, use_ema=True, ema_momentum=0.9, **o),
    "muon": lambda **o: Muon(0.001, global_clipnorm=0.05, use_ema=True, ema_momentum=0.9, epsilon=1e-5, **o),
    "clipnorm": lambda **o: AdamW(0.001, clipnorm=0.01, **o),
}


def train(strategy, batch_size, make):
    with strategy.scope() if strategy else contextlib.nullcontext():
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((6,), dtype="int32"),
                keras.layers.Embedding(3000, 8),
                keras.layers.Flatten(),
                keras.layers.Dense(400, activation="tanh"),
                keras.layers.LayerNormalization(),
                keras.layers.Dense(3),
            ]
        )
        model.compile(make(), keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    random = np.random.default_rng(0)
    data = random.integers(0, 3000, (320, 6)), random.integers(0, 3, 320)
    model.fit(tf.data.Dataset.from_tensor_slices(data).batch(batch_size), epochs=2, verbose=0)
    return model


def replicas_differ(strategy, model) -> list[str]:
    """Paths of variables whose copies are not equal bit for bit."""
    differing = []
    for variable in [*model.trainable_variables, *model.optimizer.variables]:
        first, *others = (copy.numpy() for copy in strategy.experimental_local_results(variable.value))
        if len(others) != 1 or any(not np.array_equal(first, other) for other in others):
            differing.append(variable.path)
    return differing


def compare(name: str, steps: int) -> None:
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    one = train(None, 8 * steps, CASES[name])
    two = train(strategy, 8, lambda: CASES[name](gradient_accumulation_steps=steps if steps > 1 else None))
    pairs = zip(one.get_weights(), two.get_weights(), strict=True)
    found = {
        "difference": max(float(np.abs(a - b).max()) for a, b in pairs),
        "unequal_replicas": replicas_differ(strategy, two),
        "updates": [int(keras.ops.convert_to_numpy(model.optimizer.iterations)) for model in (one, two)],
    }
    print(json.dumps(found))


def main(*arguments: str) -> None:
    (device,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    for name, steps in zip(arguments[::2], arguments[1::2], strict=True):
        compare(name, int(steps))


if __name__ == "__main__":
    main(*sys.argv[1:])
