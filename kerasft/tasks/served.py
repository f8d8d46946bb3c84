"""What a task exports, and the outputs that exports of classifiers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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

Call = Mapping[str, Raw | list[Raw]]
"""One call of a signature, by its inputs' names: numbers and strings, alone or in lists."""


@dataclass(frozen=True, kw_only=True)
class FurtherSignature:
    """What an exported model can do besides `serving_default`.

    Attributes:
        name: among the module's `signatures`.
        takes: for the model card, what it does and takes: Markdown that leads to what is returned.
        returns: the outputs by name, as Markdown list items.
        calls: what it is asked before an export is published.
        answer: a call → the model's own outputs by name. The export must give the same strings and whole numbers; other
            numbers may differ by the tolerance of the export.
    """

    name: str
    takes: str
    returns: Sequence[str]
    calls: Sequence[Call]
    answer: Callable[[Call], Mapping[str, np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class Served:
    """An export, and what its check and its readers must know of it.

    Attributes:
        module: a `tf.Module` from raw inputs to answers in core TensorFlow ops; its `signatures` are exported. The
            inputs of `serving_default` bear the names of the task's input fields.
        takes: for the model card, a sentence that leads to what is returned.
        limits: for the model card, what becomes of an input that is too large.
        returns: the outputs by name, as Markdown list items.
        probes: odd inputs, which the export must answer as the model does, or refuse as `Task.read_served` does.
        measure: how far its answers are from the model's.
        files: further documents that travel with it, by name.
        further: signatures besides `serving_default`.
    """

    module: Any
    takes: str
    limits: str
    returns: Sequence[str]
    probes: Sequence[RawInputs]
    measure: Measure
    files: Mapping[str, str] = field(default_factory=dict)
    further: Sequence[FurtherSignature] = ()


STATUS_LINE = (
    "- `status`: string (batch,), empty where an input has its answer; else why it has none: its other outputs are "
    "empty, or 0;"
)
CLASS_LINES = (
    STATUS_LINE,
    "- `label`: string (batch,), the most probable class;",
    "- `probabilities`: float32 (batch, classes);",
    "- `logits`: float32 (batch, classes).",
)
"""What `answer_classes` returns."""


def list_labels(label_names: Sequence[str]) -> dict[str, str]:
    """The file that names the classes, one a line, in the order of the outputs."""
    return {"labels.txt": "".join(f"{label}\n" for label in label_names)}


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
