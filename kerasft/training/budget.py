"""`train.budget_minutes`: how many steps a run trains is settled once, and is then part of its config."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import Any

from kerasft.config.loading import load_config
from kerasft.errors import ConfigError, KerasftError
from kerasft.experiment import ExperimentConfig
from kerasft.runs.folder import RunFolder
from kerasft.training.config import TrainConfig, count_budget_steps
from kerasft.training.identity import MAY_CHANGE, UNIMPORTANT, find_beginning

SETTLED = ("epochs", "max_steps", "budget_steps_per_second")
"""Keys of the `train` section that follow from a budget."""


def needs_probe(train: TrainConfig) -> bool:
    """Whether a config has a budget, and does not say yet how many steps that is."""
    return train.budget_minutes is not None and train.budget_steps_per_second is None


def settle_steps(config: ExperimentConfig, steps_per_second: float, steps_per_epoch: int) -> ExperimentConfig:
    """A config with the steps of its budget, and as many epochs as they need.

    Raises:
        ConfigError: they are too few for one update.
    """
    minutes = config.train.budget_minutes
    assert minutes is not None
    steps = count_budget_steps(minutes, steps_per_second)
    accumulated = getattr(config.train.optimizer, "gradient_accumulation_steps", None) or 1
    if steps < accumulated:
        raise ConfigError(
            f"the budget of {minutes:g} minutes comes to {steps} steps on this machine, and one update takes "
            f"{accumulated} (train.optimizer.gradient_accumulation_steps)",
            where="train.budget_minutes",
            fix="Give more minutes, or accumulate fewer batches.",
        )
    epochs = math.ceil(steps / steps_per_epoch)
    return _put_in(
        config, {"epochs": epochs, "max_steps": steps, "budget_steps_per_second": steps_per_second}
    )


def take_up_budget(config: ExperimentConfig, run: RunFolder) -> ExperimentConfig:
    """A config whose budget is not measured yet with the steps that the run in a folder has for it, if there is one.

    A run that has begun is told by its checkpoints or its trained model. One that was killed before its first
    checkpoint left its steps in config.yaml, which count for the same config only.

    Raises:
        DataError: there are checkpoints, and none can be used.
    """
    if not needs_probe(config.train):
        return config
    _, begun, _ = find_beginning(run)
    train = begun["config"]["train"] if begun is not None else _read_written(config, run)
    if train is None or train.get("budget_steps_per_second") is None:
        return config
    return _put_in(config, {name: train[name] for name in SETTLED})


def _put_in(config: ExperimentConfig, values: Mapping[str, Any]) -> ExperimentConfig:
    return config.model_copy(update={"train": config.train.model_copy(update=dict(values))})


def _read_written(config: ExperimentConfig, run: RunFolder) -> dict[str, Any] | None:
    """The `train` section of config.yaml, where that is this config but for what follows from the budget."""
    if not run.config.exists():
        return None
    with contextlib.suppress(KerasftError):  # what is wrong with it is said where it is about to be replaced
        written = load_config(type(config), run.path).config
        if _describe_without_steps(written) == _describe_without_steps(config):
            return written.train.model_dump(mode="json")
    return None


def _describe_without_steps(config: ExperimentConfig) -> dict[str, Any]:
    values = config.model_dump(mode="json", exclude={*UNIMPORTANT})
    left_out = {*SETTLED, *(name.removeprefix("train.") for name in MAY_CHANGE)}
    values["train"] = {name: value for name, value in values["train"].items() if name not in left_out}
    return values
