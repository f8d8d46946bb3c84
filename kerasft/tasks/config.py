"""The interface of a task's `config.py`: the schemas of the sections of an experiment."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from kerasft.config.base import Config
from kerasft.data.kinds.fields import Field
from kerasft.metrics.figures import FigureKinds
from kerasft.models.config import ModelConfig
from kerasft.text.generation.config import GenerationConfig
from kerasft.training.config import TrainConfig

PROMPTS = (Field("prompt", "text"),)
CONVERSATIONS = (Field("messages", "chat"),)
"""What a model that writes is given, whatever its task learns from: texts; or if it has learned to, it answers
conversations."""


class TaskConfig(Config, abc.ABC):
    """The `task` section. A task's own has `type: Literal["<name>"]` and the task's keys."""

    after_training: ClassVar[tuple[str, ...]] = ()
    """Keys that a trained model can be used with otherwise than it was trained."""
    class_keys: ClassVar[tuple[str, ...]] = ()
    """Keys that name the classes: null, or what the training found."""
    cuts_examples: ClassVar[bool] = False
    """Whether an example may be several rows of a batch: a long text in windows, say."""

    type: str

    @property
    def title(self) -> str:
        """The task's name for people."""
        return self.type.replace("_", " ")

    @property
    @abc.abstractmethod
    def fields(self) -> tuple[Field, ...]:
        """What an example must hold."""

    @property
    @abc.abstractmethod
    def figure_kinds(self) -> FigureKinds:
        """The figures that it is measured by; an epoch can be chosen by them, and by `loss`."""

    @property
    @abc.abstractmethod
    def answer_keys(self) -> tuple[str, ...]:
        """The keys of an answer, the input's own aside."""

    def check_sections(self, model: ModelConfig, own: Mapping[str, Config]) -> None:
        """Refuses sections that contradict each other; by default all fit.

        Args:
            model: the `model` section.
            own: the task's own sections by their key.

        Raises:
            ValueError: they do.
        """

    @property
    def writing(self) -> GenerationConfig | None:
        """How its models write where nothing else is asked for; None: they write nothing."""
        return None

    @property
    def answers_conversations(self) -> bool:
        """Whether what its models write are answers to conversations, and a prompt is a message of the user."""
        return False

    @property
    def inputs(self) -> tuple[Field, ...]:
        """The fields that a model is given."""
        return tuple(field for field in self.fields if field.role == "input")


@dataclass(frozen=True, eq=False)
class Sections:
    """The schemas of a task's sections, as its `config.py` names them in `SECTIONS`.

    Attributes:
        task: of `task`.
        model: of `model`.
        train: of `train`; it needs no key.
        own: sections that other tasks do not have, by their key; they need no key.
    """

    task: type[TaskConfig]
    model: type[ModelConfig]
    train: type[TrainConfig]
    own: Mapping[str, type[Config]] = field(default_factory=dict)
