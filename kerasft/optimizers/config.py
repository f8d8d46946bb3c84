"""The `train.optimizer` and `train.schedule` sections."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal

import pydantic

from kerasft.config.base import Config


class ParameterGroupConfig(Config):
    """Settings for the variables whose path matches."""

    match: str
    """A regular expression that is searched for in a variable's path. For each setting, the first group that matches
    and sets it is used."""
    learning_rate_scale: float | None = pydantic.Field(None, ge=0.0)
    """Factor on the learning rate. Null: a later group or `layer_decay` decides."""
    weight_decay: float | None = pydantic.Field(None, ge=0.0)
    """Replaces the optimizer's weight decay, whatever `no_decay` says. Null: no change."""

    @pydantic.field_validator("match")
    @classmethod
    def _compiles(cls, match: str) -> str:
        return check_expression(match)


def check_expression(expression: str) -> str:
    """A regular expression, once it compiles."""
    try:
        re.compile(expression)
    except re.error as error:
        raise ValueError(
            f"{expression!r} is not a regular expression: {error}; escape literal characters: `\\(`, `\\.`"
        ) from error
    return expression


class _OwnOptimizer(Config):
    alternatives = (("clipnorm", "global_clipnorm", "clipvalue"),)

    learning_rate: float = pydantic.Field(gt=0.0)
    """The peak learning rate; `schedule` describes the rise and the fall."""
    weight_decay: float = pydantic.Field(0.0, ge=0.0)
    """Decoupled weight decay; multiplied by the learning rate at each step."""
    no_decay: tuple[Literal["bias", "norm", "embedding"], ...] = ("bias", "norm")
    """Kinds of variables without weight decay."""
    layer_decay: float = pydantic.Field(1.0, gt=0.0, le=1.0)
    """Factor on the learning rate for each layer further from the head: rate × layer_decay^distance."""
    groups: tuple[ParameterGroupConfig, ...] = ()
    """Settings by variable path; they take precedence over `layer_decay` and `no_decay`."""
    clipnorm: float | None = pydantic.Field(None, gt=0.0)
    """Clips the gradient of each variable to this norm."""
    global_clipnorm: float | None = pydantic.Field(None, gt=0.0)
    """Clips all gradients together to this norm; null: no clipping."""
    clipvalue: float | None = pydantic.Field(None, gt=0.0)
    """Clips each element of the gradients to this absolute value."""
    gradient_accumulation_steps: int | None = pydantic.Field(None, ge=2)
    """Number of batches per update. The update is the same as that of one batch of all their examples."""
    use_ema: bool = False
    """Keeps an exponential moving average of the weights, which becomes the final model."""
    ema_momentum: float = pydantic.Field(0.99, ge=0.0, le=1.0)
    """Momentum of that average."""

    @pydantic.model_validator(mode="after")
    def _one_clip(self):
        if sum(v is not None for v in (self.clipnorm, self.global_clipnorm, self.clipvalue)) > 1:
            raise ValueError("name only one of clipnorm, global_clipnorm, clipvalue")
        return self


class GradientDescentConfig(_OwnOptimizer):
    """Gradient descent, θ ← θ − η∇L(θ), optionally with momentum."""

    type: Literal["gradient_descent"]
    momentum: float = pydantic.Field(0.0, ge=0.0, lt=1.0)
    """Share of the last update that is added to this one."""
    nesterov: bool = False
    """Nesterov momentum."""


class AdamWConfig(_OwnOptimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    type: Literal["adamw"]
    beta_1: float = pydantic.Field(0.9, ge=0.0, lt=1.0)
    """Decay rate of the running mean of gradients."""
    beta_2: float = pydantic.Field(0.999, ge=0.0, lt=1.0)
    """Decay rate of the running mean of squared gradients."""
    epsilon: float = pydantic.Field(1e-7, gt=0.0)
    """Added to the denominator."""


class MuonAdamWConfig(Config):
    """AdamW, for what `muon` does not update as a matrix: embeddings, norms, biases, the head, convolutions."""

    learning_rate: float | None = pydantic.Field(None, gt=0.0)
    """The peak learning rate of these variables. Null: the same as the matrices'."""
    weight_decay: float | None = pydantic.Field(None, ge=0.0)
    """Their weight decay, `no_decay` aside. Null: the same as the matrices'."""
    beta_1: float = pydantic.Field(0.9, ge=0.0, lt=1.0)
    """Decay rate of the running mean of gradients."""
    beta_2: float = pydantic.Field(0.999, ge=0.0, lt=1.0)
    """Decay rate of the running mean of squared gradients."""
    epsilon: float = pydantic.Field(1e-7, gt=0.0)
    """Added to the denominator."""
    match: tuple[str, ...] = ()
    """Regular expressions that are searched for in a variable's path: more variables for AdamW. The model's head is
    always among them."""

    @pydantic.field_validator("match")
    @classmethod
    def _compile(cls, match: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_expression(expression) for expression in match)


class MuonConfig(_OwnOptimizer):
    """Momentum whose matrices are orthogonalised, and AdamW for all that is no hidden matrix (Jordan et al. 2024)."""

    type: Literal["muon"]
    momentum: float = pydantic.Field(0.95, ge=0.0, lt=1.0)
    """Share of the last momentum in the next."""
    nesterov: bool = True
    """Nesterov momentum."""
    newton_schulz_steps: int = pydantic.Field(5, ge=1)
    """Iterations that orthogonalise the update."""
    update_rms: float | None = pydantic.Field(0.2, gt=0.0)
    """Root mean square of the elements of a matrix' update, before it is multiplied by the learning rate; 0.2 is like
    AdamW's, so that both can have one rate. Null: updates have singular values near 1, whatever the matrix' shape."""
    adamw: MuonAdamWConfig = MuonAdamWConfig()
    """The optimizer of all other variables."""


class KerasOptimizerConfig(Config):
    """One of Keras' own optimizers, by its class name."""

    type: Literal["keras"]
    class_name: str
    """`Lion`, `Adafactor`, …: a class of `keras.optimizers`."""
    learning_rate: float = pydantic.Field(gt=0.0)
    """The peak learning rate."""
    arguments: dict[str, Any] = pydantic.Field(default_factory=dict)
    """More arguments of the class, except `gradient_accumulation_steps`."""

    @pydantic.field_validator("arguments")
    @classmethod
    def _accumulates_nothing(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        if "gradient_accumulation_steps" in arguments:
            raise ValueError(
                "Keras' own optimizers average batches of unequal sizes as if they were equal, and leave out those at "
                "the end; gradient_accumulation_steps is a key of adamw, muon and gradient_descent"
            )
        return arguments

    @pydantic.field_validator("arguments")
    @classmethod
    def _are_finite(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(arguments, allow_nan=False)
        except ValueError as error:
            raise ValueError("every number must be finite") from error
        return arguments


OptimizerConfig = Annotated[
    GradientDescentConfig | AdamWConfig | MuonConfig | KerasOptimizerConfig,
    pydantic.Field(discriminator="type"),
]


class ScheduleConfig(Config):
    """How the learning rate rises to its peak and falls again, over all training steps."""

    alternatives = (("warmup", "warmup_steps"),)

    type: Literal["constant", "linear", "cosine", "polynomial", "wsd"] = "linear"
    """The shape of the decay after the peak. `wsd` (warm-up, stable, decay) stays at the peak and falls in the last
    steps."""
    warmup: float = pydantic.Field(0.0, ge=0.0, lt=1.0)
    """Share of all steps in which the learning rate rises linearly from 0 to the peak."""
    warmup_steps: int | None = pydantic.Field(None, ge=0)
    """The same as a number of steps; instead of `warmup`."""
    end_share: float = pydantic.Field(0.0, ge=0.0, le=1.0)
    """The final learning rate as a share of the peak (not for `constant`)."""
    power: float = pydantic.Field(2.0, gt=0.0)
    """The exponent of `polynomial`."""
    decay: float = pydantic.Field(0.2, gt=0.0, le=1.0)
    """Share of all steps in which the learning rate of `wsd` falls."""
    decay_shape: Literal["linear", "sqrt"] = "linear"
    """How it falls: in a line, or as 1 − √q with q the completed share of the decay."""

    @pydantic.model_validator(mode="after")
    def _one_warmup(self):
        if self.warmup and self.warmup_steps is not None:
            raise ValueError("name warmup (a share) or warmup_steps, not both")
        if self.type == "wsd" and self.warmup + self.decay > 1 + 1e-9:
            raise ValueError(
                f"warmup ({self.warmup}) and decay ({self.decay}) are shares of all steps and come to more than 1"
            )
        return self
