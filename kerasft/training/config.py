"""The `train` section: how long, how fast, in which precision."""

from __future__ import annotations

from typing import Literal, Self

import pydantic

from kerasft.config.base import Config
from kerasft.models.adaptation.config import Adaptation
from kerasft.optimizers.config import AdamWConfig, KerasOptimizerConfig, OptimizerConfig, ScheduleConfig


class EarlyStoppingConfig(Config):
    """Stops when a metric no longer improves."""

    patience: int = pydantic.Field(ge=1)
    """Epochs without improvement before training stops."""
    min_delta: float = pydantic.Field(0.0, ge=0.0)
    """What counts as an improvement."""


class TensorBoardConfig(Config):
    """What is written for TensorBoard."""

    every_steps: int = pydantic.Field(10, ge=1)
    """Loss, learning rate, gradient norm and rates are written every so many steps."""
    examples: int = pydantic.Field(16, ge=0)
    """How many validation examples are shown with their predictions after each epoch."""


class CheckpointConfig(Config):
    """How much a run that is killed has to do again. The end of an epoch is always saved."""

    every_steps: int | None = pydantic.Field(None, ge=1)
    """The most steps that are ever done again. A tenth is kept for the writing, which goes on beside the training:
    50 saves every 45. Null: by the clock alone."""
    every_minutes: float | None = pydantic.Field(5.0, gt=0.0)
    """Saves when so many minutes have gone by since the last time; null: by steps alone."""
    keep: int = pydantic.Field(2, ge=1)
    """How many of the newest are kept, besides the best epoch's. Each takes three times the weights' size (AdamW)."""


class HeadConfig(Config):
    """A first phase, in which the pre-trained net is frozen and only the head on it learns."""

    epochs: int = pydantic.Field(30, ge=1)
    """Passes over the training split."""
    learning_rate: float = pydantic.Field(3e-3, gt=0.0)
    """Of AdamW, falling in a cosine."""
    weight_decay: float = pydantic.Field(0.01, ge=0.0)
    """Decoupled weight decay."""
    cache: bool = True
    """Computes the frozen net's features once and learns from them: the same weights, many times faster. Needs examples
    that are not varied, so this phase has no augmentation."""

    @property
    def optimizer(self) -> AdamWConfig:
        """As `train.optimizer`."""
        return AdamWConfig(type="adamw", learning_rate=self.learning_rate, weight_decay=self.weight_decay)

    @property
    def schedule(self) -> ScheduleConfig:
        """As `train.schedule`."""
        return ScheduleConfig(type="cosine", warmup=0.05)


class TrainConfig(Config):
    """How the model learns."""

    epochs: int = pydantic.Field(3, ge=1)
    """Passes over the training split, the head's own phase aside."""
    max_steps: int | None = pydantic.Field(None, ge=1)
    """Ends after so many steps, whatever `epochs` says; the schedule runs over them. Null: all epochs."""
    batch_size: int = pydantic.Field(32, ge=1)
    """Examples a step."""
    evaluation_batch_size: int = pydantic.Field(64, ge=1)
    """Examples a step where nothing is learned."""
    optimizer: OptimizerConfig = AdamWConfig(type="adamw", learning_rate=5e-5, weight_decay=0.01)
    """The optimizer, by `type`."""
    schedule: ScheduleConfig = ScheduleConfig(type="linear", warmup=0.1)
    """The learning rate over time."""
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    """What matrices are multiplied in; weights stay float32. `auto` times both and takes the faster."""
    remat: bool = False
    """Of each encoder layer keeps the input alone, and computes what is inside once more for the gradient: less memory,
    more time, the same gradients. For texts that are long or batches that are large."""
    group_lengths: bool = True
    """Puts texts of like length into one batch, so that little is padding."""
    monitor: str = "accuracy"
    """The validation figure by which the epoch that is kept is chosen; `loss` is `log_loss`, the mean cross-entropy
    without label smoothing or weights."""
    keep_epoch: Literal["latest", "best"] = "latest"
    """`best`: the epoch with the best figure. `latest`: with `accuracy`, the latest that is no more than one standard
    error below the best, so that an example or two do not decide; with other figures or `early_stopping`, as `best`."""
    early_stopping: EarlyStoppingConfig | None = None
    """Null: all epochs are run."""
    shuffle_labels: bool = False
    """Trains on labels in random order: a control that should end at chance."""
    workers: int = pydantic.Field(2, ge=1)
    """Batches put together at once. What is learned does not depend on it."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """When the run is saved, so that it goes on from there."""
    tensorboard: TensorBoardConfig = TensorBoardConfig()
    """What is written for TensorBoard."""

    @pydantic.model_validator(mode="after")
    def _reaches_an_update(self) -> TrainConfig:
        accumulated = getattr(self.optimizer, "gradient_accumulation_steps", None)
        if accumulated and self.max_steps is not None and accumulated > self.max_steps:
            raise ValueError(
                f"optimizer.gradient_accumulation_steps ({accumulated}) is more than max_steps ({self.max_steps}): "
                "there would not be enough batches for one update. Accumulate fewer, or set more steps"
            )
        return self

    def settle(self, adaptation: Adaptation) -> Self:
        """The section with what `model.adaptation` decides in it; itself, where that is nothing.

        Raises:
            ValueError: the two sections contradict each other.
        """
        if adaptation.type == "layerwise":
            return self.model_copy(update={"optimizer": _settle_layer_decay(self, adaptation.decay)})
        if adaptation.type == "gradual" and self.epochs <= adaptation.every_epochs:
            raise ValueError(
                f"model.adaptation: gradual unfreezes the first block after {adaptation.every_epochs} epochs, and "
                f"train.epochs is {self.epochs}: the head alone would learn. Train longer, or say adaptation: head"
            )
        return self


class ImageTrainConfig(TrainConfig):
    """How a model of pictures learns: the head first, then all of it at smaller rates."""

    head: HeadConfig | None = HeadConfig()
    """The first phase; null: the whole net learns from the beginning."""
    epochs: int = pydantic.Field(25, ge=0)
    """Passes over the training split with the whole net learning; 0: the head alone learns."""
    optimizer: OptimizerConfig = AdamWConfig(
        type="adamw", learning_rate=1e-3, weight_decay=0.05, layer_decay=0.7
    )
    """The optimizer of the second phase, by `type`."""
    schedule: ScheduleConfig = ScheduleConfig(type="cosine", warmup=0.1)
    """The learning rate over time, in the second phase."""
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "float32"
    """What convolutions are computed in; weights stay float32. `auto` times matrix products alone, which depthwise
    convolutions are not: where MobileNet trained at 200 pictures a second in float32, bfloat16 did 87."""
    unfreeze: float = pydantic.Field(1.0, gt=0.0, le=1.0)
    """How much of the net learns in the second phase: this share of its blocks, from the top."""

    @pydantic.field_validator("remat")
    @classmethod
    def _has_no_remat(cls, value: bool) -> bool:
        if value:
            raise ValueError(
                "only text encoders can be computed twice; a smaller batch_size with gradient_accumulation_steps "
                "takes less memory too"
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
        if adaptation.type == "gradual":
            return self
        if adaptation.type == "head":
            _check_head_alone(self)
            return self.model_copy(update={"epochs": 0})
        return super().settle(adaptation)


def _settle_layer_decay(train: TrainConfig, decay: float) -> OptimizerConfig:
    """The optimizer with the decay that `model.adaptation: layerwise` says."""
    optimizer = train.optimizer
    if isinstance(optimizer, KerasOptimizerConfig):
        raise ValueError(
            "model.adaptation: layerwise needs rates by layer, which Keras' own optimizers do not have. "
            "Set train.optimizer.type to adamw or gradient_descent"
        )
    given = "optimizer" in train.model_fields_set and "layer_decay" in optimizer.model_fields_set
    if given and optimizer.layer_decay != decay:
        raise ValueError(
            f"model.adaptation.decay ({decay}) sets train.optimizer.layer_decay, which is given as well "
            f"({optimizer.layer_decay}). Leave one of the two out"
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
