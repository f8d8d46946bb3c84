"""Turns a classifier's logits into answers: one label for an example, or any number of them."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasft.errors import ExportError
from kerasft.metrics.classification import compute_classification_figures, compute_confusion_matrix
from kerasft.metrics.confusion import compute_class_figures
from kerasft.metrics.multi_label import THRESHOLD, compute_label_sums, compute_multi_label_figures
from kerasft.metrics.tally import Tally
from kerasft.plots.confusion import build_confusion_matrix_figure
from kerasft.plots.label_figures import build_label_figures_figure


class Answers(abc.ABC):
    """From logits, float (examples, classes), to answers and figures.

    Args:
        label_names: the classes, in the order of the logits.
    """

    def __init__(self, label_names: Sequence[str]):
        self.label_names = tuple(label_names)

    @abc.abstractmethod
    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """Logits → probabilities, float64, of the same shape."""

    @abc.abstractmethod
    def choose(self, probabilities: np.ndarray) -> dict[str, Any]:
        """What is answered for one example, float (classes,), besides the probabilities."""

    @abc.abstractmethod
    def record(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        """The truth, what was predicted, and the probabilities."""

    @abc.abstractmethod
    def evaluate(
        self, outputs: np.ndarray, references: np.ndarray, *, bootstrap_samples: int, seed: int
    ) -> dict[str, Any]:
        """Named figures; references as `Split.column` gives them."""

    @abc.abstractmethod
    def make_right_logits(self, reference: Any) -> np.ndarray:
        """Logits (classes,) that answer as a reference says."""

    @abc.abstractmethod
    def draw(self, outputs: np.ndarray, references: np.ndarray) -> dict[str, Any]:
        """`{tag: matplotlib Figure}` of a split."""

    @abc.abstractmethod
    def summarize(self, record: Mapping[str, Any]) -> tuple[str, str, float]:
        """(truth, what was predicted, the least sure probability of it) of a record, as texts for people."""

    def decode(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        """One JSON-able prediction an example."""
        return [
            {
                **self.choose(row),
                "probabilities": {
                    name: float(value) for name, value in zip(self.label_names, row, strict=True)
                },
            }
            for row in self.probabilities(outputs)
        ]


class SingleLabel(Answers):
    """The most probable class by softmax."""

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        logits = np.asarray(outputs, np.float64)
        exponentials = np.exp(logits - logits.max(-1, keepdims=True))
        return exponentials / exponentials.sum(-1, keepdims=True)

    def choose(self, probabilities: np.ndarray) -> dict[str, Any]:
        return {"label": self.label_names[int(probabilities.argmax())]}

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

    def make_right_logits(self, reference: Any) -> np.ndarray:
        return 9.0 * np.eye(len(self.label_names), dtype=np.float32)[reference]

    def draw(self, outputs: np.ndarray, references: np.ndarray) -> dict[str, Any]:
        matrix = compute_confusion_matrix(self.probabilities(outputs), references)
        return {"confusion_matrix": build_confusion_matrix_figure(matrix, self.label_names)}

    def summarize(self, record: Mapping[str, Any]) -> tuple[str, str, float]:
        predicted = record["predicted"]
        return record["label"], predicted, record["probabilities"][predicted]


class MultiLabel(Answers):
    """Each class by a sigmoid of its own: those whose probability reaches one half."""

    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        logits = np.asarray(outputs, np.float64)
        # of the two forms of the sigmoid the one that cannot overflow
        small = np.exp(-np.abs(logits))
        return np.where(logits >= 0, 1.0, small) / (1.0 + small)

    def choose(self, probabilities: np.ndarray) -> dict[str, Any]:
        chosen = np.flatnonzero(probabilities >= THRESHOLD)
        return {"labels": [self.label_names[index] for index in chosen]}

    def record(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "labels": [self.label_names[index] for index in sorted(example["labels"])],
            "predicted": prediction["labels"],
            "probabilities": prediction["probabilities"],
        }

    def evaluate(
        self, outputs: np.ndarray, references: np.ndarray, *, bootstrap_samples: int, seed: int
    ) -> dict[str, Any]:
        return compute_multi_label_figures(
            self.probabilities(outputs),
            references,
            self.label_names,
            bootstrap_samples=bootstrap_samples,
            seed=seed,
        )

    def make_right_logits(self, reference: Any) -> np.ndarray:
        return np.where(reference, 9.0, -9.0).astype(np.float32)

    def draw(self, outputs: np.ndarray, references: np.ndarray) -> dict[str, Any]:
        sums = compute_label_sums(self.probabilities(outputs), references, THRESHOLD)
        by_class = compute_class_figures(sums)
        figure = build_label_figures_figure(
            by_class["precision"], by_class["recall"], sums.support, self.label_names
        )
        return {"labels": figure}

    def summarize(self, record: Mapping[str, Any]) -> tuple[str, str, float]:
        sure = [value if value >= THRESHOLD else 1.0 - value for value in record["probabilities"].values()]
        truth, predicted = (", ".join(record[key]) or "none" for key in ("labels", "predicted"))
        return truth, predicted, min(sure)


class AnswerTally(Tally):
    """Logits and labels of a classifier's examples.

    Args:
        answers: what the logits say.
    """

    def __init__(self, answers: Answers):
        self._answers = answers
        self._numbers: list[np.ndarray] = []
        self._logits: list[np.ndarray] = []
        self._references: list[np.ndarray] = []

    def __len__(self) -> int:
        return sum(map(len, self._numbers))

    def add(self, numbers: Sequence[int], outputs: Sequence[Any], references: Sequence[Any]) -> None:
        self._numbers.append(np.array(numbers, np.int64))
        self._logits.append(np.stack([output["logits"] for output in outputs]))
        self._references.append(np.stack(references))

    def merge(self, other: Tally) -> None:
        assert isinstance(other, AnswerTally)
        self._numbers += other._numbers
        self._logits += other._logits
        self._references += other._references

    def stack(self) -> tuple[np.ndarray, np.ndarray]:
        """Logits (examples, classes) and references (examples, …), by the examples' numbers."""
        order = np.argsort(np.concatenate(self._numbers), kind="stable")
        return np.concatenate(self._logits)[order], np.concatenate(self._references)[order]

    def compute_figures(self, *, bootstrap_samples: int = 0, seed: int = 0) -> dict[str, Any]:
        return self._answers.evaluate(*self.stack(), bootstrap_samples=bootstrap_samples, seed=seed)

    def draw(self) -> dict[str, Any]:
        return self._answers.draw(*self.stack())


def measure_probabilities(
    answers: Mapping[str, np.ndarray], expected: np.ndarray, label_names: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """How far an export's probabilities are from a model's.

    Args:
        answers: the export's: `probabilities` (examples, classes), and `label`, strings (examples,).
        expected: the model's probabilities.
        label_names: the classes; given, an answer's `label` must be its most probable class.

    Returns:
        The largest difference of each example, and whether its most probable class is the same.

    Raises:
        ExportError: a `label` is another.
    """
    served = answers["probabilities"].astype(np.float64)
    differences = np.abs(served - expected).max(axis=1)
    chosen = served.argmax(1)
    if label_names is not None:
        named = [label_names[index] for index in chosen]
        if named != answers["label"].tolist():
            raise ExportError(
                "the export's labels do not match its probabilities; nothing was published",
                fix="This is a bug in kerasft: please report it.",
            )
    return differences, chosen == expected.argmax(1)
