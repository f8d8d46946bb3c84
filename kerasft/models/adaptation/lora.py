"""LoRA on our text encoders: products of thin matrices put beside its dense layers, and merged into them.

Source: Hu et al. 2021, arXiv:2106.09685.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from kerasft.errors import ConfigError
from kerasft.models.adaptation.config import LoraConfig
from kerasft.models.walking import walk_layers
from kerasft.optimizers.matrices import declare_matrices


def add_lora(model: keras.Model, config: LoraConfig, *, seed: int) -> None:
    """Puts products beside the encoder's dense layers. The model gives what it gave: they begin at 0.

    Args:
        model: has our encoder in it, at any depth.
        config: rank, scale, targets, dropout.
        seed: of the first matrices.

    Raises:
        ConfigError: it has no such encoder, or the rank is above what a layer has inputs or outputs.
    """
    layers = _find_layers(model)
    if not layers:
        raise ConfigError(
            f"{model.name} contains no transformer blocks that support adapters",
            where="model.adaptation",
            fix="Set model.adaptation to full, head, gradual, layerwise or bitfit.",
        )
    for index, layer in enumerate(layers):
        beside: dict[str, dict[str, tuple[int, int]]] = {}
        for target in config.targets:
            dense, start, stop = layer.locate(target)
            most = min(int(layer._dense[dense][0].shape[0]), stop - start)
            if config.rank > most:
                raise ConfigError(
                    f"rank {config.rank} is more than the {most} columns of {target}",
                    where="model.adaptation.rank",
                    fix="A rank of 4 to 64 is usual.",
                )
            beside.setdefault(dense, {})[target] = (start, stop)
        for order, (dense, columns) in enumerate(beside.items()):
            drawn = int(np.random.SeedSequence([seed, 1, index, order]).generate_state(1)[0]) // 2
            layer.add_low_rank(
                dense,
                columns,
                rank=config.rank,
                scale=config.alpha / config.rank,
                dropout=config.dropout,
                seed=drawn,
            )
    for factor in list_products(model):
        declare_matrices(factor, 0)  # what acts as a matrix is the product


def _find_layers(model: keras.Model) -> list[Any]:
    return [layer for layer in walk_layers(model) if hasattr(layer, "locate")]


def list_products(model: keras.Model) -> list[Any]:
    """The variables of all products, from the bottom."""
    return [
        part
        for layer in _find_layers(model)
        for product in layer.low_rank.values()
        for piece in product.pieces
        for part in (piece.down, piece.up)
    ]


def merge_lora(model: keras.Model) -> None:
    """Adds the products to the weights beside which they stand, and removes them: the model gives what it gave."""
    for layer in _find_layers(model):
        for dense, product in layer.low_rank.items():
            kernel = layer._dense[dense][0]
            kernel.assign(product.merge(kernel.numpy()))
            for piece in product.pieces:
                layer._untrack_variable(piece.down)
                layer._untrack_variable(piece.up)
        layer.low_rank.clear()
