"""The `train` section: how long, how fast, in which precision."""

from __future__ import annotations

from typing import Literal, Self

import pydantic

from kerasft.config.base import Config
from kerasft.models.adaptation.config import Adaptation
from kerasft.optimizers.config import AdamWConfig, KerasOptimizerConfig, OptimizerConfig, ScheduleConfig

LEAST_EPOCHS, LEAST_STEPS = 3, 2000
"""Of a new language model, unless the config says otherwise."""


class EarlyStoppingConfig(Config):
    """Stops the training when a metric no longer improves."""

    patience: int = pydantic.Field(ge=1)
    """Epochs without improvement before training stops; with `validate_every_steps`, validations."""
    min_delta: float = pydantic.Field(0.0, ge=0.0)
    """The smallest change that counts as an improvement."""


class TensorBoardConfig(Config):
    """What is written for TensorBoard."""

    every_steps: int = pydantic.Field(10, ge=1)
    """Number of steps between two entries of loss, learning rate, gradient norm and speed."""
    examples: int = pydantic.Field(16, ge=0)
    """Number of validation examples shown with their predictions after each epoch."""


class CheckpointConfig(Config):
    """When checkpoints are saved. One is always saved at the end of an epoch, or after each validation within it."""

    every_steps: int | None = pydantic.Field(None, ge=1)
    """Upper bound on the steps that are repeated after a kill. Saves happen 10 % earlier, because writing runs in the
    background: 50 saves every 45 steps. Null: `every_minutes` alone decides."""
    every_minutes: float | None = pydantic.Field(5.0, gt=0.0)
    """Minutes between two checkpoints. Null: `every_steps` alone decides."""
    keep: int = pydantic.Field(2, ge=1)
    """Number of newest checkpoints kept, besides the best epoch's. Each is three times as large as the weights
    (AdamW)."""


class HeadConfig(Config):
    """A first phase: the pre-trained net is frozen, and only the head is trained."""

    epochs: int = pydantic.Field(30, ge=1)
    """Passes over the training split."""
    learning_rate: float = pydantic.Field(3e-3, gt=0.0)
    """Peak learning rate of AdamW, with cosine decay."""
    weight_decay: float = pydantic.Field(0.01, ge=0.0)
    """Decoupled weight decay."""
    cache: bool = True
    """Computes the frozen net's features once and trains on them: the same weights, many times faster. Features can
    only be reused if pictures do not change, so this phase has no augmentation."""

    @property
    def optimizer(self) -> AdamWConfig:
        """As `train.optimizer`."""
        return AdamWConfig(type="adamw", learning_rate=self.learning_rate, weight_decay=self.weight_decay)

    @property
    def schedule(self) -> ScheduleConfig:
        """As `train.schedule`."""
        return ScheduleConfig(type="cosine", warmup=0.05)


class TrainConfig(Config):
    """How the model is trained."""

    epochs: int = pydantic.Field(3, ge=1)
    """Passes over the training split. The head's own phase is not counted."""
    max_steps: int | None = pydantic.Field(None, ge=1)
    """Length of the training in steps, whatever `epochs` says; the schedule covers exactly these steps. With
    `adaptation: gradual`, which goes by epochs, it can only end the training earlier. Null: all epochs."""
    budget_minutes: float | None = pydantic.Field(None, gt=0.0)
    """Length of the training in minutes, instead of `epochs` and `max_steps`. How many steps fit into them on this
    machine is measured once, before the first step, and written to the run's config.yaml as `max_steps`. Validation,
    checkpoints and the start of the process come on top. Null: no budget."""
    budget_steps_per_second: float | None = pydantic.Field(None, gt=0.0)
    """The measured speed behind `max_steps` and `epochs` in the config.yaml of a run with `budget_minutes`; written by
    kerasft, so that the config trains the same steps again on any machine."""
    batch_size: int = pydantic.Field(32, ge=1)
    """Examples per training step."""
    evaluation_batch_size: int = pydantic.Field(64, ge=1)
    """Examples per batch in evaluation and prediction."""
    optimizer: OptimizerConfig = AdamWConfig(type="adamw", learning_rate=5e-5, weight_decay=0.01)
    """The optimizer, by `type`."""
    schedule: ScheduleConfig = ScheduleConfig(type="linear", warmup=0.1)
    """The learning rate over time."""
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    """Number format of matrix products; weights stay float32. `auto` times float32 and bfloat16 on this machine and
    takes the faster."""
    remat: bool = False
    """Keeps only each encoder layer's input and recomputes the rest in the backward pass (gradient checkpointing): less
    memory, more time, the same gradients. Useful for long texts and large batches."""
    group_lengths: bool = True
    """Puts texts of similar length into one batch, so that batches contain little padding."""
    monitor: str = "accuracy"
    """The validation figure that selects the best epoch. `loss` means `log_loss`, the mean cross-entropy without label
    smoothing or class weights."""
    keep_epoch: Literal["latest", "best"] = "latest"
    """Which epoch's weights are kept. `best`: the epoch with the best figure. `latest`: with `accuracy`, the latest
    epoch within one standard error of the best, so that one or two examples do not decide; with other figures or
    `early_stopping`, the same as `best`."""
    early_stopping: EarlyStoppingConfig | None = None
    """Null: no early stopping."""
    validate_every_steps: int | None = pydantic.Field(None, ge=1)
    """Steps between two validations, for epochs that take long: the best weights are then chosen, and early stopping
    counts, by validations and not by epochs. A last validation is at the end. Null: after each epoch."""
    shuffle_labels: bool = False
    """Trains on shuffled labels, as a control experiment: accuracy should then be no better than chance."""
    workers: int = pydantic.Field(2, ge=1)
    """Number of batches prepared in parallel. It does not change the result."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """When checkpoints are saved; a run that was stopped continues from the last one."""
    tensorboard: TensorBoardConfig = TensorBoardConfig()
    """What is written for TensorBoard."""

    @pydantic.model_validator(mode="after")
    def _reaches_an_update(self) -> TrainConfig:
        accumulated = getattr(self.optimizer, "gradient_accumulation_steps", None)
        if accumulated and self.max_steps is not None and accumulated > self.max_steps:
            raise ValueError(
                f"optimizer.gradient_accumulation_steps ({accumulated}) is more than max_steps ({self.max_steps}): "
                "there would be too few batches for one update. Accumulate fewer, or set more steps"
            )
        return self

    @pydantic.model_validator(mode="after")
    def _has_one_length(self) -> TrainConfig:
        minutes, rate = self.budget_minutes, self.budget_steps_per_second
        if minutes is None:
            if rate is not None:
                raise ValueError(
                    "budget_steps_per_second belongs to budget_minutes, which is not set. Remove it"
                )
            return self
        if rate is not None:
            steps = count_budget_steps(minutes, rate)
            if self.max_steps != steps:
                raise ValueError(
                    f"budget_minutes ({minutes:g}) at budget_steps_per_second ({rate:g}) comes to {steps} steps, and "
                    f"max_steps is {self.max_steps}. To set the steps yourself, remove the two budget keys (null); for "
                    "another budget, start a run in a folder of its own, with budget_minutes alone"
                )
            return self
        # a value that equals the default may come of a config that was written out whole
        epochs = type(self).model_fields["epochs"].default
        for name, given in (("max_steps", self.max_steps is not None), ("epochs", self.epochs != epochs)):
            if given:
                raise ValueError(
                    f"budget_minutes and {name} both say how long to train. Remove one of the two: with a budget, "
                    "there are as many epochs as fit into it"
                )
        return self

    def settle_epochs(self, adaptation: Adaptation, *, is_new: bool) -> Self:
        """The section with its number of epochs, where that follows from the model alone; itself otherwise.

        Args:
            adaptation: `model.adaptation`.
            is_new: whether the net starts from random weights.
        """
        return self

    def settle(self, adaptation: Adaptation) -> Self:
        """The section with what `model.adaptation` decides in it; itself, where that is nothing.

        Raises:
            ValueError: the two sections contradict each other.
        """
        _check_budget(self, adaptation)
        if adaptation.type == "layerwise":
            return self.model_copy(update={"optimizer": _settle_layer_decay(self, adaptation.decay)})
        if adaptation.type == "gradual" and self.validate_every_steps is not None:
            raise ValueError(
                "model.adaptation: gradual goes by epochs, and train.validate_every_steps "
                f"({self.validate_every_steps}) by steps. Remove one of the two"
            )
        if adaptation.type == "gradual" and self.epochs <= adaptation.every_epochs:
            raise ValueError(
                f"model.adaptation: gradual unfreezes the first block after {adaptation.every_epochs} epochs, and "
                f"train.epochs is {self.epochs}: only the head would be trained. Train longer, or set adaptation: head"
            )
        return self


class LanguageTrainConfig(TrainConfig):
    """How a language model is trained."""

    epochs: int | None = pydantic.Field(None, ge=1)  # type: ignore[assignment]
    """Passes over the training split. Null: 3 if a preset continues to learn. A new net learns for 3 passes or 2,000
    steps, whichever is more: in fewer steps it learns little more than how frequent each token is. The number is
    written to the run's config.yaml."""

    def settle_epochs(self, adaptation: Adaptation, *, is_new: bool) -> Self:
        """As `TrainConfig.settle_epochs`. Those of a new net depend on its data, unless another key sets its length."""
        follows = is_new and self.max_steps is None and adaptation.type != "gradual"
        if self.epochs is not None or self.budget_minutes is not None or follows:
            return self
        return self.model_copy(update={"epochs": LEAST_EPOCHS})


class ImageTrainConfig(TrainConfig):
    """How a model of pictures is trained: first the head, then the whole net with smaller learning rates."""

    head: HeadConfig | None = HeadConfig()
    """The first phase, for the head. Null: the whole net is trained from the start."""
    epochs: int = pydantic.Field(25, ge=0)
    """Passes over the training split with the whole net; 0 trains the head alone."""
    optimizer: OptimizerConfig = AdamWConfig(
        type="adamw", learning_rate=1e-3, weight_decay=0.05, layer_decay=0.7
    )
    """The optimizer of the second phase, by `type`."""
    schedule: ScheduleConfig = ScheduleConfig(type="cosine", warmup=0.1)
    """The learning rate over time, in the second phase."""
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """Number format of convolutions; weights stay float32. `auto` times matrix products only, and depthwise
    convolutions behave differently: MobileNet trained at 200 pictures a second in float32, and at 87 in bfloat16."""
    unfreeze: float = pydantic.Field(1.0, gt=0.0, le=1.0)
    """Share of the net's blocks, from the top, that are trained in the second phase."""

    @pydantic.field_validator("remat")
    @classmethod
    def _has_no_remat(cls, value: bool) -> bool:
        if value:
            raise ValueError(
                "remat is for text encoders only; a smaller batch_size with gradient_accumulation_steps "
                "takes less memory too"
            )
        return value

    @pydantic.field_validator("validate_every_steps")
    @classmethod
    def _is_validated_by_epochs(cls, value: int | None) -> int | None:
        if value is not None:
            raise ValueError(
                "trainings of pictures, which may have several phases, are validated after each epoch: leave it out"
            )
        return value

    @pydantic.model_validator(mode="after")
    def _something_learns(self) -> ImageTrainConfig:
        if self.epochs == 0 and self.head is None:
            raise ValueError(
                "epochs: 0 trains the head alone, and head: null leaves it out: nothing would learn"
            )
        return self

    def settle(self, adaptation: Adaptation) -> Self:
        """As `TrainConfig.settle`. The head has a phase of its own, before the blocks that `gradual` unfreezes."""
        _check_budget(self, adaptation)
        if adaptation.type == "gradual":
            return self
        if adaptation.type == "head":
            _check_head_alone(self)
            return self.model_copy(update={"epochs": 0})
        return super().settle(adaptation)


def count_budget_steps(minutes: float, steps_per_second: float) -> int:
    """Steps in so many minutes, at least one."""
    return max(int(60 * minutes * steps_per_second), 1)


def _check_budget(train: TrainConfig, adaptation: Adaptation) -> None:
    """Refuses a budget where epochs decide what is trained."""
    head_alone = adaptation.type == "head" and isinstance(train, ImageTrainConfig)
    if train.budget_minutes is not None and (adaptation.type == "gradual" or head_alone):
        raise ValueError(
            f"model.adaptation: {adaptation.type} goes by epochs, and train.budget_minutes ({train.budget_minutes:g}) "
            "counts minutes. Remove one of the two"
        )


def _settle_layer_decay(train: TrainConfig, decay: float) -> OptimizerConfig:
    """The optimizer with the decay that `model.adaptation: layerwise` says."""
    optimizer = train.optimizer
    if isinstance(optimizer, KerasOptimizerConfig):
        raise ValueError(
            "model.adaptation: layerwise needs rates by layer, which Keras' own optimizers do not have. "
            "Set train.optimizer.type to adamw, muon or gradient_descent"
        )
    given = "optimizer" in train.model_fields_set and "layer_decay" in optimizer.model_fields_set
    if given and optimizer.layer_decay != decay:
        raise ValueError(
            f"model.adaptation.decay ({decay}) sets train.optimizer.layer_decay, which is given as well "
            f"({optimizer.layer_decay}). Remove one of the two"
        )
    return optimizer.model_copy(update={"layer_decay": decay})


def _check_head_alone(train: ImageTrainConfig) -> None:
    """Refuses keys that say something else than `model.adaptation: head`."""
    if train.head is None:
        raise ValueError(
            "model.adaptation: head trains the head alone, and train.head: null leaves its phase out. "
            "Leave train.head out, or give its keys"
        )
    if "epochs" in train.model_fields_set and train.epochs:
        raise ValueError(
            f"model.adaptation: head trains the head alone, and train.epochs ({train.epochs}) counts passes in which "
            "the net learns too. Leave train.epochs out; train.head.epochs says how long"
        )
    if train.unfreeze < 1:
        raise ValueError(
            f"model.adaptation: head keeps the net frozen, and train.unfreeze ({train.unfreeze}) says how much of it "
            "learns. Leave train.unfreeze out"
        )
