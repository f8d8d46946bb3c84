"""kerasft's Keras callbacks; each also works in any other `model.fit`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import keras

from kerasft.data.pipeline import BatchStream
from kerasft.errors import TrainingError
from kerasft.optimizers import GroupedOptimizer


class Stateful(Protocol):
    """A callback with something to remember over a restart."""

    def get_state(self) -> dict[str, Any]:
        """What it remembers, JSON-able."""

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Takes up what `get_state` gave; before `fit` begins."""


class EpochSetter(keras.callbacks.Callback):
    """Tells a `BatchStream` which epoch's plan comes next."""

    def __init__(self, stream: BatchStream):
        super().__init__()
        self.stream = stream

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        self.stream.epoch = epoch


class StepLoss(keras.callbacks.Callback):
    """Turns `fit`'s running mean of the loss, over examples, into each step's own, and stops where it is not finite.

    Attributes:
        value: the last step's loss.

    Args:
        name_batch: step → the places (`file:row`) of its examples, for the error's text.
        batch_sizes: step → examples in it; None: all batches are of one size.
        locate: (epoch of `fit`, its step) → the epoch and step to name, all from 0; None: the same.
    """

    def __init__(
        self,
        name_batch: Callable[[int], list[str]] | None = None,
        batch_sizes: Callable[[int], int] | None = None,
        locate: Callable[[int, int], tuple[int, int]] | None = None,
    ):
        super().__init__()
        self._name_batch, self._locate = name_batch, locate
        self._batch_sizes = batch_sizes
        self._sum, self._examples, self._epoch = 0.0, 0, 0
        self._goes_on = False
        self.value = math.nan

    def get_state(self) -> dict[str, Any]:
        return {"sum": self._sum, "examples": self._examples, "epoch": self._epoch}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._sum, self._examples, self._epoch = state["sum"], state["examples"], state["epoch"]
        self._goes_on = True

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        if not (self._goes_on and epoch == self._epoch):
            self._sum, self._examples, self._epoch = 0.0, 0, epoch
        self._goes_on = False

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        mean = float((logs or {})["loss"])
        size = self._batch_sizes(batch) if self._batch_sizes else 1
        self._examples += size
        total = mean * self._examples
        self.value = (total - self._sum) / size
        self._sum = total
        if not math.isfinite(mean):
            examples = self._name_batch(batch) if self._name_batch else []
            listed = ", ".join(examples[:8]) + (", …" if len(examples) > 8 else "")
            epoch, step = self._locate(self._epoch, batch) if self._locate else (self._epoch, batch)
            raise TrainingError(
                f"the loss is not finite in epoch {epoch + 1}, step {step + 1}"
                + (f"; the batch's examples: {listed}" if listed else ""),
                fix="Lower train.optimizer.learning_rate or set global_clipnorm; check these examples.",
            )


class Throughput(keras.callbacks.Callback):
    """Counts examples a second, the first step (which builds the graph) left out, and validation too.

    Args:
        batch_sizes: step → examples in it, for the current epoch.
    """

    def __init__(self, batch_sizes: Callable[[int], int]):
        super().__init__()
        self._batch_sizes = batch_sizes
        self._first_done = False
        self.examples, self.seconds = 0, 0.0
        self._start = 0.0

    @property
    def examples_per_second(self) -> float:
        """Over all steps but the first; 0.0 before the second."""
        return self.examples / self.seconds if self.seconds else 0.0

    def get_state(self) -> dict[str, Any]:
        return {"examples": self.examples, "seconds": self.seconds}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.examples, self.seconds = state["examples"], state["seconds"]

    def on_train_batch_begin(self, batch: int, logs: Mapping | None = None) -> None:
        # from one step's end to the next one's, so that waiting for data counts
        if not self._start:
            self._start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        now = time.perf_counter()
        if self._first_done:
            self.examples += self._batch_sizes(batch)
            self.seconds += now - self._start
        self._first_done = True
        self._start = now

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        self._start = 0.0


class LastUpdate(keras.callbacks.Callback):
    """Makes an update of the batches that are accumulated when training ends, before its last epoch is measured.

    Stands before all that looks at an epoch's weights.
    """

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        optimizer = getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)
        last = epoch + 1 == self.params["epochs"] or self.model.stop_training
        if last and isinstance(optimizer, GroupedOptimizer):
            optimizer.apply_accumulated()


class EpochCounter(keras.callbacks.Callback):
    """Epochs finished."""

    def __init__(self) -> None:
        super().__init__()
        self.epochs = 0

    def get_state(self) -> dict[str, Any]:
        return {"epochs": self.epochs}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.epochs = state["epochs"]

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        self.epochs = epoch + 1


class StopAfter(keras.callbacks.Callback):
    """Ends training after a number of steps.

    Args:
        steps: in all.
        steps_per_epoch: of `fit`.
    """

    def __init__(self, steps: int, steps_per_epoch: int):
        super().__init__()
        self._steps, self._steps_per_epoch = steps, steps_per_epoch
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        if self._epoch * self._steps_per_epoch + batch + 1 >= self._steps:
            self.model.stop_training = True
