"""ExperimentConfig: the sections' schemas, each kept beside its code, put together."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal, Self

import pydantic

from kerasft.config.base import Config
from kerasft.data.config import DataConfig
from kerasft.models.config import ImageModelConfig, TextModelConfig
from kerasft.serving.config import ExportConfig
from kerasft.tasks.image_classification.config import ImageClassificationConfig
from kerasft.tasks.text_classification.config import TextClassificationConfig
from kerasft.tasks.token_classification.config import TokenClassificationConfig
from kerasft.training.config import ImageTrainConfig, TokenTrainConfig, TrainConfig

TaskConfig = Annotated[
    TextClassificationConfig | TokenClassificationConfig | ImageClassificationConfig,
    pydantic.Field(discriminator="type"),
]
IMAGE_TASKS = ("image_classification",)
TEXT_TASKS = ("text_classification", "token_classification")
TOKEN_TASKS = ("token_classification",)


class EvaluateConfig(Config):
    """How the trained model is measured."""

    splits: tuple[Literal["train", "validation", "test"], ...] = pydantic.Field(
        ("validation", "test"), min_length=1
    )
    """Which splits are measured; one that the data lacks is left out."""
    bootstrap_samples: int = pydantic.Field(1000, ge=0)
    """Resamples of the examples behind each 95 % interval; 0 for no intervals."""


class ExperimentConfig(Config):
    """One experiment: data, model, training, and what is made of it."""

    name: str = pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The experiment's name; its run folder is `runs/<name>`."""
    seed: int = pydantic.Field(0, ge=0, lt=2**32)
    """All randomness follows from it."""
    task: TaskConfig
    """What is learned, by `type`."""
    data: DataConfig
    """Where the examples come from."""
    model: TextModelConfig | ImageModelConfig
    """The pre-trained net."""
    train: TrainConfig = TrainConfig()
    """How the model learns."""
    evaluate: EvaluateConfig = EvaluateConfig()
    """How it is measured."""
    export: ExportConfig | None = None
    """What is handed over; null: nothing is exported by `kerasft run`."""

    @pydantic.model_validator(mode="wrap")
    @classmethod
    def _settle_adaptation(cls, values: Any, handler: pydantic.ModelWrapValidatorHandler[Self]) -> Self:
        config = handler(values)
        settled = config.train.settle(config.model.adaptation)
        return config if settled is config.train else config.model_copy(update={"train": settled})

    @pydantic.model_validator(mode="after")
    def _has_the_monitored_figure(self) -> ExperimentConfig:
        monitor, names = self.train.monitor, [*self.task.figure_names, "loss"]
        if monitor not in names:
            near = difflib.get_close_matches(monitor, names, 1) or [name for name in names if monitor in name]
            raise ValueError(
                f"train.monitor: {self.task.type} has no figure {monitor!r} to choose the best epoch by; "
                f"{f'did you mean {near[0]}? it' if near else 'it'} has {', '.join(names)}"
            )
        return self

    @classmethod
    def choose(cls, data: Any) -> list[type[ExperimentConfig]]:
        """The schema of a document's kind of task; where it names none that is known, all, the nearest first."""
        task = data.get("task") if isinstance(data, dict) else None
        named = str(task.get("type")) if isinstance(task, dict) else ""
        kinds: dict[str, type[ExperimentConfig]] = {
            **dict.fromkeys(TEXT_TASKS, TextExperimentConfig),
            **dict.fromkeys(TOKEN_TASKS, TokenExperimentConfig),
            **dict.fromkeys(IMAGE_TASKS, ImageExperimentConfig),
        }
        if named in kinds:
            return [kinds[named]]
        nearest = difflib.get_close_matches(named, kinds, n=len(kinds), cutoff=0.0)
        return list(dict.fromkeys(kinds[name] for name in nearest))


class TextExperimentConfig(ExperimentConfig):
    """One experiment on texts: data, model, training, and what is made of it."""

    model: TextModelConfig
    """The pre-trained encoder."""


class TokenExperimentConfig(TextExperimentConfig):
    """One experiment on entities in texts: data, model, training, and what is made of it."""

    train: TokenTrainConfig = TokenTrainConfig()
    """How the model learns."""


class ImageExperimentConfig(ExperimentConfig):
    """One experiment on pictures: data, model, training, and what is made of it."""

    model: ImageModelConfig
    """The pre-trained net."""
    train: ImageTrainConfig = ImageTrainConfig()
    """How the model learns."""
