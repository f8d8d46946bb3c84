"""The `model` section: which pre-trained net, and how it is held."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic

from kerasft.config.base import Config, PathField


class TextModelConfig(Config):
    """A pre-trained text encoder and what stands on it."""

    preset: Annotated[str, PathField(may_be_name=True)]
    """A keras-hub name (`bert_base_en_uncased`), `hf://owner/name`, `kaggle://…`, `modelscope://…`, a local folder
    (keras-hub or Hugging Face format), `package:module/folder` (inside an installed package), or the `preset/`
    folder of another run."""
    max_length: int = pydantic.Field(128, ge=8, le=8192)
    """Tokens an example may have, [CLS] and [SEP] included; longer texts are cut."""
    dropout: float = pydantic.Field(0.1, ge=0.0, lt=1.0)
    """Dropout on the pooled output, before the head."""
    random_weights: bool = False
    """Takes the preset's architecture and vocabulary, but not its weights."""


class ImageModelConfig(Config):
    """A pre-trained image net and what stands on it."""

    preset: str
    """A net of keras.applications (`efficientnet_b0`, `resnet50`, `mobilenet`, …; `kerasft presets list` shows all)."""
    arguments: dict[str, Any] = pydantic.Field(default_factory=dict)
    """Further arguments of the net, such as `{alpha: 0.25}` for MobileNet."""
    weights: Annotated[str, PathField(may_be_name=True)] = "imagenet"
    """What the net begins with: `imagenet` (downloaded once), `none` (random), or a file: weights in the .h5 form of
    keras.applications, or the `model.keras` of another run. A file is read as weights, never as a model."""
    image_size_px: int | None = pydantic.Field(None, ge=32, le=1024)
    """Height and width that pictures are brought to; null: what the net was made for, such as 224."""
    resize: Literal["crop", "pad", "stretch"] = "crop"
    """How: `crop` cuts the longer side to a square, `pad` fills the shorter one up, `stretch` distorts."""
    pooling: Literal["average", "max"] = "average"
    """How the last feature map becomes one vector."""
    dropout: float = pydantic.Field(0.2, ge=0.0, lt=1.0)
    """Dropout on that vector, before the head."""
    batch_norm: Literal["auto", "frozen", "train"] = "auto"
    """What batch normalisation does once the net learns. `frozen`: its statistics, scale and offset stay as they were
    pre-trained, which small data and small batches need. `train`: it learns, as from random weights it must. `auto`:
    `frozen` with pre-trained weights, `train` without."""
