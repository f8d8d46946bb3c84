"""A probe of real steps before a training: how many a second there are on this machine, for `train.budget_minutes`."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from kerasft.data.batching import BatchPlan
from kerasft.data.feed import Feed
from kerasft.data.pipeline import BatchStream
from kerasft.experiment import ExperimentConfig
from kerasft.progress import Progress
from kerasft.tasks.base import Phase, Task
from kerasft.training.budget import settle_steps
from kerasft.training.callback_set import inner_optimizer
from kerasft.training.fit import compile_model, first_example, make_train_stream
from kerasft.training.precision import Precision
from kerasft.training.resume.state import build_all, read_generators, restore_generators

UNTIMED_STEPS = 5
"""Of a probe's beginning: in them the step is compiled, and the batches go that were read ahead meanwhile."""
TIMED_STEPS = 12
_ENDLESS = 1_000_000


def settle_budget(
    config: ExperimentConfig,
    task: Task,
    precision: Precision,
    open_feed: Callable[[str], Feed | None],
    progress: Progress,
) -> ExperimentConfig:
    """The config with the steps that its budget comes to on this machine.

    The steps are of a model of their own, with the run's optimizer and precision, on batches of the training split from
    the narrowest to the widest. Nothing is left of them: no weights, and no random number is drawn that counts.

    Args:
        config: with `train.budget_minutes`.
        task, precision: of the training.
        open_feed: split → its examples; None where there is no such split.
        progress: where to report.
    """
    minutes = config.train.budget_minutes
    budget = f"{minutes:g} minute{'' if minutes == 1 else 's'}"
    progress.note(f"Measuring how many steps this machine does in {budget} …")
    generators = read_generators()
    rate, timed, steps_per_epoch = _measure(config, task, precision, open_feed)
    gc.collect()
    keras.utils.set_random_seed(config.seed)
    restore_generators(generators)
    settled = settle_steps(config, rate, steps_per_epoch)
    train = settled.train
    progress.note(
        f"About {train.max_steps:,} steps in {budget} at {rate:.3g} steps/s, from a probe of {timed}: "
        f"{train.epochs:,} epoch{'s' if train.epochs > 1 else ''} of up to {steps_per_epoch:,} steps. "
        "Validation, checkpoints and the start come on top."
    )
    return settled


def _measure(
    config: ExperimentConfig, task: Task, precision: Precision, open_feed: Callable[[str], Feed | None]
) -> tuple[float, int, int]:
    """(steps a second, steps that were timed, steps in an epoch)."""
    phase = _open_main_phase(config, task, precision, open_feed)
    stream = make_train_stream(phase.train, config.train, config.seed, phase.first_epoch)
    # `schedule` none: the rate is a number, which can be 0, so that the weights stay what trainings begin with
    endless = {"schedule": None, "epochs": _ENDLESS, "max_steps": None}
    compile_model(task, phase, config.train.model_copy(update=endless), len(stream), precision)
    build_all(phase.model, *first_example(phase.train, stream))
    inner_optimizer(phase.model).learning_rate = 0.0
    # an update must be compiled before time counts, and has its share of it
    accumulated = getattr(config.train.optimizer, "gradient_accumulation_steps", None) or 1
    untimed, timed = (accumulated * math.ceil(count / accumulated) for count in (UNTIMED_STEPS, TIMED_STEPS))
    seconds = _time_steps(phase.model, stream.pick(choose_steps(stream.plan, untimed, timed)), untimed)
    return timed / seconds, timed, len(stream)


def _open_main_phase(
    config: ExperimentConfig, task: Task, precision: Precision, open_feed: Callable[[str], Feed | None]
) -> Phase:
    """The phase that the budget is of, with a model of its own. What is trained before, such as a head, is left out."""
    train: Any = config.train
    if getattr(train, "head", None) is not None:
        train = train.model_copy(update={"head": None})
    model = task.build_model(seed=config.seed, matmul_dtype=precision.matmul_dtype)
    phases = task.open_phases(model, train, open_feed, seed=config.seed, matmul_dtype=precision.matmul_dtype)
    return next(phase for phase in phases if phase.final)


def choose_steps(plan: BatchPlan, untimed: int, timed: int) -> list[int]:
    """Steps of an epoch for a probe: the widest for those that are not timed, then all widths in their shares.

    Args:
        plan: of the epoch.
        untimed, timed: how many of each, ≥ 1.
    """
    order = np.argsort(plan.widths, kind="stable")
    if len(order) < timed:
        chosen = np.resize(order, timed)
    else:
        parts = np.array_split(order, timed)
        # the last part's widest in place of its middle: a training is rather a little shorter than longer
        chosen = np.array([*(part[len(part) // 2] for part in parts[:-1]), parts[-1][-1]])
    return [int(step) for step in (*np.resize(order[::-1], untimed), *chosen)]


def _time_steps(model: keras.Model, stream: BatchStream, untimed: int) -> float:
    """Seconds of a stream's steps, input and all, the first `untimed` left out."""
    model.make_train_function()
    started = time.perf_counter()
    with stream.raising_own_errors():
        batches = iter(stream.dataset())
        for number in range(len(stream)):
            if number == untimed:
                started = time.perf_counter()
            float(model.train_function(batches)["loss"])
    return time.perf_counter() - started
