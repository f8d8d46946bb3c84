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
    """The labels, in the order of the model's outputs; other labels in the data are rejected. Null: those found in
    the data, sorted (numbers by value)."""
    multi_label: bool = False
    """Whether a picture has any number of labels, given as a list, or as text with | between them, under `labels`."""
    label_smoothing: float = pydantic.Field(0.1, ge=0.0, lt=1.0)
    """Share of the target spread evenly over all labels."""
    class_weights: Literal["none", "balanced"] = "none"
    """`balanced`: each label counts as much as any other, however rare."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """How training pictures are varied while the whole net learns; the head's own phase sees them as they are."""
    test_time_augmentation: Literal["none", "flip"] = "none"
    """`flip`: answers are the mean of a picture's and its mirror image's logits, at twice the time; exports too."""

    @pydantic.field_validator("labels")
    @classmethod
    def _read_labels(cls, labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return read_label_names(labels)

    @property
    def fields(self) -> tuple[Field, ...]:
        """What an example must hold."""
        name = "labels" if self.multi_label else "label"
        return Field("image", "image"), Field(name, name, "target", classes=self.labels)

    @property
    def answer_keys(self) -> tuple[str, ...]:
        """What it says of a picture."""
        return "labels" if self.multi_label else "label", "probabilities"

    @property
    def figure_kinds(self) -> FigureKinds:
        """The figures that it is measured by."""
        return MULTI_LABEL if self.multi_label else CLASSIFICATION


SECTIONS = Sections(task=ImageClassificationConfig, model=ImageModelConfig, train=ImageTrainConfig)
