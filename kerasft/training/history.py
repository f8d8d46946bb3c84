"""The record of a training: metrics.jsonl, and the progress bar."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import keras
import numpy as np

from kerasft.errors import DamagedError
from kerasft.progress import Progress
from kerasft.training.callbacks import StepLoss
from kerasft.untrusted import naming, open_in_place, open_plain


def cut_back(path: Path, size: int) -> None:
    """Shortens a file that was appended to; one that is missing or no longer is left as it is."""
    if path.exists() and path.stat().st_size > size:
        with open_in_place(path, create=False) as file:
            file.truncate(size)
            os.fsync(file.fileno())


class History(keras.callbacks.Callback):
    """Writes metrics.jsonl: a line every few steps and one after each epoch.

    Args:
        path: the file; begun anew, or gone on with from where `set_state` says.
        every_steps: steps between lines.
        step_figures: () → figures of the last step (loss, learning rate, …).
        epochs_before: of earlier phases.
        steps_per_epoch: where `fit`'s epochs are shorter intervals; None: they are epochs.

    Attributes:
        figures: of the last step that has a line.
    """

    def __init__(
        self,
        path: Path,
        every_steps: int,
        step_figures: Callable[[], Mapping[str, float]],
        epochs_before: int = 0,
        steps_per_epoch: int | None = None,
    ):
        super().__init__()
        self._before, self._steps_per_epoch = epochs_before, steps_per_epoch
        self._path, self._every, self._figures = path, every_steps, step_figures
        self._step, self._epoch = 0, 0
        self.figures: Mapping[str, float] = {}
        self._file: TextIO | None = None
        self._goes_on = False
        self._hash = hashlib.sha256()

    def get_state(self) -> dict[str, Any]:
        if self._file is not None:
            os.fsync(self._file.fileno())
        size = self._path.stat().st_size if self._path.exists() else 0
        return {"step": self._step, "epoch": self._epoch, "bytes": size, "sha256": self._hash.hexdigest()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Also takes away the lines of steps that will be done again.

        Raises:
            DamagedError: the lines of those before are not what was written.
        """
        self._step, self._epoch, self._goes_on = state["step"], state["epoch"], True
        cut_back(self._path, state["bytes"])
        if not self._path.exists():
            return
        with naming(self._path), open_plain(self._path) as file:
            self._hash = hashlib.file_digest(file, "sha256")
        if self._hash.hexdigest() != state.get("sha256", self._hash.hexdigest()):
            raise DamagedError(
                "the file is damaged: its lines differ from those written before the checkpoint",
                where=str(self._path),
                fix="Restore it from a copy; or remove it: the curves then begin where the training resumes.",
            )

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = open_in_place(self._path)
        file.seek(0, os.SEEK_END) if self._goes_on else file.truncate()
        self._file = io.TextIOWrapper(file, encoding="utf-8", write_through=True)

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        if self._steps_per_epoch is None:
            self._epoch = self._before + epoch + 1

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        self._step += 1
        if self._steps_per_epoch is not None:
            self._epoch = (self._step - 1) // self._steps_per_epoch + 1
        if self._step == 1 or self._step % self._every == 0:
            self.figures = self._figures()
            self._write({"step": self._step, "epoch": self._epoch, **self.figures})

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        figures = {
            name.replace("val_", "validation_", 1) if name.startswith("val_") else f"train_{name}": value
            for name, value in (logs or {}).items()
        }
        self._write({"epoch": self._epoch, "step": self._step, **figures})

    def on_train_end(self, logs: Mapping | None = None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the file; to be called where `fit` may leave by an exception."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _write(self, row: Mapping[str, Any]) -> None:
        finite = {k: float(v) if isinstance(v, np.floating) else v for k, v in row.items()}
        finite = {k: v for k, v in finite.items() if not isinstance(v, float) or math.isfinite(v)}
        if self._file is not None:
            line = json.dumps(finite) + "\n"
            self._file.write(line)
            self._file.flush()
            self._hash.update(line.encode("utf-8"))


class ShowProgress(keras.callbacks.Callback):
    """Draws `fit` on a `Progress`: a bar over all steps, and a line after each epoch.

    Args:
        progress: where to.
        examples: in all epochs.
        batch_sizes: step → examples in it.
        step_loss: the callback that knows each step's loss.
        epochs: in all.
        title: of the bar.
        first_epoch: how many of the epochs were done before, in another `fit`.
        monitor: the figure by which the epoch that is kept is chosen; the lines tell it in any case.
        steps: in all, where `fit`'s epochs are shorter intervals: the lines count steps. None: they count epochs.
    """

    def __init__(
        self,
        progress: Progress,
        examples: int,
        batch_sizes: Callable[[int], int],
        step_loss: StepLoss,
        epochs: int,
        title: str = "Fine-tuning",
        first_epoch: int = 0,
        monitor: str = "accuracy",
        steps: int | None = None,
    ):
        super().__init__()
        self._steps = steps
        self._shown = ["loss", "accuracy", "binary_accuracy", "val_log_loss", "val_accuracy", "val_macro_f1"]
        if f"val_{monitor}" not in self._shown:
            self._shown.insert(2, f"val_{monitor}")
        self._progress, self._examples, self._batch_sizes = progress, examples, batch_sizes
        self._step_loss, self._epochs, self._title = step_loss, epochs, title
        self._first_epoch = first_epoch
        self._bar: Any = None
        self._smooth: float | None = None
        self._done = 0

    def get_state(self) -> dict[str, Any]:
        return {"smooth": self._smooth, "done": self._done}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self._smooth, self._done = state["smooth"], state["done"]

    def on_train_begin(self, logs: Mapping | None = None) -> None:
        self._bar = self._progress.bar(self._title, self._examples, "examples")
        self._bar.__enter__()
        if self._done:
            self._bar.advance(self._done)

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        loss = self._step_loss.value
        self._smooth = loss if self._smooth is None else 0.95 * self._smooth + 0.05 * loss
        self._done += self._batch_sizes(batch)
        self._bar.advance(self._batch_sizes(batch), loss=self._smooth)

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        logs = logs or {}
        message = ", ".join(
            f"{name.replace('val_', 'validation ').replace('_', ' ')} {float(logs[name]):.4f}"
            for name in self._shown
            if name in logs
        )
        if self._steps is None:
            place = f"Epoch {self._first_epoch + epoch + 1} of {self._epochs}"
        else:
            done = min((epoch + 1) * self.params["steps"], self._steps)
            place = f"Step {done:,} of {self._steps:,}"
        self._progress.note(f"{place}: {message}")

    def on_train_end(self, logs: Mapping | None = None) -> None:
        self.close()

    def close(self) -> None:
        """Ends the bar; to be called where `fit` may leave by an exception."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
