"""`compile` and `fit` for one phase of a training, from the start or from a checkpoint."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from kerasft.data.feed import Feed
from kerasft.data.intervals import IntervalStream
from kerasft.data.pipeline import BatchStream
from kerasft.data.streams import make_stream
from kerasft.errors import ConfigError, Terminated, TrainingError, storage_error
from kerasft.models.adaptation.learning import describe_learning
from kerasft.models.text.remat import set_remat
from kerasft.optimizers.build import build_optimizer
from kerasft.progress import Progress
from kerasft.runs.folder import RunFolder
from kerasft.tasks.base import Phase, Task
from kerasft.training.callback_set import CallbackSet
from kerasft.training.config import TrainConfig
from kerasft.training.context import TrainingContext
from kerasft.training.precision import Precision
from kerasft.training.result import TrainingResult
from kerasft.training.resume.checkpoint_files import Checkpoint, CheckpointWriter
from kerasft.training.resume.checkpointer import CallbackSequence, Checkpointer, skip_steps
from kerasft.training.resume.interruption import StopRequest
from kerasft.training.resume.state import build_all, name_weights, take_snapshot


def train(
    context: TrainingContext,
    phase: Phase,
    *,
    checkpoint: Checkpoint | None = None,
    before: TrainingResult | None = None,
) -> TrainingResult:
    """Trains the model of a phase in place.

    A loss that is not finite, or Ctrl-C, ends the training; what there is to keep is then in the result, beside
    the error.

    Args:
        context: of the training, in this phase.
        phase: model and batches.
        checkpoint: of this phase, where to go on from; None: from its beginning.
        before: what came of the phases before; their best weights are in the model.

    Raises:
        Terminated: SIGTERM came; a checkpoint was written first.
        StorageError: a checkpoint or a log cannot be written.
        DamagedError: the dataset's files are not as they were written.
    """
    stream = make_train_stream(phase.train, context.config, context.seed, phase.first_epoch)
    context = context.reach_max_steps(phase, len(stream))
    result = TrainingResult(phase.model, learning_share=_prepare_model(context, phase, stream))
    context = context.count_steps_left(phase, len(stream))
    interval = context.config.validate_every_steps
    if interval is not None:
        steps = count_steps(context.config, len(stream))
        context = context.validate_by_steps(steps, len(stream))
        stream = IntervalStream(stream, min(interval, steps))
    with StopRequest() as stop:
        parts = CallbackSet(context, phase, stream, stop.check, before.epochs if before else 0)
        if before is not None:
            _follow(parts, before, phase, checkpoint)
        clock = _Clock(context.started, checkpoint)
        writer = CheckpointWriter(context.run.checkpoints / phase.name, context.config.checkpoint.keep)
        checkpointer = Checkpointer(
            writer,
            context.config.checkpoint,
            stream,
            parts.stateful,
            parts.best,
            stop,
            context.facts,
            clock.read,
        )
        checkpointer.bind(phase.model)
        epoch, steps = _restore(checkpointer, checkpoint, context.config.epochs)
        with _keeping_what_there_is(result, context.run, parts, checkpointer, writer, stop):
            if checkpoint is None:
                parts.show_varied()
            _fit(phase.model, stream, context.config.epochs, parts, checkpointer, epoch, steps)
    result.seconds = clock.read()
    if isinstance(result.error, Terminated):
        if not checkpointer.step:
            raise Terminated("no step was completed; run the same command again to start.")
        raise Terminated(f"saved after step {checkpointer.step:,}; run the same command again to continue.")
    _conclude(result, parts, checkpointer, context.config, stream, phase)
    if before is not None:
        result.add_earlier(before)
    return result


def _prepare_model(context: TrainingContext, phase: Phase, stream: BatchStream) -> float:
    """Compiles a phase's model and makes all of its variables.

    Returns:
        The share of all parameters that learns.
    """
    compile_model(context.task, phase, context.config, len(stream), context.precision)
    inputs, labels = first_example(phase.train, stream)
    check_inputs(phase.model, inputs)
    build_all(phase.model, inputs, labels)
    check_groups(phase, context.config)
    return show_learning(phase, context.config, context.progress)


def _follow(parts: CallbackSet, before: TrainingResult, phase: Phase, checkpoint: Checkpoint | None) -> None:
    """Lets the callbacks go on from what came of the phases before."""
    # a checkpoint of this phase knows itself how far the logs are
    logs = None if checkpoint else before.logs
    best = before.best_weights or take_snapshot(name_weights(phase.model))
    parts.follow(logs, before.best_value, best)


def _restore(checkpointer: Checkpointer, checkpoint: Checkpoint | None, epochs: int) -> tuple[int, int]:
    """The epoch to begin with, and how many of its steps are done; a training that stopped early has none left."""
    if checkpoint is None:
        return 0, 0
    start = checkpointer.restore(checkpoint)
    return (epochs, 0) if checkpoint.load_training_state()["stopped_early"] else start


def _fit(
    model: keras.Model,
    stream: BatchStream,
    epochs: int,
    parts: CallbackSet,
    checkpointer: Checkpointer,
    epoch: int,
    steps: int,
) -> None:
    """Keras' `fit`, from the beginning of `epoch`, whose first `steps` steps are done already."""
    skip_steps(model, steps)
    with stream.raising_own_errors():
        model.fit(
            stream.dataset(),
            epochs=epochs,
            initial_epoch=epoch,
            verbose=0,
            shuffle=False,
            callbacks=[*parts.seeing_all_steps, CallbackSequence([*parts.in_order, checkpointer], steps)],
        )


@contextlib.contextmanager
def _keeping_what_there_is(
    result: TrainingResult,
    run: RunFolder,
    parts: CallbackSet,
    checkpointer: Checkpointer,
    writer: CheckpointWriter,
    stop: StopRequest,
) -> Iterator[None]:
    """Notes in the result what cut a training short, its last state saved; whatever happens, all files are closed.

    Raises:
        StorageError: a checkpoint or a log cannot be written.
    """
    try:
        yield
        writer.wait()
        stop.check()
    except TrainingError as error:
        result.error, result.stopped = error, str(error.what)
    except KeyboardInterrupt as error:
        stop.has_news = True  # what comes now is saving
        result.error, result.stopped = error, "interrupted"
        if checkpointer.step != checkpointer.saved_step:
            checkpointer.save()
        writer.wait()
    except Exception as error:
        # a log or a checkpoint; TensorFlow and NumPy each have a way of their own to say that a disk is full
        failure = storage_error(error, run.path)
        if failure is None:
            raise
        raise failure from error
    finally:
        parts.close()
        # whatever is on its way, nothing may be written to the folder once it is let go
        with contextlib.suppress(Exception):
            writer.wait()


class _Clock:
    """Seconds that the training has taken, those before it was cut off included."""

    def __init__(self, started: float | None, checkpoint: Checkpoint | None):
        self._started = time.perf_counter() if started is None else started
        self._before = checkpoint.load_training_state()["seconds"] if checkpoint else 0.0

    def read(self) -> float:
        return self._before + time.perf_counter() - self._started


def make_train_stream(feed: Feed, config: TrainConfig, seed: int, first_epoch: int) -> BatchStream:
    """The batches that a phase learns from."""
    return make_stream(
        feed.shuffle_labels(seed) if config.shuffle_labels else feed,
        config.batch_size,
        seed=seed,
        shuffle=True,
        group_lengths=config.group_lengths,
        workers=config.workers,
        first_epoch=first_epoch,
    )


def count_steps(config: TrainConfig, steps_per_epoch: int) -> int:
    """Steps of the whole training."""
    steps = steps_per_epoch * config.epochs
    return steps if config.max_steps is None else min(steps, config.max_steps)


def compile_model(
    task: Task, phase: Phase, config: TrainConfig, steps_per_epoch: int, precision: Precision
) -> None:
    """Gives the phase's model its loss, metrics and optimizer, and says which activations it keeps."""
    set_remat(phase.whole_model, config.remat)
    depths = phase.depths
    from_head = {path: max(depths.values()) - depth for path, depth in depths.items()}
    course = config
    if phase.total_epochs is not None:
        course = config.model_copy(update={"epochs": phase.total_epochs})
    optimizer = build_optimizer(
        config.optimizer,
        config.schedule,
        count_steps(course, steps_per_epoch),
        from_head,
        phase.first_epoch * steps_per_epoch,
    )
    if precision.policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    loss = task.loss() if phase.loss is None else phase.loss
    phase.model.compile(optimizer=optimizer, loss=loss, metrics=task.metrics(), jit_compile=False)


def check_groups(phase: Phase, config: TrainConfig) -> None:
    """Refuses exceptions for variables that are not there.

    Raises:
        ConfigError: an expression of `train.optimizer.groups` matches none.
    """
    paths = [variable.path for variable in phase.whole_model.weights]
    for number, group in enumerate(getattr(config.optimizer, "groups", ())):
        if not any(re.search(group.match, path) for path in paths):
            shown = ", ".join(paths[:: max(len(paths) // 6, 1)][:6])
            raise ConfigError(
                f"no variable's path matches {group.match!r}",
                where=f"train.optimizer.groups[{number}].match",
                fix=f"Some of the {len(paths)} paths: {shown}.",
            )


def show_learning(phase: Phase, config: TrainConfig, progress: Progress) -> float:
    """Shows what learns in a phase, and how fast; its model is compiled and built.

    Returns:
        The share of all parameters that learns.
    """
    optimizer, rate = phase.model.optimizer, config.optimizer.learning_rate
    rows = describe_learning(phase.whole_model, optimizer, phase.depths, rate)
    table = [(what, parameters, f"{share:.2%}", rate, decay) for what, parameters, share, rate, decay in rows]
    where = "" if phase.total_epochs is None else f" from epoch {phase.first_epoch + 1} on"
    columns = ("weights", "parameters", "share", "highest rate", "weight decay")
    progress.table(f"What learns{where}", columns, table)
    return sum(share for _, _, share, rate, _ in rows if rate is not None)


def first_example(feed: Feed, stream: BatchStream) -> tuple[Any, Any]:
    """(inputs, labels) of one example, as tensors."""
    return feed.unpack({name: tf.constant(array[:1]) for name, array in stream.batch(0).items()})


def check_inputs(model: keras.Model, inputs: Any) -> None:
    """Makes sure that a model is given what it takes: Keras pairs inputs by the order of their names, not by name.

    Raises:
        TypeError: one too many, or too few.
    """
    takes = getattr(model, "input", None)
    if isinstance(takes, Mapping) and isinstance(inputs, Mapping) and set(takes) != set(inputs):
        raise TypeError(f"the feed gives {sorted(inputs)}, and the model takes {sorted(takes)}")


def _conclude(
    result: TrainingResult,
    parts: CallbackSet,
    checkpointer: Checkpointer,
    config: TrainConfig,
    stream: BatchStream,
    phase: Phase,
) -> None:
    result.examples_per_second = parts.throughput.examples_per_second
    lengths = phase.train.lengths
    result.tokens_per_example = float(lengths.mean()) if lengths.max() > 1 else 0.0
    result.epochs, result.steps = parts.counter.epochs, checkpointer.step
    result.logs = parts.read_logs()
    whole = stream
    if isinstance(stream, IntervalStream):
        whole = stream.whole
        result.epochs = result.steps // len(whole)
    result.padding_share = whole.compute_padding_share(max(result.epochs, 1))
    done = checkpointer.step >= count_steps(config, len(stream))
    result.exhausted = config.max_steps is not None and checkpointer.step >= config.max_steps
    if config.early_stopping and result.stopped is None and not done:
        times = "epochs" if config.validate_every_steps is None else "validations"
        result.stopped = f"no improvement of {config.monitor} in {config.early_stopping.patience} {times}"
    if isinstance(result.error, TrainingError):
        checkpointer.restore_good_weights()
    if parts.best is None:
        return
    goes_on = phase.total_epochs is not None and not phase.final
    if goes_on:
        result.best_weights = parts.best.weights
    if goes_on or parts.best.restore():
        result.best_epoch, result.best_value = parts.best.epoch, parts.best.value
        if isinstance(stream, IntervalStream):
            result.best_epoch = None  # it was found within one: its step tells
        result.best_step = checkpointer.best_step
