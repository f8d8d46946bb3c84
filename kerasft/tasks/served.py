"""What served models answer alike: a status for each input of a batch, beside the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

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
