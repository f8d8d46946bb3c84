"""From the config's `optimizer` and `schedule` sections to a Keras optimizer."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import keras

from kerasft.errors import ConfigError
from kerasft.optimizers.adamw import AdamW
from kerasft.optimizers.config import KerasOptimizerConfig, MuonConfig, OptimizerConfig, ScheduleConfig
from kerasft.optimizers.gradient_descent import GradientDescent
from kerasft.optimizers.groups import ParameterGroup, layer_decay_groups
from kerasft.optimizers.muon import Muon
from kerasft.optimizers.schedules import Warmup

# An optimizer's `type` in a config → its class.
OPTIMIZERS: dict[str, Callable[..., keras.optimizers.Optimizer]] = {
    "adamw": AdamW,
    "gradient_descent": GradientDescent,
    "muon": Muon,
}

_HANDLED_HERE = ("type", "groups", "layer_decay", "learning_rate", "adamw")


def build_schedule(
    config: ScheduleConfig, learning_rate: float, total_steps: int, first_step: int = 0
) -> Warmup:
    """The schedule of a training.

    Args:
        config: the `schedule` section.
        learning_rate: the peak.
        total_steps: batches that `fit` will run in all, ≥ 1, gradient accumulation or not.
        first_step: how many of them were run before, with another optimizer.

    Raises:
        ConfigError: the warm-up is as long as the training, or leaves too few steps for the decay of `wsd`.
    """
    warmup_steps = config.warmup_steps
    if warmup_steps is None:
        warmup_steps = round(config.warmup * total_steps)
    elif warmup_steps and warmup_steps >= total_steps:
        raise ConfigError(
            f"warmup_steps is {warmup_steps}, but the training has only {total_steps} steps",
            where="train.schedule.warmup_steps",
            fix="name fewer steps, or `warmup` as a share of all steps",
        )
    decay_steps = max(round(config.decay * total_steps), 1) if config.type == "wsd" else None
    if decay_steps is not None and decay_steps > total_steps - warmup_steps:
        were_rounded = config.warmup_steps is None and decay_steps == total_steps - warmup_steps + 1
        if not were_rounded or decay_steps == 1:
            raise ConfigError(
                f"warmup_steps is {warmup_steps}, and {decay_steps} of the {total_steps} steps are for the decay",
                where="train.schedule",
                fix="name fewer steps for the warm-up, or a smaller share for `decay`",
            )
        decay_steps = total_steps - warmup_steps
    return Warmup(
        peak=learning_rate,
        warmup_steps=warmup_steps,
        total_steps=total_steps,
        shape=config.type,
        end_share=config.end_share,
        power=config.power,
        first_step=first_step,
        decay_steps=decay_steps,
        decay_shape=config.decay_shape,
    )


def check_accumulation(config: OptimizerConfig, total_steps: int) -> None:
    """Refuses to accumulate more batches than a training has.

    Args:
        config: the `optimizer` section.
        total_steps: batches of the training, all epochs.

    Raises:
        ConfigError: there would never be enough for one update.
    """
    accumulated = getattr(config, "gradient_accumulation_steps", None)
    if accumulated and accumulated > total_steps:
        raise ConfigError(
            f"each update accumulates the gradients of {accumulated} batches, "
            f"but the training has only {total_steps:,} batches in all",
            where="train.optimizer.gradient_accumulation_steps",
            fix="accumulate fewer, or train for more epochs",
        )


def build_optimizer(
    config: OptimizerConfig,
    schedule_config: ScheduleConfig | None,
    total_steps: int,
    depths: Mapping[str, int] | None = None,
    first_step: int = 0,
) -> keras.optimizers.Optimizer:
    """The optimizer of a training, unbuilt.

    Args:
        config: the `optimizer` section.
        schedule_config: the `schedule` section; None keeps the rate a plain float that callbacks
            such as ReduceLROnPlateau can set.
        total_steps: batches that `fit` will run in all.
        depths: for `layer_decay`, and for `muon` to tell the head: each layer's distance from it (see
            `layer_decay_groups`).
        first_step: how many of these batches were run before, with another optimizer.

    Returns:
        One of ours, which measures the gradient's norm, or one of Keras' own.

    Raises:
        ConfigError: Keras has no such optimizer, it does not take these arguments, `layer_decay` or `muon`
            is asked of a model that does not tell its layers' depths, or more batches are accumulated than there are.
    """
    check_accumulation(config, total_steps)
    rate: Any = config.learning_rate
    if schedule_config is not None:
        rate = build_schedule(schedule_config, config.learning_rate, total_steps, first_step)
    if isinstance(config, KerasOptimizerConfig):
        return _build_keras(config, rate)
    if config.layer_decay < 1 and not depths:
        raise ConfigError(
            "this model does not define the depth of its layers",
            where="train.optimizer.layer_decay",
            fix="leave layer_decay out, or name `groups` by variable path",
        )
    named = [
        ParameterGroup(group.match, group.learning_rate_scale, group.weight_decay) for group in config.groups
    ]
    groups = (*named, *layer_decay_groups(depths or {}, config.layer_decay))
    arguments = {
        name: getattr(config, name) for name in type(config).model_fields if name not in _HANDLED_HERE
    }
    if isinstance(config, MuonConfig):
        arguments |= _list_muon_arguments(config, depths)
    return OPTIMIZERS[config.type](rate, groups=groups, measure_gradient_norm=True, **arguments)


def _list_muon_arguments(config: MuonConfig, depths: Mapping[str, int] | None) -> dict[str, Any]:
    """What the section `adamw` says of the variables that are not updated as matrices, the head among them."""
    if not depths and not config.adamw.match:
        raise ConfigError(
            "this model does not say which of its layers is the head, which AdamW should train",
            where="train.optimizer.adamw.match",
            fix="Name it by its path, such as ['^logits/'], or use another optimizer.",
        )
    head = [f"(?:^|/){re.escape(name)}(?:/|$)" for name, depth in (depths or {}).items() if depth == 0]
    rest = config.adamw
    return {
        "adamw_match": (*rest.match, *head),
        "adamw_rate_scale": 1.0 if rest.learning_rate is None else rest.learning_rate / config.learning_rate,
        "adamw_weight_decay": rest.weight_decay,
        "beta_1": rest.beta_1,
        "beta_2": rest.beta_2,
        "epsilon": rest.epsilon,
    }


def keras_optimizer_names() -> list[str]:
    """The class names of Keras' own optimizers."""
    names = [
        name
        for name, value in vars(keras.optimizers).items()
        if inspect.isclass(value) and issubclass(value, keras.optimizers.Optimizer)
    ]
    return sorted(set(names) - {"Optimizer", "LossScaleOptimizer", "MultiOptimizer"})


def _build_keras(config: KerasOptimizerConfig, rate: Any) -> keras.optimizers.Optimizer:
    names = keras_optimizer_names()
    if config.class_name not in names:
        lowered = {name.lower(): name for name in names}
        close = [lowered[n] for n in difflib.get_close_matches(config.class_name.lower(), lowered, 3, 0.5)]
        raise ConfigError(
            f"Keras has no optimizer {config.class_name!r}",
            where="train.optimizer.class_name",
            fix=f"did you mean {' or '.join(close)}?" if close else f"it has {', '.join(names)}",
        )
    try:
        return getattr(keras.optimizers, config.class_name)(learning_rate=rate, **config.arguments)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"keras.optimizers.{config.class_name} rejects its arguments: {error}",
            where="train.optimizer.arguments",
            fix=f"it takes {', '.join(_arguments_of(config.class_name))}",
        ) from error


def _arguments_of(class_name: str) -> list[str]:
    parameters = inspect.signature(getattr(keras.optimizers, class_name)).parameters
    return [name for name in parameters if name not in ("learning_rate", "name", "kwargs")]
