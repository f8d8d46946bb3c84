"""Image nets that tests share: built once a process, and lent as they were built. A net takes longer to build than
most tests of it take."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np

from kerasft.models.image.backbones import build_image_backbone


def lend_image_backbone(
    name: str, *, size_px: int | None = None, seed: int = 0, **arguments: Any
) -> keras.Model:
    """`build_image_backbone` with random weights: the same object each time, its weights and `trainable` set back.

    For tests that use one net at a time and keep nothing of it; two at once have different seeds.
    """
    net, weights = _build(name, size_px, seed, **arguments)
    for layer in net.layers:
        layer.trainable = True
    net.set_weights(weights)
    return net


@functools.lru_cache(maxsize=8)
def _build(
    name: str, size_px: int | None, seed: int, **arguments: Any
) -> tuple[keras.Model, list[np.ndarray]]:
    net = build_image_backbone(name, size_px=size_px, weights="none", arguments=arguments, seed=seed)
    return net, net.get_weights()
