"""When checkpoints are saved, and how `fit` resumes in the middle of an epoch."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasft.data.pipeline import BatchStream
from kerasft.errors import DataError, TrainingError
from kerasft.training.callbacks import Stateful
from kerasft.training.config import CheckpointConfig
from kerasft.training.resume.checkpoint_files import Checkpoint, CheckpointWriter, find_checkpoint
from kerasft.training.resume.interruption import StopRequest
from kerasft.training.resume.state import (
    name_variables,
    name_weights,
    read_generators,
    restore_generators,
    restore_variables,
    take_snapshot,
)
from kerasft.training.selection import BestWeights
from kerasft.untrusted import naming

LEAD = 0.1
"""The share of `every_steps` that is left for writing beside the training before it has to wait."""


def count_interval(every_steps: int) -> int:
    """Steps between two checkpoints, so that never more than `every_steps` are done again."""
    return max(every_steps - math.ceil(LEAD * every_steps), 1)


class CallbackSequence(keras.callbacks.Callback):
    """Several callbacks as one; none of them sees the steps that a resumed `fit` does not do again.

    Args:
        parts: in their order.
        skipped_steps: of the first epoch.
    """

    def __init__(self, parts: Sequence[keras.callbacks.Callback], skipped_steps: int = 0):
        super().__init__()
        self._parts, self._skipped = list(parts), skipped_steps

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        for part in self._parts:
            part.set_model(model)

    def set_params(self, params: Mapping[str, Any]) -> None:
        super().set_params(params)
        for part in self._parts:
            part.set_params(params)

    def on_train_begin(self, logs: Any = None) -> None:
        for part in self._parts:
            part.on_train_begin(logs)

    def on_train_end(self, logs: Any = None) -> None:
        for part in self._parts:
            part.on_train_end(logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        for part in self._parts:
            part.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._skipped = 0
        for part in self._parts:
            part.on_epoch_end(epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if batch >= self._skipped:
            for part in self._parts:
                part.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch >= self._skipped:
            for part in self._parts:
                part.on_train_batch_end(batch, logs)


def skip_steps(model: keras.Model, count: int) -> None:
    """Makes the first `count` steps of the next `fit` draw no data and change nothing.

    `fit` counts its steps from an epoch's beginning and takes a shortened first epoch for the length of all; so the
    steps done before are gone through once more, empty.
    """
    model.make_train_function()
    step, left, figures = model.train_function, count, None

    def skip_or_step(iterator: Any) -> Any:
        nonlocal left, figures
        if left == 0:
            return step(iterator)
        left -= 1
        figures = model.get_metrics_result() if figures is None else figures
        return figures

    if count:
        model.train_function = skip_or_step


class Checkpointer(keras.callbacks.Callback):
    """Saves every bit that the next step depends on: every few steps or minutes, after each epoch, and on a signal.

    Stands last: what the others did at a step or an epoch's end is part of the state.

    Args:
        writer: of the stage's checkpoints.
        config: when.
        stream: the training's batches.
        stateful: callbacks with something to remember, by name.
        best: the best epoch's weights, where there is validation.
        stop: what the user has asked for.
        facts: what else a checkpoint holds: the run's identity, precision, …; JSON-able.
        elapsed: () → seconds that the training has taken, in all processes.
    """

    def __init__(
        self,
        writer: CheckpointWriter,
        config: CheckpointConfig,
        stream: BatchStream,
        stateful: Mapping[str, Stateful],
        best: BestWeights | None,
        stop: StopRequest,
        facts: Mapping[str, Any],
        elapsed: Callable[[], float],
    ):
        super().__init__()
        self._writer, self._config, self._stream, self._stateful = writer, config, stream, stateful
        self._best, self._stop, self._facts, self._elapsed = best, stop, facts, elapsed
        self._epoch, self._done, self._step = 0, 0, 0
        self.steps_per_epoch = len(stream)
        self._best_step: int | None = None
        self._variables: dict[str, Any] = {}
        self._initial: dict[str, np.ndarray] = {}
        self._metrics: dict[str, np.ndarray] = {}
        self._saved_at, self._saved_step = time.monotonic(), 0
        self._plan_of, self._plan = -1, ""

    @property
    def step(self) -> int:
        """Steps done, all epochs."""
        return self._step

    @property
    def saved_step(self) -> int:
        """The step of the last checkpoint that was begun."""
        return self._saved_step

    @property
    def best_step(self) -> int | None:
        """Steps done at the end of the best epoch."""
        return self._best_step

    def bind(self, model: keras.Model) -> None:
        """Names the variables of a compiled and built model; before `restore` and `fit`."""
        self._variables = name_variables(model)
        self._initial = take_snapshot(name_weights(model))

    def restore(self, checkpoint: Checkpoint) -> tuple[int, int]:
        """Puts the bound model, the callbacks and the generators where the checkpoint was written.

        Returns:
            The epoch that `fit` begins with, and how many of its steps are done.

        Raises:
            DataError: the checkpoint is of another model or another order of batches.
        """
        state, tensors = checkpoint.load_training_state(), checkpoint.load_tensors()
        self._epoch, self._done, self._step = state["epoch"], state["steps_of_epoch"], checkpoint.step
        self._saved_step, self._best_step = checkpoint.step, state["best_step"]
        self._writer.written_step = checkpoint.step
        self._stream.seek(self._epoch, self._done)
        if state["plan"] != self._fingerprint_plan():
            raise DataError(
                "the order of the batches differs from the one in the checkpoint",
                where=str(checkpoint.path),
                fix="Use the versions of kerasft and NumPy that wrote it, or start over: --restart.",
            )
        with naming(checkpoint.path):
            restore_variables(self._variables, tensors)
        if self._done:
            # `fit` sets the metrics back when the epoch begins: they are put in place after that
            self._metrics = {name: value for name, value in tensors.items() if name.startswith("metrics/")}
        with naming(checkpoint.path):
            states = {name: state["callbacks"][name] for name in self._stateful}
        for name, part in self._stateful.items():
            part.set_state(states[name])
        if self._best is not None and self._best_step is not None:
            folder = checkpoint.path.with_name(str(self._best_step))
            stored = Checkpoint(self._best_step, folder).load_tensors("model/")
            self._best.set_weights(stored)
        with naming(checkpoint.path):
            restore_generators(state["generators"])
        return self._epoch, self._done

    def on_epoch_begin(self, epoch: int, logs: Mapping | None = None) -> None:
        if self._metrics:
            restore_variables(
                {name: v for name, v in self._variables.items() if name.startswith("metrics/")}, self._metrics
            )
            self._metrics = {}

    def on_train_batch_end(self, batch: int, logs: Mapping | None = None) -> None:
        self._done += 1
        self._step += 1
        self._stop.has_news = True
        if self._stop.requested:
            self.save_and_leave()
        # the last step's state is saved with the epoch's end, right after it
        if self._done < self.steps_per_epoch and not self.model.stop_training and self._is_due():
            self.save()
        limit = self._config.every_steps
        if limit is not None and self._step + 1 - self._writer.written_step > limit:
            # one more step, and a kill would cost more than was promised
            self._writer.wait()

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        self._epoch, self._done = epoch + 1, 0
        if self._best is not None and self._best.epoch == epoch:
            self._best_step = self._step
        self.save()
        if self._stop.requested:
            self._writer.wait()
            self._stop.check()

    def _is_due(self) -> bool:
        steps, minutes = self._config.every_steps, self._config.every_minutes
        if steps is not None and self._step - self._saved_step >= count_interval(steps):
            return True
        return minutes is not None and time.monotonic() - self._saved_at >= 60 * minutes

    def save(self) -> None:
        """Takes a snapshot, and hands it to the background; waits where the one before is still being written.

        Raises:
            TrainingError: the one before held weights that are not finite.
            OSError: the one before could not be written.
        """
        self._writer.wait()
        if self._saved_step:
            self._initial = {}
        state = {
            "epoch": self._epoch,
            "steps_of_epoch": self._done,
            "best_step": self._best_step,
            # within an epoch there is its end to come, whatever comes after that
            "stopped_early": bool(self.model.stop_training) and self._done == 0,
            "seconds": self._elapsed(),
            "plan": self._fingerprint_plan(),
            "callbacks": {name: part.get_state() for name, part in self._stateful.items()},
            "generators": read_generators(),
            **self._facts,
        }
        self._writer.submit(self._step, take_snapshot(self._variables), state)
        self._saved_at, self._saved_step = time.monotonic(), self._step

    def save_and_leave(self) -> None:
        """Saves, waits until that is on disk, and leaves as the signal says.

        Raises:
            Terminated, KeyboardInterrupt: always.
        """
        self.save()
        self._writer.wait()
        self._stop.check()

    def restore_good_weights(self) -> None:
        """Gives the model its last finite weights: the newest checkpoint's, or those of the beginning."""
        with contextlib.suppress(TrainingError, OSError):
            self._writer.wait()
        checkpoint = find_checkpoint(self._writer.folder)
        stored = self._initial if checkpoint is None else checkpoint.load_tensors("model/")
        restore_variables(name_weights(self.model), stored)

    def _fingerprint_plan(self) -> str:
        """Of the batches of the epoch that is next, so that a resumed run can tell that it has the same."""
        if self._plan_of != self._epoch:
            same = self._epoch == self._stream.epoch
            plan = self._stream.plan if same else self._stream.plan_of(self._epoch)
            digest = hashlib.sha256(np.concatenate([*plan.batches, plan.widths]).astype("<i8").tobytes())
            self._plan_of, self._plan = self._epoch, digest.hexdigest()[:16]
        return self._plan
