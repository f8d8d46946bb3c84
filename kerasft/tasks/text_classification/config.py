"""The sections of text classification."""

from __future__ import annotations

from typing import ClassVar, Literal

import pydantic

from kerasft.data.kinds.fields import Field, read_label_names
from kerasft.metrics.figures import CLASSIFICATION, FigureKinds
from kerasft.models.config import TextModelConfig
from kerasft.tasks.config import Sections, TaskConfig
from kerasft.training.config import TrainConfig


class TextClassificationConfig(TaskConfig):
    """One label for a text: sentiment, topic, intent."""

    class_keys: ClassVar[tuple[str, ...]] = ("labels",)

    type: Literal["text_classification"]
    labels: tuple[str, ...] | None = pydantic.Field(None, min_length=2)
    """The labels, in the order of the model's outputs. Rows with other labels are rejected. Null: the labels found in
    the data, sorted (numbers by value)."""
    label_smoothing: float = pydantic.Field(0.0, ge=0.0, lt=1.0)
    """Label smoothing: share of the target that is spread evenly over all labels."""
    pooling: Literal["auto", "cls", "mean"] = "auto"
    """How the tokens become one vector. `cls`: the output of [CLS] (BERT: through its pooler). `mean`: the mean over
    the text's tokens. `auto`: as the preset was trained (`mean` if a Sentence Transformers preset says so), otherwise
    `cls`."""

    @pydantic.field_validator("labels")
    @classmethod
    def _read_labels(cls, labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return read_label_names(labels)

    @property
    def fields(self) -> tuple[Field, ...]:
        """What an example contains."""
        return Field("text", "text"), Field("label", "label", "target", classes=self.labels)

    @property
    def answer_keys(self) -> tuple[str, ...]:
        """The keys of an answer."""
        return "label", "probabilities"

    @property
    def figure_kinds(self) -> FigureKinds:
        """How the model is measured."""
        return CLASSIFICATION


SECTIONS = Sections(task=TextClassificationConfig, model=TextModelConfig, train=TrainConfig)
