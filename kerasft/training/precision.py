"""Which number format matrices are multiplied in: asked for, or found out by timing this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

MARGIN = 1.25
"""How much faster bfloat16 products must be before `auto` takes it. Processors with instructions for it gain some 1.7
times (AVX-512) to 4 (AMX), those without lose: a choice that other work on the machine could tip would not be the
same twice."""


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
    rows: int = 1024, inner: int = 384, columns: int = 1536, repeats: int = 25
) -> dict[str, float]:
    """Products a second by dtype, the best of `repeats` in turns; about a fifth of a second.

    The products alone: with the casts around them, which are bound by memory, other work on the machine would decide.
    """
    import tensorflow as tf

    generator = np.random.default_rng(0)
    a, b = generator.standard_normal((rows, inner)), generator.standard_normal((inner, columns))
    operands = {name: (tf.cast(a, name), tf.cast(b, name)) for name in ("float32", "bfloat16")}
    product = tf.function(tf.matmul, autograph=False, reduce_retracing=False)
    best = dict.fromkeys(operands, float("inf"))
    for _ in range(repeats):
        for name, (left, right) in operands.items():
            start = time.perf_counter()
            product(left, right)
            best[name] = min(best[name], time.perf_counter() - start)
    return {name: 1.0 / seconds for name, seconds in best.items()}
