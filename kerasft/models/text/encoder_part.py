"""What the layers of a fast text encoder or decoder share: variables, dropout, and products beside dense layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from kerasft.models.text.low_rank import LowRankProduct, Piece
from kerasft.models.text.operations import LAYER_NORM_EPSILON, byte_dropout, layer_norm, matrix_product
from kerasft.models.text.remat import RepeatableSeeds

_ALL = slice(None)


class EncoderPart(keras.layers.Layer):
    """What the layers share: float32 variables, a matmul dtype, dropout from one seed generator.

    A layer that is frozen as a whole (`trainable = False`) has no dropout: it gives what it gives where nothing is
    learned, as Keras' own batch normalisation does.
    """

    def __init__(
        self,
        dropout: float,
        matmul_dtype: str,
        seed: int | None,
        *,
        layer_norm_epsilon: float = LAYER_NORM_EPSILON,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.layer_norm_epsilon = layer_norm_epsilon
        self.dropout = dropout
        self.matmul_dtype = matmul_dtype
        self.seed = seed
        self.seed_generator = RepeatableSeeds(seed)
        self.low_rank: dict[str, LowRankProduct] = {}

    def _drop(self, x: tf.Tensor, training: bool | None) -> tf.Tensor:
        if not training or not self.dropout or not self.trainable:
            return x
        return byte_dropout(x, self.dropout, self.seed_generator.next())

    def _linear(
        self, x: tf.Tensor, dense: str, training: bool | None = None, columns: slice = _ALL
    ) -> tf.Tensor:
        kernel, bias = self._dense[dense]
        kernel, bias = kernel.value, None if bias is None else bias.value
        if columns is not _ALL:
            kernel, bias = kernel[:, columns], None if bias is None else bias[columns]
        y = matrix_product(x, kernel, self.matmul_dtype)
        product = self.low_rank.get(dense)
        if product is not None:
            seed = self.seed_generator.next() if training and product.dropout else None
            y += product.compute(x, columns, self.matmul_dtype, seed)
        return y if bias is None else tf.nn.bias_add(y, bias)

    def add_low_rank(
        self,
        dense: str,
        columns: Mapping[str, tuple[int, int]],
        *,
        rank: int,
        scale: float,
        dropout: float,
        seed: int,
    ) -> None:
        """Puts products of thin matrices beside a dense layer; they begin at 0.

        Args:
            dense: the layer's name.
            columns: a name for the variables → the columns of the kernel that they stand beside.
            rank, scale, dropout: see `LowRankProduct`.
            seed: of the first matrices.
        """
        kernel = self._dense[dense][0]
        pieces = []
        # Keras locks what a layer holds once it is built, and unlocks it so for its own LoRA
        self._tracker.unlock()
        for place, (name, (start, stop)) in enumerate(columns.items()):
            # uniform up to 1/√in, as in the authors' code
            initializer = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed=seed + place)
            down = self.add_weight(
                shape=(kernel.shape[0], rank), initializer=initializer, name=f"{name}_lora_down"
            )
            up = self.add_weight(shape=(rank, stop - start), initializer="zeros", name=f"{name}_lora_up")
            pieces.append(Piece(start, stop, down, up))
        self._tracker.lock()
        self.low_rank[dense] = LowRankProduct(tuple(pieces), int(kernel.shape[1]), scale, dropout)

    def _norm(self, x: tf.Tensor, norm: str) -> tf.Tensor:
        gamma, beta = self._norms[norm]
        return layer_norm(x, gamma.value, beta.value, self.layer_norm_epsilon)

    def _add_dense(
        self, name: str, inputs: int, outputs: int, *, initializer: Any = None, bias: bool = True
    ) -> None:
        if initializer is None:
            initializer = keras.initializers.TruncatedNormal(stddev=0.02, seed=self.seed)
        self._dense[name] = (
            self.add_weight(shape=(inputs, outputs), initializer=initializer, name=f"{name}_kernel"),
            self.add_weight(shape=(outputs,), initializer="zeros", name=f"{name}_bias") if bias else None,
        )

    def _add_norm(self, name: str, size: int) -> None:
        self._norms[name] = (
            self.add_weight(shape=(size,), initializer="ones", name=f"{name}_gamma"),
            self.add_weight(shape=(size,), initializer="zeros", name=f"{name}_beta"),
        )

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "dropout": self.dropout,
            "matmul_dtype": self.matmul_dtype,
            "seed": self.seed,
            "layer_norm_epsilon": self.layer_norm_epsilon,
        }
