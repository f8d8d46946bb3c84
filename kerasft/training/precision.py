"""Which number format matrices are multiplied in: asked for, or found out by timing this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

MARGIN = 1.25
"""How much faster bfloat16 must be before `auto` takes it: hardware that has it gains more than half, and a choice
that other work on the machine could tip would not be the same twice."""


@dataclass(frozen=True)
class Precision:
    """What was chosen.

    Attributes:
        policy: `float32`, `mixed_bfloat16` or `mixed_float16`.
        matmul_dtype: what matrix products take their inputs in.
        reason: a sentence for the user.
    """

    policy: str
    matmul_dtype: str
    reason: str


def choose_precision(precision: str) -> Precision:
    """Settles `train.precision`; `auto` times float32 against bfloat16 products of a transformer's sizes."""
    if precision != "auto":
        dtype = precision.removeprefix("mixed_")
        return Precision(precision, dtype, f"{precision}, as asked for")
    rates = _time_matmuls()
    ratio = rates["bfloat16"] / rates["float32"]
    told = f"bfloat16 products ran at {ratio:.2f} times float32's rate here"
    if ratio >= MARGIN:
        return Precision("mixed_bfloat16", "bfloat16", f"mixed_bfloat16: {told}")
    return Precision("float32", "float32", f"float32: {told}")


@lru_cache(maxsize=1)
def _time_matmuls(
    rows: int = 1024, inner: int = 384, columns: int = 1536, repeats: int = 15
) -> dict[str, float]:
    """Products a second by dtype, casts included, the best of `repeats` in turns; about a fifth of a second."""
    import tensorflow as tf

    generator = np.random.default_rng(0)
    a = tf.constant(generator.standard_normal((rows, inner)), tf.float32)
    b = tf.constant(generator.standard_normal((inner, columns)), tf.float32)

    @tf.function(autograph=False)
    def product(a, b, dtype):
        return tf.reduce_sum(tf.cast(tf.matmul(tf.cast(a, dtype), tf.cast(b, dtype)), tf.float32))

    best = {"float32": float("inf"), "bfloat16": float("inf")}
    for _ in range(repeats):
        for name in best:
            start = time.perf_counter()
            product(a, b, name).numpy()
            best[name] = min(best[name], time.perf_counter() - start)
    return {name: 1.0 / seconds for name, seconds in best.items()}
