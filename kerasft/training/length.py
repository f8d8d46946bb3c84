"""How long a new net learns if the config does not say: counted once, and then part of the run's config."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from kerasft.data.feed import Feed
from kerasft.experiment import ExperimentConfig
from kerasft.progress import Progress
from kerasft.tasks.base import Task
from kerasft.training.config import LEAST_EPOCHS, LEAST_STEPS
from kerasft.training.fit import make_train_stream

MOST_VALIDATIONS = 40
"""Of a training with many short epochs: with a validation and a checkpoint after each, it would do little else."""


def count_epochs(steps_per_epoch: int) -> int:
    """Passes of a new net over its texts: `LEAST_EPOCHS`, or as many as `LEAST_STEPS` take."""
    return max(LEAST_EPOCHS, math.ceil(LEAST_STEPS / steps_per_epoch))


def settle_epochs(
    config: ExperimentConfig,
    task: Task,
    model: Any,
    open_feed: Callable[[str], Feed | None],
    matmul_dtype: str,
    progress: Progress,
) -> ExperimentConfig:
    """The config with as many epochs as a new net needs on its training split, and not too many validations.

    Args:
        config: without `train.epochs`.
        task, model: of the training, which has not begun.
        open_feed: split → its examples; None where there is no such split.
        matmul_dtype: what the model was built with.
        progress: where to report.
    """
    phases = task.open_phases(model, config.train, open_feed, seed=config.seed, matmul_dtype=matmul_dtype)
    steps = len(make_train_stream(next(phases).train, config.train, config.seed, 0))
    epochs = count_epochs(steps)
    settled = {"epochs": epochs}
    is_measured = open_feed("validation") is not None
    if is_measured and epochs > MOST_VALIDATIONS and config.train.validate_every_steps is None:
        settled["validate_every_steps"] = math.ceil(epochs * steps / MOST_VALIDATIONS)
    progress.note(
        f"A new net: {epochs:,} epochs of {steps:,} step{'s' * (steps != 1)}, {epochs * steps:,} steps in all, as "
        f"train.epochs is not set (at least {LEAST_EPOCHS} epochs and {LEAST_STEPS:,} steps). For another length, set "
        "train.epochs, train.max_steps or train.budget_minutes."
    )
    return config.model_copy(update={"train": config.train.model_copy(update=settled)})
