"""ExperimentConfig: one experiment's sections, those of its task among them.

`experiment_schema` makes the schema of a task's experiments; `load_config(ExperimentConfig, …)` takes the one of the
task that the document names under `task.type`.
"""

from __future__ import annotations

import difflib
import functools
from typing import Any, ClassVar, Literal, Self

import pydantic
from pydantic.json_schema import models_json_schema

from kerasft.config.base import Config
from kerasft.config.variants import Variants
from kerasft.data.config import DataConfig
from kerasft.errors import ConfigError
from kerasft.models.config import ModelConfig
from kerasft.serving.config import ExportConfig
from kerasft.tasks import ALIASES, TASKS, list_tasks, load_sections
from kerasft.tasks.config import Sections, TaskConfig
from kerasft.training.config import TrainConfig


class EvaluateConfig(Config):
    """How the trained model is measured."""

    splits: tuple[Literal["train", "validation", "test"], ...] = pydantic.Field(
        ("validation", "test"), min_length=1
    )
    """Which splits are measured; a split that the data does not have is left out."""
    bootstrap_samples: int = pydantic.Field(1000, ge=0)
    """Number of bootstrap resamples for the 95 % intervals; 0: no intervals."""


class _Tasks(Variants):
    """Experiments by their task."""

    section, tag = "task", "type"
    shared = ("name", "seed", "data", "evaluate", "export")
    aliases = ALIASES

    def list_names(self) -> list[str]:
        return list_tasks()

    def list_own(self) -> list[str]:
        return sorted(TASKS)

    def load(self, name: str, *, is_asked_for: bool) -> type[pydantic.BaseModel] | None:
        if name not in TASKS and name not in list_tasks():
            return None
        return experiment_schema(name, is_asked_for=is_asked_for)


class ExperimentConfig(Config):
    """One experiment: data, model, training, evaluation and export."""

    variants: ClassVar[Variants] = _Tasks()

    name: str = pydantic.Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The experiment's name; its run folder is `runs/<name>`."""
    seed: int = pydantic.Field(0, ge=0, lt=2**32)
    """The random seed of everything that is random."""
    task: TaskConfig
    """What is learned, by `type`."""
    data: DataConfig
    """Where the examples come from."""
    model: ModelConfig
    """The pre-trained model."""
    train: TrainConfig = TrainConfig()
    """How the model is trained."""
    evaluate: EvaluateConfig = EvaluateConfig()
    """How it is measured."""
    export: ExportConfig | None = None
    """What is exported. Null: `kerasft run` exports nothing."""

    @property
    def own_sections(self) -> dict[str, Config]:
        """The sections that only this task's experiments have."""
        return {
            name: getattr(self, name)
            for name in type(self).model_fields
            if name not in ExperimentConfig.model_fields
        }

    @pydantic.model_validator(mode="wrap")
    @classmethod
    def _settle_adaptation(cls, values: Any, handler: pydantic.ModelWrapValidatorHandler[Self]) -> Self:
        config = handler(values)
        adaptation = config.model.adaptation
        settled = config.train.settle_epochs(adaptation, is_new=config.model.is_new).settle(adaptation)
        return config if settled is config.train else config.model_copy(update={"train": settled})

    @pydantic.model_validator(mode="after")
    def _has_sections_that_fit(self) -> ExperimentConfig:
        self.task.check_sections(self.model, self.own_sections)
        return self

    @pydantic.model_validator(mode="after")
    def _has_the_monitored_figure(self) -> ExperimentConfig:
        monitor, names = self.train.monitor, list(self.task.figure_kinds.names)
        if "log_loss" in names:
            names.append("loss")  # the same without label smoothing and weights
        if monitor not in names:
            near = difflib.get_close_matches(monitor, names, 1) or [name for name in names if monitor in name]
            raise ValueError(
                f"train.monitor: {self.task.type} has no figure {monitor!r} to choose the best epoch by; "
                f"{f'did you mean {near[0]}? it' if near else 'it'} has {', '.join(names)}"
            )
        return self


def experiment_schema(task: str, *, is_asked_for: bool = False) -> type[ExperimentConfig]:
    """The schema of a task's experiments, put together from the task's own sections; imports no TensorFlow.

    Args:
        task: a `task.type`.
        is_asked_for: whether the user names it; as in `load_sections`.

    Raises:
        ConfigError: there is no such task, it may not be imported, or its sections are not what they should be.
    """
    return _put_together(task, load_sections(task, is_asked_for=is_asked_for))


@functools.cache
def _put_together(task: str, sections: Sections) -> type[ExperimentConfig]:
    described = {name: field.description for name, field in ExperimentConfig.model_fields.items()}

    def make_field(name: str, schema: type[Config], **settings: Any) -> Any:
        return (schema, pydantic.Field(description=described.get(name), **settings))

    taken = sorted(set(sections.own) & set(described))
    if taken:
        raise ConfigError(
            f"the task {task} defines sections that every experiment already has: {', '.join(taken)}",
            where="SECTIONS",
            fix="Give them other names.",
        )
    own = {name: make_field(name, schema, default=schema()) for name, schema in sections.own.items()}
    return pydantic.create_model(
        f"{task.title().replace('_', '')}Experiment",
        __base__=ExperimentConfig,
        __doc__=ExperimentConfig.__doc__,
        task=make_field("task", sections.task),
        model=make_field("model", sections.model),
        train=make_field("train", sections.train, default=sections.train()),
        **own,
    )


def build_json_schema() -> dict[str, Any]:
    """The JSON Schema of an experiment's config, of whichever task."""
    schemas = {name: experiment_schema(name, is_asked_for=True) for name in list_tasks()}
    references, definitions = models_json_schema([(schema, "validation") for schema in schemas.values()])
    fields = ExperimentConfig.model_fields
    properties: dict[str, Any] = {name: {"description": field.description} for name, field in fields.items()}
    properties["task"] |= {
        "type": "object",
        "properties": {"type": {"description": "What kind of task.", "enum": list(schemas)}},
        "required": ["type"],
    }
    chosen = [
        {
            "if": {"properties": {"task": {"properties": {"type": {"const": name}}, "required": ["type"]}}},
            "then": references[schema, "validation"],
        }
        for name, schema in schemas.items()
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Experiment",
        "type": "object",
        "properties": properties,
        "required": [name for name, field in fields.items() if field.is_required()],
        "allOf": chosen,
        "$defs": definitions["$defs"],
    }
