"""What came of a training, or of one of its phases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np


@dataclass
class TrainingResult:
    """What came of a training, its earlier phases included.

    Attributes:
        model: with the best epoch's weights, or the last good ones where it was cut short.
        examples_per_second: of training steps, the first left out.
        tokens_per_example: mean of the training examples, padding left out; 0.0 where they are no sequences.
        padding_share: padded positions of the training batches, all epochs.
        learning_share: the part of the model's parameters that learned; with several parts, in the last.
        best_epoch: from 0, over all phases; None without validation.
        best_value: the monitored figure there.
        best_step: the last step of that epoch.
        epochs: finished.
        steps: done.
        stopped: why training ended before its time; None if it did not.
        exhausted: whether `max_steps` are done.
        error: raised by the training; what can be saved is in `model`.
        seconds: that training took, in all processes that had a part in it.
        logs: where the files that a phase appends to stood at its end.
        best_weights: the best epoch's, where the model goes on with those of the last, by the names of `name_weights`.
    """

    model: keras.Model
    examples_per_second: float = 0.0
    tokens_per_example: float = 0.0
    padding_share: float = 0.0
    learning_share: float = 1.0
    best_epoch: int | None = None
    best_value: float | None = None
    best_step: int | None = None
    epochs: int = 0
    steps: int = 0
    stopped: str | None = None
    exhausted: bool = False
    error: BaseException | None = None
    seconds: float = 0.0
    logs: dict[str, Any] = field(default_factory=dict)
    best_weights: dict[str, np.ndarray] | None = None

    def add_earlier(self, before: TrainingResult) -> None:
        """Makes a phase's result that of it and those before it."""
        if self.best_epoch is None:
            # no epoch was better than the best of the phases before
            self.best_epoch, self.best_step = before.best_epoch, before.best_step
        else:
            self.best_epoch += before.epochs
            self.best_step = before.steps + (self.best_step or 0)
        self.epochs += before.epochs
        self.steps += before.steps
        self.seconds += before.seconds
