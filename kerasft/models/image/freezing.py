"""Which layers of an image backbone are trained, and what batch normalisation does in them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

import keras

from kerasft.models.image.backbones import find_family
from kerasft.models.walking import walk_layers

BatchNorm = Literal["frozen", "train"]
STEM, TOP = "stem", "top"
_ANY_BLOCK = r"^(.*?\d+.*?)_"
"""For nets that are not in the table: what stands before the first `_` after a number."""


@dataclass(frozen=True)
class Block:
    """Layers that freeze and learn together.

    Attributes:
        name: of the block in its net, such as `conv4_block2`; `stem` and `top` are what stands before and after.
        layers: the names of its layers, from the bottom.
    """

    name: str
    layers: tuple[str, ...]


def list_blocks(backbone: keras.Model) -> list[Block]:
    """The backbone's blocks, the stem first and what stands on the last block at the end.

    Each holds weights: a stem or top without any is part of the block beside it.
    """
    family = find_family(backbone)
    pattern = re.compile(family.block if family else _ANY_BLOCK)
    names = [layer.name for layer in backbone.layers]
    keys = [_find_block(pattern, name) for name in names]
    last = max((index for index, key in enumerate(keys) if key), default=-1)
    blocks: dict[str, list[str]] = {}
    current = STEM
    for index, (name, key) in enumerate(zip(names, keys, strict=True)):
        # what has no block's name belongs to the block before it: Xception's shortcuts, activations
        current = key or (TOP if index > last >= 0 else current)
        blocks.setdefault(current, []).append(name)
    for block, neighbour in ((STEM, 1), (TOP, -2)):
        if len(blocks) > 1 and not any(backbone.get_layer(name).weights for name in blocks.get(block, ())):
            _merge(blocks, block, list(blocks)[neighbour])
    return [Block(name, tuple(layers)) for name, layers in blocks.items()]


def _merge(blocks: dict[str, list[str]], block: str, into: str) -> None:
    layers = blocks.pop(block, [])
    blocks[into] = layers + blocks[into] if block == STEM else blocks[into] + layers


def _find_block(pattern: re.Pattern[str], name: str) -> str | None:
    match = None if name.startswith("unnamed_") else pattern.search(name)
    return next((group for group in match.groups() if group), None) if match else None


def compute_layer_depths(backbone: keras.Model) -> dict[str, int]:
    """For each variable's path its block's distance from the bottom: 0 for the stem, then 1, 2, …

    Args:
        backbone: of `build_image_backbone`.
    """
    return {
        variable.path: depth
        for depth, block in enumerate(list_blocks(backbone))
        for name in block.layers
        for variable in backbone.get_layer(name).weights
    }


def freeze(backbone: keras.Model) -> None:
    """Nothing in the backbone learns, and batch normalisation takes its stored statistics and keeps them.

    Setting `trainable` on the layers does both. Calling the backbone with `training=False` when a model is put
    together does not: `fit` passes `training=True` down all the same, and the statistics move.
    """
    backbone.trainable = False


def unfreeze(
    backbone: keras.Model,
    *,
    last_blocks: int | None = None,
    share: float = 1.0,
    batch_norm: BatchNorm = "frozen",
    momentum: float | None = None,
) -> None:
    """The upper part of the backbone learns; what is below stays frozen.

    A model that was compiled must be compiled again.

    Args:
        backbone: of `build_image_backbone`.
        last_blocks: how many of `list_blocks` learn, counted from the top; None goes by `share`.
        share: of the blocks, from the top, where `last_blocks` is None: 1.0 is all.
        batch_norm: `frozen`: in blocks that learn, batch normalisation keeps its statistics, scale and offset, which
            is what small data and small batches want; `train`: it learns and follows the batches' statistics, which
            is what a net with random weights needs.
        momentum: with `train`: what statistics keep of themselves at each step; None leaves it as it is.

    Raises:
        ValueError: `last_blocks` or `share` is out of range.
    """
    blocks = list_blocks(backbone)
    if last_blocks is None:
        if not 0 <= share <= 1:
            raise ValueError(f"share must be from 0 to 1, not {share}")
        last_blocks = math.ceil(share * len(blocks))
    if not 0 <= last_blocks <= len(blocks):
        raise ValueError(f"last_blocks must be from 0 to {len(blocks)}, not {last_blocks}")
    learning = {name for block in blocks[len(blocks) - last_blocks :] for name in block.layers}
    backbone.trainable = bool(learning)
    for layer in backbone.layers:
        layer.trainable = layer.name in learning
    for layer in list_batch_norms(backbone):
        if batch_norm == "frozen":
            layer.trainable = False
        elif momentum is not None:
            layer.momentum = momentum


def list_batch_norms(model: keras.Model) -> list[keras.layers.Layer]:
    """The batch normalisation layers of a model, those of nested models included."""
    return [layer for layer in walk_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]


def choose_batch_norm(setting: str, weights: str) -> BatchNorm:
    """What `model.batch_norm` comes to.

    Args:
        setting: `auto`, `frozen` or `train`.
        weights: `model.weights`; `auto` trains batch normalisation where these are `none`.
    """
    if setting == "auto":
        return "train" if weights == "none" else "frozen"
    return "train" if setting == "train" else "frozen"
