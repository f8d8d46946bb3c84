"""How training pictures are augmented: the schema of `augmentation`."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import pydantic

from kerasft.config.base import Config


class RandAugmentConfig(Config):
    """RandAugment: random operations out of fourteen, drawn for each picture."""

    layers: int = pydantic.Field(2, ge=0, le=8)
    """Number of operations applied to a picture, one after the other; 0 switches RandAugment off."""
    magnitude: float = pydantic.Field(9.0, ge=0.0, le=10.0)
    """Strength of each operation: 0 changes almost nothing, 10 is the maximum."""


class AugmentationConfig(Config):
    """Random changes to training pictures, to prevent overfitting.

    `policy` sets all keys; a key that is given replaces the value of the policy.
    """

    policy: Literal["none", "light", "medium", "strong"] = "light"
    """`light`: flips, crops, slight changes of colour. `medium`: smaller crops, rotation, more colour, random erasing.
    `strong`: even smaller crops, RandAugment, MixUp and CutMix, for many epochs. `none`: no augmentation."""
    flip: bool | None = None
    """Flips half of the pictures left to right. Not for pictures whose sides matter, such as letters."""
    crop: tuple[float, float] | None = None
    """Random crop: smallest and largest share of the picture's area that is kept, [0.6, 1.0]; [1.0, 1.0] keeps all."""
    rotation_degrees: float | None = pydantic.Field(None, ge=0.0, le=180.0)
    """Largest random rotation, in either direction."""
    brightness: float | None = pydantic.Field(None, ge=0.0, le=1.0)
    """Multiplies the brightness by a random factor in 1 ± this value."""
    contrast: float | None = pydantic.Field(None, ge=0.0, le=1.0)
    """Multiplies the distance from the mean grey by a random factor in 1 ± this value."""
    saturation: float | None = pydantic.Field(None, ge=0.0, le=1.0)
    """Multiplies the distance from each pixel's grey by a random factor in 1 ± this value."""
    hue: float | None = pydantic.Field(None, ge=0.0, le=0.5)
    """Largest random shift of the hue in either direction, as a share of the colour circle."""
    rand_augment: RandAugmentConfig | None = None
    """RandAugment (arXiv:1909.13719)."""
    erasing: float | None = pydantic.Field(None, ge=0.0, le=1.0)
    """Probability that a random rectangle is filled with noise (arXiv:1708.04896)."""
    mixup: float | None = pydantic.Field(None, ge=0.0, le=10.0)
    """MixUp: blends pairs of pictures and their labels; the share is drawn from Beta(this, this) (arXiv:1710.09412). 0:
    off."""
    cutmix: float | None = pydantic.Field(None, ge=0.0, le=10.0)
    """CutMix: pastes a rectangle of another picture; its area is drawn from Beta(this, this) (arXiv:1905.04899). 0:
    off. With `mixup` as well, each batch gets one of the two, at random."""

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


class BoxAugmentationConfig(Config):
    """Random changes to training pictures and the boxes in them, to prevent overfitting.

    `policy` sets all keys but `flip_vertical`, `rotate_90` and `min_visibility`; a key that is given replaces the value
    of the policy.
    """

    policy: Literal["none", "light", "medium"] = "medium"
    """`light`: flips, scales from 0.8 to 1.25, slight changes of colour. `medium`: scales from 0.6 to 1.4, more colour.
    `none`: no augmentation."""
    flip: bool | None = None
    """Flips half of the pictures left to right. Not for pictures whose sides matter, such as letters."""
    flip_vertical: bool = False
    """Flips half of the pictures upside down. For pictures without an up, such as cells under a microscope."""
    rotate_90: bool = False
    """Rotates each picture by 0, 90, 180 or 270 degrees at random. For pictures without an up, such as cells or aerial
    photographs."""
    scale: tuple[float, float] | None = None
    """Smallest and largest factor by which pictures are scaled, [0.6, 1.4]; 1 is the size that evaluation uses. A
    larger picture is cut at a random place, a smaller one lies at a random place and the rest is black."""
    min_visibility: float = pydantic.Field(0.4, ge=0.0, le=1.0)
    """Smallest share of a box's area that must be left in the picture. A box with less of it is not learned: the place
    where it is counts neither as an object nor as background."""
    brightness: float | None = pydantic.Field(None, ge=0.0, le=1.0)
    """Multiplies the brightness by a random factor in 1 ± this value."""
    contrast: float | None = pydantic.Field(None, ge=0.0, le=1.0)
    """Multiplies the distance from the mean grey by a random factor in 1 ± this value."""
    saturation: float | None = pydantic.Field(None, ge=0.0, le=1.0)
    """Multiplies the distance from each pixel's grey by a random factor in 1 ± this value."""
    hue: float | None = pydantic.Field(None, ge=0.0, le=0.5)
    """Largest random shift of the hue in either direction, as a share of the colour circle."""

    @pydantic.field_validator("scale")
    @classmethod
    def _scale_is_a_range(cls, scale: tuple[float, float] | None) -> tuple[float, float] | None:
        if scale is not None and not 0.1 <= scale[0] <= scale[1] <= 10.0:
            raise ValueError("must be two factors, the smaller first, from 0.1 to 10: [0.6, 1.4]")
        return scale

    def resolve(self) -> BoxAugmentation:
        """What is done in the end: the policy's values, replaced by those that are given."""
        return BoxAugmentation(
            **(_BOX_POLICIES[self.policy] | self.model_dump(exclude={"policy"}, exclude_none=True))
        )


class BoxAugmentation(NamedTuple):
    """What is done to pictures with boxes, every value known; the defaults do nothing."""

    flip: bool = False
    flip_vertical: bool = False
    rotate_90: bool = False
    scale: tuple[float, float] = (1.0, 1.0)
    min_visibility: float = 0.4
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0


_BOX_POLICIES: dict[str, dict[str, Any]] = {
    "none": {},
    "light": {"flip": True, "scale": (0.8, 1.25), "brightness": 0.1, "contrast": 0.1, "saturation": 0.1},
    "medium": {
        "flip": True,
        "scale": (0.6, 1.4),
        "brightness": 0.2,
        "contrast": 0.2,
        "saturation": 0.3,
        "hue": 0.02,
    },
}
