"""What is exported of a model, and what served models answer alike: a status beside each answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

Raw = str | bytes | float
"""What a served model takes: a text, a file, a number."""
RawInputs = Mapping[str, Raw]
"""One example's, by the inputs' names."""
Measure = Callable[[Mapping[str, np.ndarray], Any], tuple[np.ndarray, np.ndarray]]
"""(an export's answers by name, (examples, …); the model's outputs on the same examples) → by how much each answer
differs, float (examples,), and whether it comes to the same, bool (examples,)."""

STATUS_LINE = (
    "- `status`: string (batch,), empty where an input has its answer; else why it has none: its other outputs are "
    "empty, or 0;"
)


def answer_classes(
    logits: tf.Tensor, probabilities: tf.Tensor, label_names: tf.Tensor, status: tf.Tensor
) -> dict[str, tf.Tensor]:
    """A classifier's outputs; where an input has a status, its label is empty and its numbers are 0.

    Args:
        logits, probabilities: float32 (batch, classes).
        label_names: string (classes,).
        status: string (batch,).
    """
    import tensorflow as tf

    good = tf.equal(status, "")
    zeros = tf.zeros_like(logits)
    return {
        "label": tf.where(good, tf.gather(label_names, tf.argmax(logits, -1)), ""),
        "probabilities": tf.where(good[:, None], probabilities, zeros),
        "logits": tf.where(good[:, None], logits, zeros),
        "status": status,
    }
