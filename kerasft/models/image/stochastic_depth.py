"""How often an image net leaves whole branches out while it learns.

Source: Huang et al. 2016, arXiv:1603.09382.
"""

from __future__ import annotations

from typing import Any

import keras

from kerasft.errors import ConfigError
from kerasft.models.walking import walk_layers


def set_stochastic_depth(backbone: keras.Model, highest: float) -> None:
    """Sets the highest rate of the branches, and the others in proportion.

    A branch that is left out gives the pictures that it is left out for nothing but what it stands beside. The nets
    that do it (EfficientNet: 0.2) do so more often the further up a branch is.

    Args:
        backbone: of `build_image_backbone`.
        highest: in [0, 1); 0 leaves none out.

    Raises:
        ConfigError: the net has no such branches, and `highest` is not 0.
    """
    branches = [(layer, name) for layer in walk_layers(backbone) if (name := _find_rate(layer))]
    before = max((getattr(layer, name) for layer, name in branches), default=0.0)
    if not before:
        if highest:
            raise ConfigError(
                "the net has no stochastic depth.",
                where="model.stochastic_depth",
                fix="Leave the key out; EfficientNet and EfficientNetV2 have it.",
            )
        return
    for layer, name in branches:
        setattr(layer, name, getattr(layer, name) * highest / before)


def _find_rate(layer: Any) -> str | None:
    """The attribute that holds the rate of a layer which leaves a branch out; None for other layers."""
    if type(layer).__name__ == "StochasticDepth":
        return "drop_path_rate"
    if isinstance(layer, keras.layers.Dropout) and layer.noise_shape is not None:
        return "rate"
    return None
