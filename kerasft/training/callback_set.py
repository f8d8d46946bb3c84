"""The callbacks of one training, in the order of their dependencies."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.feed import Feed, Output
from kerasft.data.intervals import IntervalStream
from kerasft.data.pipeline import BatchStream
from kerasft.data.streams import MeasuredSplit
from kerasft.errors import ConfigError
from kerasft.metrics.tally import Tally
from kerasft.tasks.base import Phase
from kerasft.training import callbacks, history, selection
from kerasft.training.config import TrainConfig
from kerasft.training.context import TrainingContext
from kerasft.training.tensorboard import TensorBoardLog

_TITLES = {"head": "Training the head"}
"""A phase → what its bar says; what the task says for others."""


class CallbackSet:
    """The callbacks that watch a training and judge its epochs.

    Args:
        context: of the training.
        phase: of it.
        stream: its batches.
        check_stop: leaves by exception where the user has asked for an end.
        epochs_before: of earlier phases.

    Attributes:
        in_order: those that a resumed `fit` shows only the steps that it does.
        seeing_all_steps: those that count from the epoch's beginning; they stand before the others.
        stateful: those with something to remember over a restart, by name.
    """

    def __init__(
        self,
        context: TrainingContext,
        phase: Phase,
        stream: BatchStream,
        check_stop: Callable[[], Any],
        epochs_before: int = 0,
    ):
        config, run = context.config, context.run
        self._context, self._phase = context, phase
        self._stream, self._check_stop = stream, check_stop
        intervals = stream if isinstance(stream, IntervalStream) else None
        self.step_loss = callbacks.StepLoss(
            self._name_examples, self._count_examples, intervals.locate if intervals else None
        )
        self.throughput = callbacks.Throughput(self._count_examples)
        self.counter = callbacks.EpochCounter()
        self.history = history.History(
            run.history,
            config.tensorboard.every_steps,
            self.step_figures,
            epochs_before,
            len(intervals.whole) if intervals else None,
        )
        self.progress = history.ShowProgress(
            context.progress,
            _count_all_examples(config, stream),
            self._count_examples,
            self.step_loss,
            phase.total_epochs or config.epochs,
            _TITLES.get(phase.name, context.task.title),
            phase.first_epoch,
            config.monitor,
            config.max_steps if intervals else None,
        )
        self.tensorboard = TensorBoardLog(
            run.logs,
            config.tensorboard.every_steps,
            lambda: self.history.figures,
            self._texts,
            self._images,
            context.hyperparameters,
            # epochs of a part of the model, on features that are kept, take less time than pictures of them
            most_images=5 if phase.whole is None else 1,
        )
        self.best: selection.BestWeights | None = None
        self.validation: selection.ValidationFigures | None = None
        self._put_in_order()

    def _put_in_order(self) -> None:
        """Lists the callbacks; those of the validation stand between what measures steps and what tells of epochs."""
        config = self._context.config
        self.stateful: dict[str, callbacks.Stateful] = {
            "step_loss": self.step_loss,
            "throughput": self.throughput,
        }
        self.in_order: list[keras.callbacks.Callback] = [
            callbacks.EpochSetter(self._stream),
            self.step_loss,
            self.throughput,
            callbacks.LastUpdate(),
        ]
        if self._phase.validation is not None:
            self._add_validation(self._phase.validation)
        else:
            for key in ("early_stopping", "validate_every_steps"):
                if getattr(config, key):
                    raise ConfigError(
                        f"{key.replace('_', ' ')} needs a validation split",
                        where=f"train.{key}",
                        fix=f"Name data.validation or set data.validation_share above 0; or leave {key} out.",
                    )
        self.seeing_all_steps: list[keras.callbacks.Callback] = []
        if config.max_steps is not None:
            self.seeing_all_steps.append(callbacks.StopAfter(config.max_steps, len(self._stream)))
        self.in_order += [self.counter, self.history, self.tensorboard, self.progress]
        self.stateful |= {
            "counter": self.counter,
            "history": self.history,
            "tensorboard": self.tensorboard,
            "progress": self.progress,
        }

    def _count_examples(self, step: int) -> int:
        """Of a step of this epoch."""
        return len(self._stream.plan.batches[step])

    def _name_examples(self, step: int) -> list[str]:
        """Where a step's examples came from."""
        split, feed = self._context.dataset.split("train"), self._phase.train
        return [split.origin(feed.find_example(int(row))) for row in self._stream.plan.batches[step]]

    def _add_validation(self, feed: Feed) -> None:
        task, dataset, config = self._context.task, self._context.dataset, self._context.config
        measured = MeasuredSplit(feed, config.evaluation_batch_size)
        kinds = task.config.figure_kinds
        step = task.build_step(self._phase.model, published=False)
        split = dataset.split("validation")
        # the same examples at each validation, from all over the split
        count = min(config.tensorboard.examples, len(split))
        shown = set(np.linspace(0, len(split) - 1, count).astype(int).tolist())

        def measure() -> tuple[Tally, dict[int, Output]]:
            tally, kept = task.open_tally(), dict[int, Output]()
            for part in measured.run(step, lambda examples: self._check_stop()):
                numbers, outputs = [number for number, _ in part], [output for _, output in part]
                tally.add(numbers, outputs, [feed.get_reference(number) for number in numbers])
                kept |= {number: output for number, output in part if number in shown}
            return tally, kept

        self.validation = selection.ValidationFigures(measure, kinds.names)
        # without label smoothing and weights: what is measured is how good the answers are
        monitor = "log_loss" if config.monitor == "loss" else config.monitor
        self._check_monitor(monitor, feed, len(split))
        better = kinds.higher_is_better(monitor)
        error = None
        if config.keep_epoch == "latest" and monitor == "accuracy" and config.early_stopping is None:
            error = functools.partial(_compute_standard_error, examples=len(feed))
        self.best = selection.BestWeights(f"val_{monitor}", better, error)
        if getattr(inner_optimizer(self._phase.model), "use_ema", False):
            # what is measured and kept is the average, which `fit` by itself puts in place at the very end only
            average = selection.AveragedWeights()
            self.in_order.append(average)
            self.stateful["average"] = average
        self.in_order += [self.validation, self.best]
        self.stateful["best"] = self.best
        if config.early_stopping:
            stopping = selection.EarlyStopping(
                f"val_{monitor}",
                patience=config.early_stopping.patience,
                min_delta=config.early_stopping.min_delta,
                mode="max" if better else "min",
            )
            self.in_order.append(stopping)
            self.stateful["early_stopping"] = stopping

    def _check_monitor(self, monitor: str, feed: Feed, examples: int) -> None:
        """Refuses a figure that the validation split leaves undefined, however good the model."""
        tally = self._context.task.open_tally()
        at_once = self._context.config.evaluation_batch_size
        for start in range(0, examples, at_once):
            numbers = range(start, min(start + at_once, examples))
            references = [feed.get_reference(number) for number in numbers]
            outputs = [self._context.task.make_right_output(reference) for reference in references]
            tally.add(numbers, outputs, references)
        if monitor not in tally.compute_figures():
            raise ConfigError(
                f"the validation split has no {monitor} to choose the best epoch by: it is undefined if all "
                "examples have the same class, or contain nothing to find",
                where="train.monitor",
                fix="Choose another figure, or give a validation split that has all classes.",
            )

    def step_figures(self) -> dict[str, float]:
        """Figures of the step that just ended."""
        optimizer = inner_optimizer(self._phase.model)
        figures = {
            "loss": self.step_loss.value,
            "learning_rate": _last_learning_rate(optimizer),
            "examples_per_second": self.throughput.examples_per_second,
            "padding_share": self._stream.plan.padding_share,
        }
        norm = getattr(optimizer, "global_gradient_norm", None)
        if norm is not None:
            figures["gradient_norm"] = float(norm.numpy())
        return figures

    def _texts(self) -> dict[str, str]:
        if self.validation is None or not self.validation.shown:
            return {}
        shown = self.validation.shown
        numbers = sorted(shown)
        examples = self._context.dataset.split("validation").take(np.array(numbers))
        description = self._context.task.describe(examples, [shown[number] for number in numbers])
        return {"validation_examples": description}

    def _images(self) -> dict[str, bytes]:
        if self.validation is None or self.validation.tally is None:
            return {}
        from kerasft.plots.style import figure_to_png

        tally = self.validation.tally
        pictures = tally.draw()
        mistakes = self._context.task.draw_mistakes(self._context.dataset.split("validation"), tally)
        pictures |= {} if mistakes is None else {"mistakes": mistakes}
        return {name: figure_to_png(figure) for name, figure in pictures.items()}

    def show_varied(self) -> None:
        """Draws training examples as this phase varies them, for TensorBoard and the run folder; at its beginning."""
        figure = self._context.task.draw_varied(self._phase.train)
        if figure is None:
            return
        from kerasft.plots.style import figure_to_png

        png = figure_to_png(figure)
        with self._context.run.open_file(self._context.run.augmentation) as temporary:
            temporary.write_bytes(png)
        self.tensorboard.write_images({"augmented_examples": png})

    def follow(
        self, logs: Mapping[str, Any] | None, best_value: float | None, weights: Mapping[str, np.ndarray]
    ) -> None:
        """Goes on where earlier phases ended; before anything is restored.

        Args:
            logs: what `read_logs` gave at their end; None: they are gone on with elsewhere.
            best_value: of the monitored figure.
            weights: which had it.
        """
        if logs is not None:
            self.history.set_state(logs["history"])
            self.tensorboard.set_state(logs["tensorboard"])
        if self.best is not None and best_value is not None:
            self.best.begin_with(best_value, weights)

    def read_logs(self) -> dict[str, Any]:
        """Where the files that are appended to stand, JSON-able."""
        return {"history": self.history.get_state(), "tensorboard": self.tensorboard.get_state()}

    def close(self) -> None:
        """Ends files and bars, however `fit` ended."""
        for part in (self.history, self.tensorboard, self.progress):
            with contextlib.suppress(OSError, tf.errors.OpError):
                part.close()


def _count_all_examples(config: TrainConfig, stream: BatchStream) -> int:
    """Those of all steps of the training."""
    if isinstance(stream, IntervalStream):
        stream = stream.whole
    epochs, steps = config.epochs, 0
    if config.max_steps is not None and (
        config.validate_every_steps is not None or config.max_steps < epochs * len(stream)
    ):
        epochs, steps = divmod(config.max_steps, len(stream))
    examples = epochs * sum(len(batch) for batch in stream.plan.batches)
    return examples + sum(len(batch) for batch in stream.plan_of(epochs).batches[:steps])


def _compute_standard_error(share: float, examples: int) -> float:
    return math.sqrt(share * (1 - share) / examples)


def inner_optimizer(model: keras.Model) -> Any:
    """The model's optimizer, or the one inside its `LossScaleOptimizer`."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def _last_learning_rate(optimizer: Any) -> float:
    """The rate of the step that just ended; `optimizer.learning_rate` is the next one's under a schedule."""
    schedule = optimizer._learning_rate
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return float(schedule(optimizer._iterations - 1))
    return float(optimizer.learning_rate.numpy())
