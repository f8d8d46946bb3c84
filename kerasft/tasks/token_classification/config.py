"""The sections of token classification."""

from __future__ import annotations

from typing import ClassVar, Literal

import pydantic

from kerasft.data.kinds.fields import Field, read_label_names
from kerasft.metrics.figures import ENTITIES, FigureKinds
from kerasft.models.config import TextModelConfig
from kerasft.optimizers.config import AdamWConfig, OptimizerConfig
from kerasft.tasks.config import Sections, TaskConfig
from kerasft.training.config import TrainConfig


class TokenClassificationConfig(TaskConfig):
    """Spans of a text and their types: named entities, chunks, parts of speech."""

    after_training: ClassVar[tuple[str, ...]] = ("constrained",)
    class_keys: ClassVar[tuple[str, ...]] = ("labels",)
    cuts_examples: ClassVar[bool] = True

    type: Literal["token_classification"]
    labels: tuple[str, ...] | None = pydantic.Field(None, min_length=1)
    """The types of entities, in the order of the model's outputs. Rows with other types are rejected. Null: the types
    found in the data, sorted."""
    units: Literal["word", "character"] = "word"
    """What gets a tag. `word`: a run of letters or digits, a punctuation mark, or an ideograph, as the tokenizer splits
    words. `character`: each character, for languages without spaces between words."""
    constrained: bool = True
    """Whether only valid tag sequences are predicted: Viterbi's algorithm finds the best one, so no entity continues
    without a beginning. False: the best tag of each unit on its own. `evaluate`, `predict` and `export` can use another
    value than the training did."""
    overlap: float = pydantic.Field(0.25, ge=0.0, le=0.5)
    """Texts of more than `model.max_length` tokens are split into overlapping windows; neighbours share this part of
    their length. The tag of a unit comes from the window in which it is furthest from the edges."""

    @pydantic.field_validator("labels")
    @classmethod
    def _read_labels(cls, labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return read_label_names(labels)

    @property
    def fields(self) -> tuple[Field, ...]:
        """What an example contains."""
        parts = ("text", "words", "tags", "entities")
        return (
            Field("text", "tagged_text", parts=parts),
            Field("types", "labels", "target", of="text", classes=self.labels),
        )

    @property
    def answer_keys(self) -> tuple[str, ...]:
        """The keys of an answer."""
        return ("entities",)

    @property
    def figure_kinds(self) -> FigureKinds:
        """How the model is measured."""
        return ENTITIES


class TokenTrainConfig(TrainConfig):
    """How a model of entities in texts is trained."""

    monitor: str = "f1"
    """The validation figure that selects the best epoch. `loss` means `log_loss`, the mean cross-entropy without label
    smoothing or class weights."""
    optimizer: OptimizerConfig = AdamWConfig(
        type="adamw", learning_rate=5e-5, weight_decay=0.01, global_clipnorm=1.0
    )
    """The optimizer, by `type`. All gradients together are clipped to a norm of 1, unless you set one of the clipping
    keys (null switches clipping off)."""

    @pydantic.field_validator("optimizer")
    @classmethod
    def _clip(cls, optimizer: OptimizerConfig) -> OptimizerConfig:
        # the first steps' gradients, while all is taken for entities, would long rule AdamW's second moments
        clips = {"clipnorm", "global_clipnorm", "clipvalue"}
        if optimizer.type == "keras" or clips & optimizer.model_fields_set:
            return optimizer
        return optimizer.model_copy(update={"global_clipnorm": 1.0})


SECTIONS = Sections(task=TokenClassificationConfig, model=TextModelConfig, train=TokenTrainConfig)
