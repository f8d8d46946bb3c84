"""A small version published by a process of its own, which is forked from a server that has imported TensorFlow."""

from __future__ import annotations

import multiprocessing
import os
import traceback
from pathlib import Path
from typing import Any

from children import PRELOADED


def publish_constant(destination: str, log: str) -> None:
    """Publishes a module that answers every text with `a`; what is raised goes to the log, and ends it with 1."""
    import numpy as np
    import tensorflow as tf

    from kerasft.serving.publishing import publish_saved_model
    from kerasft.tasks.answers import measure_probabilities

    class Constant(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = tf.Variable(tf.random.normal([1000, 500]))

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
        def serving_default(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
            logits = tf.zeros([tf.size(text), 2]) + 0.0 * self.weight[0, 0]
            label = tf.fill(tf.shape(text), "a")
            return {"label": label, "probabilities": tf.nn.softmax(logits), "logits": logits}

        @property
        def signatures(self) -> dict[str, Any]:
            return {"serving_default": self.serving_default}

    try:
        publish_saved_model(
            Constant(),
            Path(destination),
            [{"text": "x"}],
            lambda inputs: np.full((len(inputs), 2), 0.5),
            measure=measure_probabilities,
            tolerance=1e-5,
            documents={"labels.txt": "a"},
        )
    except Exception:
        Path(log).write_text(traceback.format_exc(), encoding="utf-8")
        os._exit(1)
    os._exit(0)


def start_publishing(destination: Path, log: Path) -> Any:
    """The process, started."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=publish_constant, args=(str(destination), str(log)), daemon=True)
    process.start()
    return process
