"""The number format of matrix products: as configured, or the faster one on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from kerasft.errors import ConfigError
from kerasft.models.number_formats import adds_bfloat16_in_float32, find_bfloat16_limit

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
    """Settles `train.precision`; `auto` times float32 against bfloat16 products of a transformer's sizes.

    Raises:
        ConfigError: this process cannot compute in what is asked for.
    """
    limit = find_bfloat16_limit()
    if precision == "auto" and limit is not None:
        return Precision("float32", "float32", f"float32: {limit} disables all kernels for bfloat16")
    if precision != "auto":
        check_precision(precision)
        dtype = precision.removeprefix("mixed_")
        reason = f"{precision}, as configured"
        if precision == "mixed_bfloat16" and not adds_bfloat16_in_float32():
            reason += (
                ". TensorFlow has no fast bfloat16 kernels for this machine: train.precision: float32 is "
                "probably faster, and more exact"
            )
        return Precision(precision, dtype, reason)
    rates = _time_matmuls()
    ratio = rates["bfloat16"] / rates["float32"]
    measured = f"bfloat16 products ran at {ratio:.2f} times float32's rate here"
    if ratio >= MARGIN:
        return Precision("mixed_bfloat16", "bfloat16", f"mixed_bfloat16: {measured}")
    return Precision("float32", "float32", f"float32: {measured}")


def check_precision(precision: str) -> None:
    """Whether this process can compute in a policy that was asked for, or that a run began with.

    Raises:
        ConfigError: an environment variable leaves no kernels for it.
    """
    limit = find_bfloat16_limit()
    if precision == "mixed_bfloat16" and limit is not None:
        raise ConfigError(
            f"mixed_bfloat16 cannot be computed under {limit}, which disables oneDNN's bfloat16 kernels",
            where="train.precision",
            fix=f"Unset {limit.partition('=')[0]}, set TF_ENABLE_ONEDNN_OPTS=0, or use train.precision: float32.",
        )


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
