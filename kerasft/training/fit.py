"""compile + fit: a task's model learns from cached examples, from the beginning or from a checkpoint."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.cache import ArrayCache
from kerasft.data.pipeline import BatchStream
from kerasft.data.prepared import PreparedDataset
from kerasft.errors import Terminated, TrainingError, storage_error
from kerasft.optimizers.build import build_optimizer
from kerasft.progress import Progress, Silent
from kerasft.tasks.base import Task
from kerasft.training.callback_set import CallbackSet, Setting
from kerasft.training.checkpoint import Checkpoint, CheckpointWriter
from kerasft.training.checkpointing import CallbackSequence, Checkpointer, skip_steps
from kerasft.training.config import TrainConfig
from kerasft.training.interruption import StopRequest
from kerasft.training.precision import Precision
from kerasft.training.run_folder import RunFolder
from kerasft.training.state import build_all
from kerasft.training.streams import make_stream


@dataclass
class Caches:
    """Encoded examples by split."""

    train: ArrayCache
    validation: ArrayCache | None = None


@dataclass
class TrainingResult:
    """What came of a training.

    Attributes:
        model: with the best epoch's weights, or the last good ones where it was cut short.
        examples_per_second: of training steps, the first left out.
        padding_share: padded positions of the training batches, all epochs.
        best_epoch: from 0; None without validation.
        best_value: the monitored figure there.
        best_step: the last step of that epoch.
        epochs: finished.
        stopped: why training ended before its time; None if it did not.
        error: raised by the training; what can be saved is in `model`.
        seconds: that training took, in all processes that had a part in it.
    """

    model: keras.Model
    examples_per_second: float = 0.0
    padding_share: float = 0.0
    best_epoch: int | None = None
    best_value: float | None = None
    best_step: int | None = None
    epochs: int = 0
    stopped: str | None = None
    error: BaseException | None = None
    seconds: float = 0.0


def train(
    task: Task,
    model: keras.Model,
    caches: Caches,
    dataset: PreparedDataset,
    config: TrainConfig,
    run: RunFolder,
    *,
    seed: int,
    precision: Precision,
    hyperparameters: dict[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
    checkpoint: Checkpoint | None = None,
    started: float | None = None,
    progress: Progress = Silent(),  # noqa: B008 (has no state)
) -> TrainingResult:
    """Trains `model` in place.

    A loss that is not finite, or Ctrl-C, ends the training; what there is to keep is then in the result, beside
    the error.

    Args:
        task: what is learned.
        model: of `task.build_model`.
        caches: encoded examples.
        dataset: raw ones, to name and show.
        config: the `train` section.
        run: where checkpoints, history and TensorBoard's files go.
        seed: of the order of examples.
        precision: what `model` was built with.
        hyperparameters: for TensorBoard.
        facts: what checkpoints hold besides, JSON-able.
        checkpoint: where to go on from; None: from the beginning.
        started: `time.perf_counter()` at the beginning of the stage.
        progress: where to report.

    Raises:
        Terminated: SIGTERM came; a checkpoint was written first.
        StorageError: a checkpoint or a log cannot be written.
    """
    stream = _make_train_stream(task, caches.train, config, seed)
    compile_model(task, model, config, len(stream), precision)
    build_all(model, *first_example(task, stream))
    with StopRequest() as stop:
        parts = CallbackSet(
            Setting(task, model, dataset, config, run, seed, hyperparameters, progress),
            stream,
            caches.validation,
            stop.check,
        )
        clock = _Clock(started, checkpoint)
        writer = CheckpointWriter(run.checkpoints / "finetune", config.checkpoint.keep)
        checkpointer = Checkpointer(
            writer, config.checkpoint, stream, parts.stateful, parts.best, stop, facts or {}, clock.read
        )
        checkpointer.bind(model)
        epoch, steps = checkpointer.restore(checkpoint) if checkpoint else (0, 0)
        if checkpoint and checkpoint.load_state()["stopped_early"]:
            epoch, steps = config.epochs, 0
        result = TrainingResult(model)
        try:
            skip_steps(model, steps)
            model.fit(
                stream.dataset(),
                epochs=config.epochs,
                initial_epoch=epoch,
                verbose=0,
                shuffle=False,
                callbacks=[
                    *parts.seeing_all_steps,
                    CallbackSequence([*parts.in_order, checkpointer], steps),
                ],
            )
            writer.wait()
            stop.check()
        except TrainingError as error:
            result.error, result.stopped = error, str(error.what)
        except KeyboardInterrupt as error:
            result.error, result.stopped = error, "interrupted"
            if checkpointer.step != checkpointer.saved_step:
                checkpointer.save()
            writer.wait()
        except Exception as error:
            # a log or a checkpoint; TensorFlow and NumPy each have a way of their own to say that a disk is full
            told = storage_error(error, run.path)
            if told is None:
                raise
            raise told from error
        finally:
            parts.close()
            # whatever is on its way, nothing may be written to the folder once it is let go
            with contextlib.suppress(Exception):
                writer.wait()
    result.seconds = clock.read()
    if isinstance(result.error, Terminated):
        raise Terminated(f"saved after step {checkpointer.step:,}; the same command goes on from there.")
    _conclude(result, parts, checkpointer, config, stream)
    return result


class _Clock:
    """Seconds that the training has taken, those before it was cut off included."""

    def __init__(self, started: float | None, checkpoint: Checkpoint | None):
        self._started = time.perf_counter() if started is None else started
        self._before = checkpoint.load_state()["seconds"] if checkpoint else 0.0

    def read(self) -> float:
        return self._before + time.perf_counter() - self._started


def _make_train_stream(task: Task, cache: ArrayCache, config: TrainConfig, seed: int) -> BatchStream:
    return make_stream(
        task,
        cache,
        config.batch_size,
        seed=seed,
        shuffle=True,
        group_lengths=config.group_lengths,
        labels=_shuffled_labels(cache, seed) if config.shuffle_labels else None,
        workers=config.workers,
    )


def count_steps(config: TrainConfig, steps_per_epoch: int) -> int:
    """Steps of the whole training."""
    steps = steps_per_epoch * config.epochs
    return steps if config.max_steps is None else min(steps, config.max_steps)


def compile_model(
    task: Task, model: keras.Model, config: TrainConfig, steps_per_epoch: int, precision: Precision
) -> None:
    """Gives the model its loss, metrics and optimizer."""
    depths = task.compute_depths(model)
    from_head = {path: max(depths.values()) - depth for path, depth in depths.items()}
    total_steps = count_steps(config, steps_per_epoch)
    optimizer = build_optimizer(config.optimizer, config.schedule, total_steps, from_head)
    if precision.policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer=optimizer, loss=task.loss(), metrics=task.metrics(), jit_compile=False)


def first_example(task: Task, stream: BatchStream) -> tuple[Any, Any]:
    """(inputs, labels) of one example, as tensors."""
    return task.split_batch({name: tf.constant(array[:1]) for name, array in stream.batch(0).items()})


def _conclude(
    result: TrainingResult,
    parts: CallbackSet,
    checkpointer: Checkpointer,
    config: TrainConfig,
    stream: BatchStream,
) -> None:
    result.examples_per_second = parts.throughput.examples_per_second
    result.epochs = parts.counter.epochs
    shares = [stream.plan_of(epoch) for epoch in range(max(result.epochs, 1))]
    result.padding_share = float(np.mean([plan.padding_share for plan in shares]))
    done = checkpointer.step >= count_steps(config, len(stream))
    if config.early_stopping and result.stopped is None and not done:
        result.stopped = f"no improvement of {config.monitor} in {config.early_stopping.patience} epochs"
    if isinstance(result.error, TrainingError):
        checkpointer.restore_good_weights()
    if parts.best is not None and parts.best.restore():
        result.best_epoch, result.best_value = parts.best.epoch, parts.best.value
        result.best_step = checkpointer.best_step


def _shuffled_labels(cache: ArrayCache, seed: int) -> np.ndarray:
    labels = np.array(cache.column("label"))
    return np.random.default_rng([seed, 1]).permutation(labels)
