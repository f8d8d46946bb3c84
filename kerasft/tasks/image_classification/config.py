"""The sections of image classification."""

from __future__ import annotations

from typing import ClassVar, Literal

import pydantic

from kerasft.data.kinds.fields import Field, read_label_names
from kerasft.metrics.figures import CLASSIFICATION, MULTI_LABEL, FigureKinds
from kerasft.models.config import ImageModelConfig
from kerasft.tasks.config import Sections, TaskConfig
from kerasft.training.config import ImageTrainConfig
from kerasft.vision.config import AugmentationConfig


class ImageClassificationConfig(TaskConfig):
    """One label for a picture, or any number of them."""

    class_keys: ClassVar[tuple[str, ...]] = ("labels",)

    type: Literal["image_classification"]
    labels: tuple[str, ...] | None = pydantic.Field(None, min_length=2)
    """The labels, in the order of the model's outputs. Rows with other labels are rejected. Null: the labels found in
    the data, sorted (numbers by value)."""
    multi_label: bool = False
    """Whether a picture can have any number of labels. They are read from `labels`: a list, or text with | between the
    labels."""
    label_smoothing: float = pydantic.Field(0.1, ge=0.0, lt=1.0)
    """Label smoothing: share of the target that is spread evenly over all labels."""
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced`: weights the loss so that every label counts the same, however rare."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """Random changes to training pictures while the whole net is trained; the head's own phase has none."""
    test_time_augmentation: Literal["none", "flip"] = "none"
    """`flip`: averages the logits of a picture and its mirror image. Takes twice the time; exports do the same."""

    @pydantic.field_validator("labels")
    @classmethod
    def _read_labels(cls, labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return read_label_names(labels)

    @property
    def fields(self) -> tuple[Field, ...]:
        """What an example contains."""
        name = "labels" if self.multi_label else "label"
        return Field("image", "image"), Field(name, name, "target", classes=self.labels)

    @property
    def answer_keys(self) -> tuple[str, ...]:
        """The keys of an answer."""
        return "labels" if self.multi_label else "label", "probabilities"

    @property
    def figure_kinds(self) -> FigureKinds:
        """How the model is measured."""
        return MULTI_LABEL if self.multi_label else CLASSIFICATION


SECTIONS = Sections(task=ImageClassificationConfig, model=ImageModelConfig, train=ImageTrainConfig)
