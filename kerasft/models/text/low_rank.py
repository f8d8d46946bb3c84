"""The product of two thin matrices that learns beside a dense layer: LoRA's arithmetic.

    y = x·W + b + (alpha / rank)·(x·A)·B

W is frozen; A (in, rank) begins at random and B (rank, out) at zero, so that the layer begins as it was.

Source: Hu et al. 2021, arXiv:2106.09685.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.models.text.operations import byte_dropout, matrix_product


@dataclass(frozen=True)
class Piece:
    """The two matrices beside some columns of a kernel.

    Attributes:
        start, stop: the columns.
        down: A, a Keras variable (in, rank).
        up: B, a Keras variable (rank, stop − start).
    """

    start: int
    stop: int
    down: Any
    up: Any


@dataclass(frozen=True)
class LowRankProduct:
    """What learns beside one dense layer.

    Several pieces are computed as one: their A side by side, their B on the diagonal of a matrix that is otherwise 0.

    Attributes:
        pieces: each beside other columns.
        columns: of the kernel.
        scale: alpha / rank.
        dropout: on what A is given.
    """

    pieces: tuple[Piece, ...]
    columns: int
    scale: float
    dropout: float

    def compute(self, x: tf.Tensor, columns: slice, dtype: str, seed: tf.Tensor | None) -> tf.Tensor:
        """What is added to x·W in some columns.

        Args:
            x: float32, or `dtype`, (rows, in).
            columns: of W.
            dtype: what matrix products take their inputs in.
            seed: of dropout, int or uint32 (2,); None: there is none.

        Returns:
            float32 (rows, columns).
        """
        if seed is not None and self.dropout:
            x = byte_dropout(tf.cast(x, tf.float32), self.dropout, seed)
        down = tf.concat([piece.down.value for piece in self.pieces], axis=1)
        up = tf.concat(
            [
                tf.pad(piece.up.value, [[0, 0], [piece.start, self.columns - piece.stop]])
                for piece in self.pieces
            ],
            axis=0,
        )
        return matrix_product(matrix_product(x, down, dtype), self.scale * up[:, columns], dtype)

    def merge(self, kernel: np.ndarray) -> np.ndarray:
        """W + scale·A·B, float32 (in, columns): a dense layer of that kernel alone gives the same."""
        merged = kernel.astype(np.float64)
        for piece in self.pieces:
            down, up = (np.asarray(part, np.float64) for part in (piece.down, piece.up))
            merged[:, piece.start : piece.stop] += self.scale * (down @ up)
        return merged.astype(np.float32)
