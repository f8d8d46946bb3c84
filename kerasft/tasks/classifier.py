"""What classifiers of any content have in common: probabilities, answers, figures, pictures of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.metrics.classification import compute_classification_figures, compute_confusion_matrix
from kerasft.plots.confusion import build_confusion_matrix_figure
from kerasft.tasks.base import Task


class Classifier(Task):
    """One label for an example, by the softmax of a model's logits (examples, classes)."""

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Logits (examples, classes) → probabilities, float64, of the same shape."""
        logits = np.asarray(outputs, np.float64)
        exponentials = np.exp(logits - logits.max(-1, keepdims=True))
        return exponentials / exponentials.sum(-1, keepdims=True)

    def decode(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        return [
            {
                "label": self.label_names[int(row.argmax())],
                "probabilities": {
                    name: float(value) for name, value in zip(self.label_names, row, strict=True)
                },
            }
            for row in self.probabilities(outputs)
        ]

    def record(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "label": self.label_names[example["label"]],
            "predicted": prediction["label"],
            "probabilities": prediction["probabilities"],
        }

    def evaluate(
        self, outputs: np.ndarray, references: np.ndarray, *, bootstrap_samples: int, seed: int
    ) -> dict[str, Any]:
        return compute_classification_figures(
            self.probabilities(outputs),
            references,
            self.label_names,
            bootstrap_samples=bootstrap_samples,
            seed=seed,
        )

    def draw(self, outputs: np.ndarray, references: np.ndarray) -> dict[str, Any]:
        matrix = compute_confusion_matrix(self.probabilities(outputs), references)
        return {"confusion_matrix": build_confusion_matrix_figure(matrix, self.label_names)}

    def _describe_rows(
        self, heading: str, cells: Sequence[str], examples: Sequence[Mapping[str, Any]], outputs: np.ndarray
    ) -> str:
        """A Markdown table of what the model says of some examples, each shown as its cell."""
        lines = [f"| {heading} | true | predicted | probability |", "|---|---|---|---|"]
        for cell, example, predicted in zip(cells, examples, self.decode(outputs), strict=True):
            label = self.label_names[example["label"]]
            mark = "" if predicted["label"] == label else " ✗"
            probability = predicted["probabilities"][predicted["label"]]
            lines.append(f"| {cell} | {label} | {predicted['label']}{mark} | {probability:.3f} |")
        return "\n".join(lines)


@keras.saving.register_keras_serializable(package="kerasft")
class SmoothedCrossentropy(keras.losses.Loss):
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
