"""Matrices with all singular values near 1, by Newton–Schulz iterations: many of one shape in one batched product."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import tensorflow as tf

LINEAR, CUBIC, QUINTIC = 3.4445, -4.7750, 2.0315
"""Of the polynomial a·x + b·x³ + c·x⁵ that all singular values x go through. It rises steeply at 0 and has no fixed
point at 1: five iterations bring values from 0.001 on into about [0.7, 1.2], which serves as well as 1."""
EPSILON = 1e-7
LARGEST_BATCH = 2**24
"""Elements that are computed together, 64 MB in float32. Large matrices gain nothing from more, and an iteration
needs some four times as much memory."""


def orthogonalise(matrices: tf.Tensor, steps: int) -> tf.Tensor:
    """The nearest matrices with orthonormal rows, roughly: U·Vᵀ where the matrix is U·S·Vᵀ.

        X ← X / (‖X‖ + ε)                  (Frobenius: no singular value is above 1)
        `steps` times:  A = X·Xᵀ,  X ← a·X + (b·A + c·A²)·X

    Args:
        matrices: float (batch, rows, columns), rows ≤ columns.
        steps: iterations, ≥ 1.

    Returns:
        As `matrices`; zeros for zeros.

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon, with its coefficients.
    """
    norm = tf.sqrt(tf.reduce_sum(tf.square(matrices), axis=(1, 2), keepdims=True))
    x = matrices / (norm + EPSILON)
    for _ in range(steps):
        product = tf.matmul(x, x, transpose_b=True)
        polynomial = CUBIC * product + QUINTIC * tf.matmul(product, product)
        x = LINEAR * x + tf.matmul(polynomial, x)
    return x


def orthogonalise_all(matrices: Sequence[tf.Tensor], steps: int) -> list[tf.Tensor]:
    """The same for matrices of any shapes and float types, those of one shape (or its transpose) together.

    Computed in float32, or in float64 where the matrices are.

    Args:
        matrices: each (rows, columns), in any order.
        steps: iterations.
    """
    results: list[tf.Tensor | None] = [None] * len(matrices)
    for places in _list_batches(matrices):
        flat = [_lay_flat(matrices[place]) for place in places]
        for place, result in zip(places, tf.unstack(orthogonalise(tf.stack(flat), steps)), strict=True):
            matrix = matrices[place]
            upright = tf.transpose(result) if _is_tall(matrix) else result
            results[place] = tf.cast(upright, matrix.dtype)
    return [result for result in results if result is not None]


def _lay_flat(matrix: tf.Tensor) -> tf.Tensor:
    """With no more rows than columns, so that X·Xᵀ is the smaller product."""
    wide = matrix if matrix.dtype == tf.float64 else tf.cast(matrix, tf.float32)
    return tf.transpose(wide) if _is_tall(matrix) else wide


def _is_tall(matrix: tf.Tensor) -> bool:
    return matrix.shape[0] > matrix.shape[1]


def _list_batches(matrices: Sequence[tf.Tensor]) -> Iterator[list[int]]:
    """Places of matrices that are computed together."""
    alike: dict[tuple, list[int]] = {}
    for place, matrix in enumerate(matrices):
        key = (*sorted(matrix.shape), matrix.dtype == tf.float64)
        alike.setdefault(key, []).append(place)
    for (rows, columns, _), places in alike.items():
        count = max(LARGEST_BATCH // (rows * columns), 1)
        yield from (places[start : start + count] for start in range(0, len(places), count))
