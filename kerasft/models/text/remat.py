"""Gradient checkpointing: activations are dropped in the forward pass and computed again in the backward pass.

A checkpointed layer keeps only its input until the backward pass. A net of n layers then has n inputs and the
activations of one layer in memory, instead of the activations of all layers. The forward pass of each layer runs twice.

Source: Chen et al. 2016, arXiv:1604.06174.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from kerasft.errors import ConfigError
from kerasft.models.walking import walk_layers


class RepeatableSeeds(keras.random.SeedGenerator):
    """A seed generator that can give once more what it gave, for a function that is called a second time.

    Args:
        seed: as for Keras' own; None: a random one.
        name: of the variable that holds the state.
    """

    def __init__(self, seed: int | None = None, name: str = "seed_generator", **kwargs):
        super().__init__(seed, name, **kwargs)
        self._next: Callable[[], tf.Tensor] | None = None

    def next(self, ordered: bool = True) -> tf.Tensor:
        """The next seed, uint32 (2,); inside `keep` the one that is to be given."""
        return super().next(ordered) if self._next is None else self._next()

    @contextlib.contextmanager
    def keep(self, seeds: list[tf.Tensor], after: tf.Tensor) -> Iterator[None]:
        """Inside, what is drawn is written down; where something is written down already, that is given instead.

        Args:
            seeds: what was drawn, in order; empty for the first call.
            after: no seed is given before this tensor is computed. Masks follow from seeds and shapes: where shapes are
                known, they would be made long before they are needed, or once for both calls and kept between them.
        """
        again = iter(list(seeds)) if seeds else None

        def draw() -> tf.Tensor:
            if again is None:
                seed = super(RepeatableSeeds, self).next()
                seeds.append(seed)
            else:
                seed = next(again)
            with tf.control_dependencies([after]):
                return tf.identity(seed)

        self._next = draw
        try:
            yield
        finally:
            self._next = None


def compute_twice(
    function: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor, generator: RepeatableSeeds
) -> tf.Tensor:
    """`function(x)`, which is called again for its gradient; of what it computes nothing else is kept.

    Args:
        function: of x and of variables. It changes no state, but may draw from the generator: the second call is given
            the seeds of the first, for another mask would make the gradient that of another function.
        x: float, any shape; the gradient reaches it, and the variables.
        generator: what the function draws from.
    """
    seeds: list[tf.Tensor] = []

    def run(x: tf.Tensor) -> tf.Tensor:
        with generator.keep(seeds, after=x):
            return function(x)

    return keras.remat(run)(x)


def set_remat(model: keras.Model, remat: bool) -> None:
    """Says of each layer that can be computed twice whether it is, while the model trains. To be said before `fit`.

    Weights, their names and their gradients stay the same.

    Args:
        model: its layers, and those of models in it.
        remat: False keeps all activations.

    Raises:
        ConfigError: it has no such layer.
    """
    layers: list[Any] = [layer for layer in walk_layers(model) if hasattr(layer, "remat")]
    for layer in layers:
        layer.remat = remat
    if remat and not layers:
        raise ConfigError(
            f"no layer of {model.name} supports gradient checkpointing",
            where="train.remat",
            fix="Leave it out; a smaller train.batch_size with gradient_accumulation_steps takes less memory too.",
        )
