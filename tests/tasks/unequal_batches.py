"""Five updates of a task's tiny model, each of 32 examples: at once, in accumulated parts, or on two devices.

As a program it compares two virtual CPU devices with one, which are split before TensorFlow starts:
`unequal_batches.py CONFIG DATASET…` prints, as JSON, the largest difference of a weight for each pair.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

UPDATES, EXAMPLES = 5, 32
SETTINGS = ("model.dropout=0", "train.precision=float32")
OF_PICTURES = ("train.head=null", "model.batch_norm=frozen", "task.augmentation={policy: none}")


def load(path: Path) -> Any:
    """An experiment's config, without anything random, and batch norm frozen."""
    from kerasft.config.loading import load_config
    from kerasft.experiment import ExperimentConfig

    config = load_config(ExperimentConfig, path, SETTINGS).config
    if config.task.type != "image_classification":
        return config
    return load_config(ExperimentConfig, path, (*SETTINGS, *OF_PICTURES)).config


def train(config: Any, folder: Path, batch_size: int, strategy: Any = None) -> dict[str, np.ndarray]:
    """The variables that learn after `UPDATES` updates of `EXAMPLES` examples each, by name.

    The same examples in the same order, whatever the size of a batch; those of a batch are padded to its longest.

    Args:
        config: the experiment; the optimizer is ours.
        folder: of its prepared dataset; what is encoded is kept beside it.
        batch_size: divides `EXAMPLES`.
        strategy: of `tf.distribute`; None: one device.
    """
    from kerasft.data.feed import BatchMoment
    from kerasft.data.prepared import load_prepared_dataset
    from kerasft.optimizers import GradientDescent
    from kerasft.progress import Silent
    from kerasft.training.resume.state import name_weights
    from kerasft.training.trained import build_task, open_feed

    dataset = load_prepared_dataset(folder)
    with strategy.scope() if strategy else contextlib.nullcontext():
        task = build_task(config, dataset.label_names, config.model.resolve().path)
        model = task.build_model(seed=0, matmul_dtype="float32")
        for layer in model._flatten_layers():
            if hasattr(layer, "dropout"):
                layer.dropout = 0.0  # the preset's own

        def open_split(name: str) -> Any:
            return open_feed(task, dataset, name, folder.parent / "cache", Silent())

        phase = next(iter(task.open_phases(model, config.train, open_split, seed=0)))
        accumulated = EXAMPLES // batch_size
        optimizer = GradientDescent(
            0.05,
            weight_decay=0.01,
            global_clipnorm=1.0,
            gradient_accumulation_steps=accumulated if accumulated > 1 else None,
            jit_compile=False,
        )
        phase.model.compile(optimizer=optimizer, loss=task.loss(), jit_compile=False)
    feed = phase.train
    rows = np.concatenate([np.random.default_rng(i).permutation(len(feed)) for i in range(9)])
    parts = rows[: UPDATES * EXAMPLES].reshape(-1, batch_size)

    def draw() -> Any:
        for step, part in enumerate(parts):
            yield feed.collate(part, int(feed.lengths[part].max()), BatchMoment(0, step))

    batches = tf.data.Dataset.from_generator(draw, output_signature=feed.signature).map(feed.unpack)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    batches = batches.apply(tf.data.experimental.assert_cardinality(len(parts))).with_options(options)
    phase.model.fit(batches, epochs=1, verbose=0, shuffle=False)
    assert keras.ops.convert_to_numpy(optimizer.iterations) == UPDATES
    learning = {variable.path for variable in phase.model.trainable_variables}
    return {
        name: keras.ops.convert_to_numpy(variable)
        for name, variable in name_weights(phase.model).items()
        if variable.path in learning
    }


def find_difference(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    """The largest of any weight."""
    assert one.keys() == other.keys()
    return max(float(np.abs(one[name] - other[name]).max(initial=0.0)) for name in one)


def main(arguments: list[str]) -> None:
    (device,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    differences = []
    for path, folder in zip(arguments[::2], arguments[1::2], strict=True):
        config = load(Path(path))
        one = train(config, Path(folder), EXAMPLES)
        # accumulated parts where they differ most
        entities = config.task.type == "token_classification"
        for batch_size in (EXAMPLES, EXAMPLES // 4) if entities else (EXAMPLES,):
            two = train(config, Path(folder), batch_size, strategy)
            differences.append(find_difference(one, two))
    print(json.dumps(differences))


if __name__ == "__main__":
    main(sys.argv[1:])
