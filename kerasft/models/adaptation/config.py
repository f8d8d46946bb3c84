"""The `model.adaptation` section: which weights are trained, and how fast."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import pydantic

from kerasft.config.base import Config

Target = Literal[
    "query", "key", "value", "attention_output", "feedforward_intermediate", "feedforward_output"
]
"""A dense layer of a transformer block, by the name that keras-hub gives its kind."""


class FullConfig(Config):
    """All weights are trained, with one learning rate unless `train.optimizer` says otherwise."""

    type: Literal["full"]


class HeadOnlyConfig(Config):
    """The net is frozen, without dropout; only the head is trained, and with it a text encoder's pooler."""

    type: Literal["head"]


class GradualConfig(Config):
    """Gradual unfreezing: first the head is trained, then one more block at a time from the top (Howard and Ruder
    2018)."""

    type: Literal["gradual"]
    every_epochs: int = pydantic.Field(1, ge=1)
    """Epochs between two unfreezings. Blocks that are not reached within `train.epochs` stay frozen."""


class LayerwiseConfig(Config):
    """All weights are trained, with smaller learning rates for layers further from the head. Sets
    `train.optimizer.layer_decay`."""

    type: Literal["layerwise"]
    decay: float = pydantic.Field(0.9, gt=0.0, le=1.0)
    """Factor on the learning rate for each layer further from the head."""


class LoraConfig(Config):
    """LoRA: the net is frozen; a product of two low-rank matrices is trained beside some of its dense layers (Hu et al.
    2021), and a head that the preset does not have."""

    type: Literal["lora"]
    rank: int = pydantic.Field(8, ge=1)
    """The rank: columns of the first matrix, rows of the second."""
    alpha: float = pydantic.Field(16.0, gt=0.0)
    """The product is scaled by alpha / rank."""
    targets: tuple[Target, ...] = pydantic.Field(("query", "value"), min_length=1)
    """The dense layers of each block that get such a product."""
    dropout: float = pydantic.Field(0.0, ge=0.0, lt=1.0)
    """Dropout rate on the product's input."""

    @pydantic.field_validator("targets")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("each target can be named only once")
        return value


class BitfitConfig(Config):
    """Only biases, those of normalisation layers included, are trained (Ben Zaken et al. 2021), and a head that the
    preset does not have."""

    type: Literal["bitfit"]


TextAdaptation = Annotated[
    FullConfig | HeadOnlyConfig | GradualConfig | LayerwiseConfig | LoraConfig | BitfitConfig,
    pydantic.Field(discriminator="type"),
]
ImageAdaptation = Annotated[
    FullConfig | HeadOnlyConfig | GradualConfig | LayerwiseConfig, pydantic.Field(discriminator="type")
]
Adaptation = FullConfig | HeadOnlyConfig | GradualConfig | LayerwiseConfig | LoraConfig | BitfitConfig

IMAGE_TYPES = ("full", "head", "gradual", "layerwise")
TEXT_TYPES = (*IMAGE_TYPES, "lora", "bitfit")
_NOT_FOR_IMAGES = {
    "lora": "`lora` is for text encoders: convolutions have no adapters in kerasft",
    "bitfit": "`bitfit` is for text encoders: the convolutions of image nets have no biases",
}


def read_text_adaptation(value: Any) -> Any:
    """The section from what stands in the config; a name alone is that type with its defaults.

    Raises:
        ValueError: there is no such type.
    """
    return _read(value, TEXT_TYPES)


def read_image_adaptation(value: Any) -> Any:
    """As `read_text_adaptation`, for picture nets.

    Raises:
        ValueError: there is no such type, or not for pictures.
    """
    kind = value.get("type") if isinstance(value, dict) else value
    if isinstance(kind, str) and kind in _NOT_FOR_IMAGES:
        raise ValueError(f"{_NOT_FOR_IMAGES[kind]}; expected one of {', '.join(IMAGE_TYPES)}")
    return _read(value, IMAGE_TYPES)


def _read(value: Any, known: Sequence[str]) -> Any:
    if not isinstance(value, str):
        return value
    if value not in known:
        near = difflib.get_close_matches(value, known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"expected one of {', '.join(known)}; got {value!r}{hint}")
    return {"type": value}
