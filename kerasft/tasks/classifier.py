"""What all classifiers share: probabilities, answers and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.feed import Output
from kerasft.optimizers.denominators import CountedLoss
from kerasft.tasks.answers import Answers, AnswerTally, SingleLabel, measure_probabilities
from kerasft.tasks.base import Task
from kerasft.tasks.served import CLASS_LINES, RawInputs, Served, list_labels


class Classifier(Task):
    """Labels for an example, by a model's logits (examples, classes)."""

    @property
    def answers(self) -> Answers:
        """What the logits say: by default one label for an example."""
        return SingleLabel(self.label_names)

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Logits (examples, classes) → probabilities, float64, of the same shape."""
        return self.answers.probabilities(outputs)

    def decode(self, outputs: Sequence[Output]) -> list[dict[str, Any]]:
        return self.answers.decode(stack_logits(outputs)) if outputs else []

    def _serve_classes(
        self, module: tf.Module, *, takes: str, limits: str, probes: Sequence[RawInputs]
    ) -> Served:
        """The export of a module that answers as `answer_classes` does; see `Served` for the rest."""

        def measure(
            answers: Mapping[str, np.ndarray], outputs: Sequence[Output]
        ) -> tuple[np.ndarray, np.ndarray]:
            return measure_probabilities(answers, self.probabilities(stack_logits(outputs)), self.label_names)

        return Served(
            module=module,
            takes=takes,
            limits=limits,
            returns=CLASS_LINES,
            probes=probes,
            measure=measure,
            files=list_labels(self.label_names),
        )

    def record(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        return self.answers.record(example, prediction)

    def open_tally(self) -> AnswerTally:
        return AnswerTally(self.answers)

    def make_right_output(self, reference: Any) -> Output:
        return {"logits": self.answers.make_right_logits(reference)}

    def _describe_rows(
        self,
        heading: str,
        cells: Sequence[str],
        examples: Sequence[Mapping[str, Any]],
        outputs: Sequence[Output],
    ) -> str:
        """A Markdown table of what the model says of some examples, each shown as its cell."""
        lines = [f"| {heading} | true | predicted | probability |", "|---|---|---|---|"]
        answers = self.answers
        for cell, example, prediction in zip(cells, examples, self.decode(outputs), strict=True):
            truth, predicted, probability = answers.summarize(answers.record(example, prediction))
            mark = "" if predicted == truth else " ✗"
            lines.append(f"| {cell} | {truth} | {predicted}{mark} | {probability:.3f} |")
        return "\n".join(lines)


def stack_logits(outputs: Sequence[Output]) -> np.ndarray:
    """The logits of some examples, (examples, classes)."""
    return np.stack([output["logits"] for output in outputs])


@keras.saving.register_keras_serializable(package="kerasft")
class SparseCrossentropy(CountedLoss, keras.losses.SparseCategoricalCrossentropy):
    """Keras' cross-entropy of integer labels, which tells the optimizer how many examples it averaged."""


@keras.saving.register_keras_serializable(package="kerasft")
class SmoothedCrossentropy(CountedLoss):
    """Cross-entropy against (1 − ε)·one-hot + ε/classes, from integer labels and logits.

    Args:
        num_classes: of the logits.
        smoothing: ε, in [0, 1).

    Source: Szegedy et al. 2016, arXiv:1512.00567.
    """

    def __init__(self, num_classes: int, smoothing: float, name: str = "smoothed_crossentropy", **kwargs):
        super().__init__(name=name, **kwargs)
        self.num_classes, self.smoothing = num_classes, smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        targets = tf.one_hot(tf.reshape(tf.cast(y_true, tf.int32), [-1]), self.num_classes)
        targets = targets * (1.0 - self.smoothing) + self.smoothing / self.num_classes
        return tf.nn.softmax_cross_entropy_with_logits(targets, y_pred)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes, "smoothing": self.smoothing}
