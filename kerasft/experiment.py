"""ExperimentConfig: the sections' schemas, each kept beside its code, put together."""

from __future__ import annotations

from typing import Literal

import pydantic

from kerasft.config.base import Config
from kerasft.data.config import DataConfig
from kerasft.serving.config import ExportConfig
from kerasft.tasks.text_classification.config import ModelConfig, TextClassificationConfig
from kerasft.training.config import TrainConfig


class EvaluateConfig(Config):
    """How the trained model is measured."""

    splits: tuple[Literal["train", "validation", "test"], ...] = ("validation", "test")
    """Which splits are measured; one that the data lacks is left out."""
    bootstrap_samples: int = pydantic.Field(1000, ge=0)
    """Resamples of the examples behind each 95 % interval; 0 for no intervals."""


class ExperimentConfig(Config):
    """One experiment: data, model, training, and what is made of it."""

    name: str = pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The experiment's name; its run folder is `runs/<name>`."""
    seed: int = pydantic.Field(0, ge=0, lt=2**32)
    """All randomness follows from it."""
    task: TextClassificationConfig
    """What is learned."""
    data: DataConfig
    """Where the examples come from."""
    model: ModelConfig
    """The pre-trained net."""
    train: TrainConfig = TrainConfig()
    """How the model learns."""
    evaluate: EvaluateConfig = EvaluateConfig()
    """How it is measured."""
    export: ExportConfig | None = None
    """What is handed over; null: nothing is exported by `kerasft run`."""
