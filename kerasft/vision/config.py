"""How training pictures are varied: the schema of `augmentation`."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import pydantic

from kerasft.config.base import Config


class RandAugmentConfig(Config):
    """Some of fourteen operations, drawn anew for each picture."""

    layers: int = pydantic.Field(2, ge=0, le=8)
    """Operations a picture, one after the other; 0 switches it off."""
    magnitude: float = pydantic.Field(9.0, ge=0.0, le=10.0)
    """How strong each is: 0 changes next to nothing, 10 is the most."""


class AugmentationConfig(Config):
    """How training pictures are varied, so that the model does not learn them by heart.

    `policy` sets everything; a key that is given replaces what the policy says of it.
    """

    policy: Literal["none", "light", "medium", "strong"] = "light"
    """`light`: flips, crops, mild colour. `medium`: tighter crops, rotation, more colour, erasing. `strong`: tighter
    still, RandAugment, MixUp and CutMix, for many epochs. `none`: pictures as they are."""
    flip: bool | None = None
    """Mirrors every other picture left to right. Not for what differs by side, such as letters."""
    crop: tuple[float, float] | None = None
    """Cuts out between these shares of the picture's area, [0.6, 1.0]; [1.0, 1.0] cuts nothing."""
    rotation_degrees: float | None = pydantic.Field(None, ge=0.0, le=180.0)
    """Turns by up to so many degrees either way."""
    brightness: float | None = pydantic.Field(None, ge=0.0, le=1.0)
    """Multiplies by a factor in 1 ± this."""
    contrast: float | None = pydantic.Field(None, ge=0.0, le=1.0)
    """Stretches the distance to the mean grey by a factor in 1 ± this."""
    saturation: float | None = pydantic.Field(None, ge=0.0, le=1.0)
    """Stretches the distance to the pixel's grey by a factor in 1 ± this."""
    hue: float | None = pydantic.Field(None, ge=0.0, le=0.5)
    """Turns the colour circle by up to this share of it, either way."""
    rand_augment: RandAugmentConfig | None = None
    """Random operations (arXiv:1909.13719)."""
    erasing: float | None = pydantic.Field(None, ge=0.0, le=1.0)
    """The probability that a rectangle is filled with noise (arXiv:1708.04896)."""
    mixup: float | None = pydantic.Field(None, ge=0.0, le=10.0)
    """Blends pairs of pictures and their labels by a share drawn from Beta(this, this) (arXiv:1710.09412); 0: never."""
    cutmix: float | None = pydantic.Field(None, ge=0.0, le=10.0)
    """Pastes a rectangle of another picture, its size by Beta(this, this) (arXiv:1905.04899); 0: never. With `mixup`,
    every other batch is pasted."""

    @pydantic.field_validator("crop")
    @classmethod
    def _crop_is_a_range(cls, crop: tuple[float, float] | None) -> tuple[float, float] | None:
        if crop is not None and not 0.01 <= crop[0] <= crop[1] <= 1.0:
            raise ValueError("must be two shares of the area, the smaller first, from 0.01 to 1: [0.6, 1.0]")
        return crop

    def resolve(self) -> Augmentation:
        """What is done in the end: the policy's values, replaced by those that are given."""
        values = _POLICIES[self.policy] | self.model_dump(
            exclude={"policy", "rand_augment"}, exclude_none=True
        )
        if self.rand_augment is not None:
            values |= {"layers": self.rand_augment.layers, "magnitude": self.rand_augment.magnitude}
        return Augmentation(**values)


class Augmentation(NamedTuple):
    """What is done to pictures, every value known; the defaults do nothing."""

    flip: bool = False
    crop: tuple[float, float] = (1.0, 1.0)
    rotation_degrees: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    layers: int = 0
    magnitude: float = 9.0
    erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0


_POLICIES: dict[str, dict[str, Any]] = {
    "none": {},
    "light": {"flip": True, "crop": (0.6, 1.0), "brightness": 0.1, "contrast": 0.1, "saturation": 0.1},
    "medium": {
        "flip": True,
        "crop": (0.35, 1.0),
        "rotation_degrees": 10.0,
        "brightness": 0.2,
        "contrast": 0.2,
        "saturation": 0.2,
        "hue": 0.02,
        "erasing": 0.1,
    },
    "strong": {
        "flip": True,
        "crop": (0.25, 1.0),
        "layers": 2,
        "magnitude": 9.0,
        "erasing": 0.25,
        "mixup": 0.2,
        "cutmix": 1.0,
    },
}
