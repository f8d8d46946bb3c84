"""The `train` section: how long, how fast, in which precision."""

from __future__ import annotations

from typing import Literal

import pydantic

from kerasft.config.base import Config
from kerasft.optimizers.config import AdamWConfig, OptimizerConfig, ScheduleConfig


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


class TrainConfig(Config):
    """How the model learns."""

    epochs: int = pydantic.Field(3, ge=1)
    """Passes over the training split."""
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
    group_lengths: bool = True
    """Puts texts of like length into one batch, so that little is padding."""
    monitor: str = "accuracy"
    """The validation figure by which the best epoch is chosen: a metric's name, or `loss`."""
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
