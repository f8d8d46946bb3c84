"""compile + fit: a task's model learns from cached examples."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.batching import plan_batches
from kerasft.data.cache import ArrayCache
from kerasft.data.pipeline import BatchStream
from kerasft.data.prepared import PreparedDataset
from kerasft.errors import ConfigError, TrainingError
from kerasft.optimizers.build import build_optimizer
from kerasft.progress import Progress, Silent
from kerasft.tasks.base import Task, higher_is_better
from kerasft.training import callbacks as own
from kerasft.training.config import TrainConfig
from kerasft.training.precision import Precision
from kerasft.training.run_folder import RunFolder
from kerasft.training.tensorboard import TensorBoardLog


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


def make_stream(
    task: Task,
    cache: ArrayCache,
    batch_size: int,
    *,
    seed: int = 0,
    shuffle: bool,
    group_lengths: bool = True,
    labels: np.ndarray | None = None,
) -> BatchStream:
    """Batches of a cached split.

    Args:
        task: collates.
        cache: the split's examples.
        batch_size: examples a batch.
        seed: of the order.
        shuffle: False for measuring: each example once, sorted by length.
        group_lengths: puts examples of like length together.
        labels: int32 (examples,), in place of the cache's (to train on shuffled ones).
    """
    column = task.length_column
    lengths = cache.lengths(column) if column else np.ones(len(cache), np.int64)
    # without XLA a new width costs nothing, so batches are as wide as their longest; a GPU likes multiples of 8
    multiple = 8 if tf.config.list_physical_devices("GPU") else 1

    def collate(rows: np.ndarray, width: int) -> dict[str, np.ndarray]:
        batch = task.collate(cache, rows, width)
        return batch if labels is None else {**batch, "label": labels[rows]}

    return BatchStream(
        lambda epoch: plan_batches(
            lengths,
            batch_size,
            seed=seed,
            epoch=epoch,
            shuffle=shuffle,
            group_lengths=group_lengths,
            width_multiple=multiple,
        ),
        collate,
        task.signature(),
        task.split_batch,
    )


def predict_outputs(
    forward: Callable[[Any], Any],
    stream: BatchStream,
    advance: Callable[[int], Any] | None = None,
) -> np.ndarray:
    """The outputs of every example, in the split's order.

    Args:
        forward: inputs of a batch → outputs (batch, …).
        stream: made with `shuffle=False`.
        advance: told how many examples are done after each batch.
    """
    outputs = np.empty(0)
    rows = sum(len(batch) for batch in stream.plan.batches)
    for batch_rows, (inputs, _) in zip(stream.plan.batches, stream.dataset(), strict=True):
        values = np.asarray(forward(inputs))
        if len(outputs) != rows:
            outputs = np.empty((rows, *values.shape[1:]), values.dtype)
        outputs[batch_rows] = values
        if advance:
            advance(len(batch_rows))
    return outputs


def make_forward(model: keras.Model) -> Callable[[Any], Any]:
    """The model's inference as one compiled function for batches of any size and width."""
    signature = tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), model.input)
    return tf.function(
        lambda inputs: model(inputs, training=False), input_signature=[signature], autograph=False
    )


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
    progress: Progress = Silent(),  # noqa: B008 (has no state)
) -> TrainingResult:
    """Trains `model` in place.

    A loss that is not finite, or Ctrl-C, ends the training; what there is to keep is then in the result, beside
    the error.
    """
    labels = _shuffled_labels(caches.train, seed) if config.shuffle_labels else None
    stream = make_stream(
        task,
        caches.train,
        config.batch_size,
        seed=seed,
        shuffle=True,
        group_lengths=config.group_lengths,
        labels=labels,
    )
    total_steps = len(stream) * config.epochs
    depths = task.compute_depths(model)
    from_head = {path: max(depths.values()) - depth for path, depth in depths.items()}
    optimizer = build_optimizer(config.optimizer, config.schedule, total_steps, from_head)
    if precision.policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer=optimizer, loss=task.loss(), metrics=task.metrics(), jit_compile=False)
    parts = _Callbacks(task, model, caches, dataset, config, run, stream, hyperparameters, progress, seed)
    result = TrainingResult(model)
    try:
        model.fit(stream.dataset(), epochs=config.epochs, verbose=0, shuffle=False, callbacks=parts.in_order)
    except TrainingError as error:
        result.error, result.stopped = error, str(error.what)
    except KeyboardInterrupt as error:
        result.error, result.stopped = error, "interrupted"
    finally:
        parts.close()
    _conclude(result, parts, config, stream)
    return result


def _conclude(result: TrainingResult, parts: _Callbacks, config: TrainConfig, stream: BatchStream) -> None:
    result.examples_per_second = parts.throughput.examples_per_second
    result.epochs = parts.counter.epochs
    shares = [stream.plan_of(epoch) for epoch in range(max(result.epochs, 1))]
    result.padding_share = float(np.mean([plan.padding_share for plan in shares]))
    if config.early_stopping and result.stopped is None and result.epochs < config.epochs:
        result.stopped = f"no improvement of {config.monitor} in {config.early_stopping.patience} epochs"
    if isinstance(result.error, TrainingError):
        parts.good.restore()
    if parts.best is not None and parts.best.restore():
        result.best_epoch, result.best_value = parts.best.epoch, parts.best.value
        result.best_step = None if parts.best.epoch is None else (parts.best.epoch + 1) * len(stream)


class _Counter(keras.callbacks.Callback):
    """Epochs finished."""

    def __init__(self):
        super().__init__()
        self.epochs = 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs = epoch + 1


class _Callbacks:
    """The callbacks of one training, in the order in which they depend on each other."""

    def __init__(
        self,
        task: Task,
        model: keras.Model,
        caches: Caches,
        dataset: PreparedDataset,
        config: TrainConfig,
        run: RunFolder,
        stream: BatchStream,
        hyperparameters: dict[str, Any] | None,
        progress: Progress,
        seed: int,
    ):
        self._model, self._stream, self._task, self._dataset = model, stream, task, dataset
        self._config = config
        split = dataset.split("train")

        def sizes(step: int) -> int:
            return len(stream.plan.batches[step])

        self.step_loss = own.StepLoss(
            lambda step: [split.origin(int(row)) for row in stream.plan.batches[step]], sizes
        )
        self.throughput = own.Throughput(sizes)
        self.counter = _Counter()
        self.history = own.History(run.history, config.tensorboard.every_steps, self.step_figures)
        self.progress = own.ShowProgress(progress, len(caches.train), sizes, self.step_loss, config.epochs)
        self.best: own.BestWeights | None = None
        self.validation: own.ValidationFigures | None = None
        self.in_order: list[keras.callbacks.Callback] = [
            own.EpochSetter(stream),
            self.step_loss,
            self.throughput,
        ]
        if caches.validation is not None:
            self._add_validation(caches.validation, seed)
        elif config.early_stopping:
            raise ConfigError(
                "there is no validation split by which to stop",
                where="train.early_stopping",
                fix="Name data.validation or set data.validation_share above 0; or leave early_stopping out.",
            )
        self.good = own.GoodWeights(self.best)
        self.in_order.append(self.good)
        self.tensorboard = TensorBoardLog(
            run.logs,
            config.tensorboard.every_steps,
            self.step_figures,
            self._texts,
            self._images,
            hyperparameters,
        )
        self.in_order += [self.counter, self.history, self.tensorboard, self.progress]

    def _add_validation(self, cache: ArrayCache, seed: int) -> None:
        config = self._config
        stream = make_stream(self._task, cache, config.evaluation_batch_size, shuffle=False)
        forward = make_forward(self._model)
        self._references = np.asarray(cache.column("label"))

        def compute(outputs: np.ndarray) -> dict[str, float]:
            if not np.isfinite(outputs).all():
                raise TrainingError(
                    "the model's outputs on the validation split are not finite",
                    fix="Lower train.optimizer.learning_rate or set global_clipnorm.",
                )
            figures = self._task.evaluate(outputs, self._references, bootstrap_samples=0, seed=seed)
            return {name: float(figure["value"]) for name, figure in figures.items() if _is_overall(name)}

        self.validation = own.ValidationFigures(lambda: predict_outputs(forward, stream), compute)
        monitor = "log_loss" if config.monitor == "loss" else config.monitor
        self._check_monitor(monitor)
        better = higher_is_better(monitor)
        self.best = own.BestWeights(f"val_{monitor}", better)
        if getattr(_inner(self._model.optimizer), "use_ema", False):
            # what is measured and kept is the average, which `fit` by itself puts in place at the very end only
            self.in_order.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=True))
        self.in_order += [self.validation, self.best]
        if config.early_stopping:
            self.in_order.append(
                keras.callbacks.EarlyStopping(
                    f"val_{monitor}",
                    patience=config.early_stopping.patience,
                    min_delta=config.early_stopping.min_delta,
                    mode="max" if better else "min",
                )
            )

    def _check_monitor(self, monitor: str) -> None:
        classes = self._model.output_shape[-1]
        known = self._task.evaluate(
            np.eye(classes, dtype=np.float32), np.arange(classes), bootstrap_samples=0, seed=0
        )
        names = sorted({name for name in known if _is_overall(name)} | {"loss"})
        if monitor not in names:
            raise ConfigError(
                f"there is no figure {monitor!r} to choose the best epoch by",
                where="train.monitor",
                fix=f"One of: {', '.join(names)}.",
            )

    def step_figures(self) -> dict[str, float]:
        """Figures of the step that just ended."""
        plan = self._stream.plan
        figures = {
            "loss": self.step_loss.value,
            "learning_rate": _last_learning_rate(_inner(self._model.optimizer)),
            "examples_per_second": self.throughput.examples_per_second,
            "padding_share": plan.padding_share,
        }
        norm = getattr(_inner(self._model.optimizer), "global_gradient_norm", None)
        if norm is not None:
            figures["gradient_norm"] = float(norm.numpy())
        return figures

    def _texts(self) -> dict[str, str]:
        count = self._config.tensorboard.examples
        if self.validation is None or self.validation.outputs is None or not count:
            return {}
        split = self._dataset.split("validation")
        # the same examples after each epoch, from all over the split
        rows = np.unique(np.linspace(0, len(split) - 1, min(count, len(split))).astype(int))
        return {"validation_examples": self._task.describe(split.take(rows), self.validation.outputs[rows])}

    def _images(self) -> dict[str, bytes]:
        if self.validation is None or self.validation.outputs is None:
            return {}
        from kerasft.plots.style import figure_to_png

        pictures = self._task.draw(self.validation.outputs, self._references)
        return {name: figure_to_png(figure) for name, figure in pictures.items()}

    def close(self) -> None:
        """Ends files and bars, however `fit` ended."""
        for part in (self.history, self.tensorboard, self.progress):
            with contextlib.suppress(OSError):
                part.close()


def _inner(optimizer: Any) -> Any:
    """The optimizer inside a `LossScaleOptimizer`."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def _last_learning_rate(optimizer: Any) -> float:
    """The rate of the step that just ended; `optimizer.learning_rate` is the next one's under a schedule."""
    schedule = optimizer._learning_rate
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return float(schedule(optimizer._iterations - 1))
    return float(optimizer.learning_rate.numpy())


def _is_overall(figure: str) -> bool:
    """Whether a figure is of the whole split and tells how good the model is."""
    return "/" not in figure and figure != "examples"


def _shuffled_labels(cache: ArrayCache, seed: int) -> np.ndarray:
    labels = np.array(cache.column("label"))
    return np.random.default_rng([seed, 1]).permutation(labels)
