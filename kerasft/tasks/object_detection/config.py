"""The sections of object detection."""

from __future__ import annotations

from typing import ClassVar, Literal

import pydantic

from kerasft.data.kinds.fields import Field, read_label_names
from kerasft.metrics.detection.figure_kinds import DETECTION
from kerasft.metrics.figures import FigureKinds
from kerasft.models.config import ImageNetConfig, check_least_side
from kerasft.optimizers.config import AdamWConfig, OptimizerConfig
from kerasft.tasks.config import Sections, TaskConfig
from kerasft.training.config import HeadConfig, ImageTrainConfig
from kerasft.vision.config import BoxAugmentationConfig

COARSEST_STRIDE = 32
"""Of the net's maps: an image side is a multiple of it, so that their cells lie on one another."""


class ObjectDetectionConfig(TaskConfig):
    """Boxes around the objects in a picture, and their classes."""

    after_training: ClassVar[tuple[str, ...]] = ("threshold", "max_detections")
    class_keys: ClassVar[tuple[str, ...]] = ("labels",)

    type: Literal["object_detection"]
    labels: tuple[str, ...] | None = pydantic.Field(None, min_length=1)
    """The classes, in the order of the model's outputs. Rows with other classes are rejected. Null: the classes found
    in the data, sorted."""
    threshold: float | None = pydantic.Field(None, ge=0.0, le=1.0)
    """The score from which on a box is an answer. Null: the score with the highest F1 on the validation split, which is
    stored in the model. Average precision is measured from all boxes. `evaluate`, `predict` and `export` can use
    another value than the training did."""
    max_detections: int = pydantic.Field(100, ge=1, le=1000)
    """The largest number of boxes in a picture. `evaluate`, `predict` and `export` can use another value than the
    training did."""
    augmentation: BoxAugmentationConfig = BoxAugmentationConfig()
    """Random changes to training pictures while the whole net is trained; boxes move with them. The head's own phase
    has none."""

    @pydantic.field_validator("labels")
    @classmethod
    def _read_labels(cls, labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return read_label_names(labels)

    @property
    def fields(self) -> tuple[Field, ...]:
        """What an example contains."""
        return (
            Field("image", "image"),
            Field("boxes", "boxes", "target"),
            Field("classes", "labels", "target", of="boxes", classes=self.labels),
        )

    @property
    def answer_keys(self) -> tuple[str, ...]:
        """The keys of an answer."""
        return ("boxes",)

    @property
    def figure_kinds(self) -> FigureKinds:
        """How the model is measured."""
        return DETECTION


class DetectorConfig(ImageNetConfig):
    """A pre-trained image net, and a detector on its feature maps."""

    image_size_px: int | tuple[int, int] = 416
    """The size of the images that the net is given: the side of a square, or [height, width]; multiples of 32. Pictures
    are scaled to fit and the rest is black, so the shape should be that of most pictures: [320, 416] suits pictures of
    640 × 480 and takes three quarters of the time of a square."""
    stride: Literal[4, 8, 16] = 8
    """Pixels of the image from one cell of the detector's map to the next. Two objects of a class are told apart if
    their middles lie in cells that are not neighbours: 4 suits small or crowded objects, and takes about twice the
    time."""
    channels: int = pydantic.Field(96, ge=16, le=512)
    """Channels of the layers between the net and the answers."""
    quality: bool = True
    """Whether the model also predicts how well each of its boxes fits, which then counts in the scores: they rank boxes
    by class and place together."""

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of the images."""
        size = self.image_size_px
        return size if isinstance(size, tuple) else (size, size)

    @property
    def least_side_px(self) -> int | None:
        """As `ImageNetConfig.least_side_px`."""
        return min(self.size_px)

    @pydantic.field_validator("image_size_px")
    @classmethod
    def _check_size(
        cls, value: int | tuple[int, int], info: pydantic.ValidationInfo
    ) -> int | tuple[int, int]:
        for side in value if isinstance(value, tuple) else (value,):
            if side % COARSEST_STRIDE or not 64 <= side <= 4096:
                near = min(max(round(side / COARSEST_STRIDE), 2), 128) * COARSEST_STRIDE
                raise ValueError(
                    f"each side must be a multiple of {COARSEST_STRIDE} from 64 to 4096, not {side}; {near} is near"
                )
            check_least_side(info.data.get("preset", ""), side)
        return value


class DetectorHeadConfig(HeadConfig):
    """A first phase: the pre-trained net is frozen, and only what stands on it is trained."""

    epochs: int = pydantic.Field(3, ge=1)
    """Passes over the training split."""
    learning_rate: float = pydantic.Field(2e-3, gt=0.0)
    """Peak learning rate of AdamW, with cosine decay."""
    cache: bool = False
    """Feature maps of whole pictures are too large to be kept: they are computed anew in each epoch, and this key stays
    false."""

    @pydantic.field_validator("cache")
    @classmethod
    def _keeps_nothing(cls, value: bool) -> bool:
        if value:
            raise ValueError(
                "the feature maps of a detector are too large to be kept: a picture's take megabytes. Leave it out"
            )
        return value


class DetectorTrainConfig(ImageTrainConfig):
    """How a detector is trained: first what stands on the net, then all of it, the net with smaller learning rates."""

    head: DetectorHeadConfig | None = DetectorHeadConfig()
    """The first phase, with the net frozen. Null: all is trained from the start."""
    epochs: int = pydantic.Field(50, ge=0)
    """Passes over the training split with the whole net; 0 trains what stands on it alone."""
    batch_size: int = pydantic.Field(8, ge=1)
    """Pictures per training step."""
    evaluation_batch_size: int = pydantic.Field(16, ge=1)
    """Pictures per batch in evaluation and prediction."""
    optimizer: OptimizerConfig = AdamWConfig(
        type="adamw",
        learning_rate=1e-3,
        weight_decay=0.05,
        layer_decay=0.9,
        global_clipnorm=10.0,
        use_ema=True,
        ema_momentum=0.99,
    )
    """The optimizer of the second phase, by `type`. The moving average of the weights is what is measured and kept."""
    monitor: str = "ap"
    """The validation figure that selects the best epoch."""


SECTIONS = Sections(task=ObjectDetectionConfig, model=DetectorConfig, train=DetectorTrainConfig)
