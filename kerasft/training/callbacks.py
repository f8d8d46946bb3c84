"""Keras callbacks of our own; each works in anyone's `model.fit` as well."""

from __future__ import annotations

import json
import math
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import keras
import numpy as np

from kerasft.data.pipeline import BatchStream
from kerasft.errors import TrainingError
from kerasft.progress import Progress


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
    """

    def __init__(
        self,
        name_batch: Callable[[int], list[str]] | None = None,
        batch_sizes: Callable[[int], int] | None = None,
    ):
        super().__init__()
        self._name_batch = name_batch
        self._batch_sizes = batch_sizes
        self._sum, self._examples, self._epoch = 0.0, 0, 0
        self.value = math.nan

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        self._sum, self._examples, self._epoch = 0.0, 0, epoch

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
            raise TrainingError(
                f"the loss is not finite in epoch {self._epoch + 1}, step {batch + 1}"
                + (f"; the batch's examples: {listed}" if listed else ""),
                fix="Lower train.optimizer.learning_rate or set global_clipnorm; look at the examples named.",
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


class ValidationFigures(keras.callbacks.Callback):
    """After each epoch: the figures of the validation split, put into the logs as `val_<figure>`.

    Stands before the callbacks that read them (early stopping, best weights, TensorBoard).

    Args:
        predict: () → outputs (examples, …) in the split's order.
        compute: outputs → `{figure: value}`.
    """

    def __init__(
        self, predict: Callable[[], np.ndarray], compute: Callable[[np.ndarray], Mapping[str, float]]
    ):
        super().__init__()
        self._predict, self._compute = predict, compute
        self.outputs: np.ndarray | None = None

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.outputs = self._predict()
        if logs is not None:
            logs.update({f"val_{name}": value for name, value in self._compute(self.outputs).items()})


class BestWeights(keras.callbacks.Callback):
    """Remembers the weights of the epoch with the best figure.

    Args:
        monitor: key of the logs.
        higher_is_better: which way is better.
    """

    def __init__(self, monitor: str, higher_is_better: bool):
        super().__init__()
        self.monitor, self.higher_is_better = monitor, higher_is_better
        self.value: float | None = None
        self.epoch: int | None = None
        self._weights: list[np.ndarray] | None = None

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        value = (logs or {}).get(self.monitor)
        if value is None or not math.isfinite(value):
            return
        better = self.value is None or (value > self.value if self.higher_is_better else value < self.value)
        if better:
            self.value, self.epoch = float(value), epoch
            self._weights = [variable.numpy() for variable in self.model.weights]

    def restore(self) -> bool:
        """Gives the model the best weights; False if no epoch was finished."""
        if self._weights is None:
            return False
        for variable, value in zip(self.model.weights, self._weights, strict=True):
            variable.assign(value)
        return True


class GoodWeights(keras.callbacks.Callback):
    """Remembers weights to go back to where a loss is not finite: those of the beginning, then of each epoch.

    Args:
        best: holds weights itself once an epoch is done; then none are kept here.
    """

    def __init__(self, best: BestWeights | None = None):
        super().__init__()
        self._best = best
        self._weights: list[np.ndarray] | None = None

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self._weights = [variable.numpy() for variable in self.model.weights]

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        if self._best is not None and self._best.epoch is not None:
            self._weights = None
            return
        weights = [variable.numpy() for variable in self.model.weights]
        if all(np.isfinite(value).all() for value in weights):
            self._weights = weights

    def restore(self) -> None:
        """Gives the model what is remembered, if anything."""
        for variable, value in zip(self.model.weights, self._weights or (), strict=False):
            variable.assign(value)


class History(keras.callbacks.Callback):
    """Writes metrics.jsonl: a line every few steps and one after each epoch.

    Args:
        path: the file, begun anew.
        every_steps: steps between lines.
        step_figures: () → figures of the last step (loss, learning rate, …).
    """

    def __init__(self, path: Path, every_steps: int, step_figures: Callable[[], Mapping[str, float]]):
        super().__init__()
        self._path, self._every, self._figures = path, every_steps, step_figures
        self._step, self._epoch = 0, 0
        self._file: TextIO | None = None

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self._path, "w", encoding="utf-8")  # noqa: SIM115 (closed in close)

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        self._step += 1
        if self._step == 1 or self._step % self._every == 0:
            self._write({"step": self._step, "epoch": self._epoch, **self._figures()})

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        figures = {
            name.replace("val_", "validation_", 1) if name.startswith("val_") else f"train_{name}": value
            for name, value in (logs or {}).items()
        }
        self._write({"epoch": epoch + 1, "step": self._step, **figures})

    def on_train_end(self, logs: Mapping | None = None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the file; to be called where `fit` may leave by an exception."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, row: Mapping[str, Any]) -> None:
        finite = {k: float(v) if isinstance(v, np.floating) else v for k, v in row.items()}
        finite = {k: v for k, v in finite.items() if not isinstance(v, float) or math.isfinite(v)}
        if self._file is not None:
            self._file.write(json.dumps(finite) + "\n")
            self._file.flush()


class ShowProgress(keras.callbacks.Callback):
    """Draws `fit` on a `Progress`: a bar over all steps, and a line after each epoch.

    Args:
        progress: where to.
        steps: steps an epoch.
        batch_sizes: step → examples in it.
        examples: in an epoch.
        step_loss: the callback that knows each step's loss.
    """

    def __init__(
        self,
        progress: Progress,
        examples: int,
        batch_sizes: Callable[[int], int],
        step_loss: StepLoss,
        epochs: int,
    ):
        super().__init__()
        self._progress, self._examples, self._batch_sizes = progress, examples, batch_sizes
        self._step_loss, self._epochs = step_loss, epochs
        self._bar: Any = None
        self._smooth: float | None = None

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self._bar = self._progress.bar("Fine-tuning", self._examples * self._epochs, "examples")
        self._bar.__enter__()

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        loss = self._step_loss.value
        self._smooth = loss if self._smooth is None else 0.95 * self._smooth + 0.05 * loss
        self._bar.advance(self._batch_sizes(batch), loss=self._smooth)

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        logs = logs or {}
        shown = ["loss", "accuracy", "val_log_loss", "val_accuracy", "val_macro_f1"]
        told = ", ".join(
            f"{name.replace('val_', 'validation ').replace('_', ' ')} {float(logs[name]):.4f}"
            for name in shown
            if name in logs
        )
        self._progress.note(f"Epoch {epoch + 1} of {self._epochs}: {told}")

    def on_train_end(self, logs: Mapping | None = None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the bar; to be called where `fit` may leave by an exception."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None


def measure_peak_memory_mb() -> float:
    """The largest resident memory this process has had, in MB (10⁶ bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6
