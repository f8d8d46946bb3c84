"""How far two right computations of one thing may be apart.

One computation (the same operations on the same shapes in the same process) gives the same bits: ask for equality.
Two computations (another batch, padding, graph, kernel or instruction set) add up in another order. Their distance
follows from the number format and from what is added up, not from what one machine happened to show.
"""

from __future__ import annotations

import numpy as np
import pytest

from kerasft.models.number_formats import find_bfloat16_limit

EPSILONS = {"float64": 2.0**-52, "float32": 2.0**-23, "bfloat16": 2.0**-7, "float16": 2.0**-10}

SAFETY = 2.0
"""For the largest of many elements, each some standard deviations from the mean, in both computations."""


def rounding(dtype: str, *, terms: int = 1, layers: int = 1, scale: float = 1.0) -> float:
    """The absolute tolerance for what two computations make of the same numbers.

    Roundings of a sum of n terms go either way, so that they grow as √n (Higham and Mary 2019), and those of one layer
    after another add up: SAFETY · ε/2 · √terms · layers · scale.

    Args:
        dtype: the format in which sums are added up.
        terms: how many numbers the longest sum has.
        layers: how many such sums follow one another.
        scale: the largest of the values compared.
    """
    return SAFETY * EPSILONS[dtype] / 2 * float(np.sqrt(terms)) * layers * scale


TINY_BERT = rounding("float32", terms=64, layers=16)
"""1.5e-5, for tests' BERT of 2 layers: 7 sums a layer and 2 in the head, of up to 64 terms, values around 1."""

IMAGE_NET = rounding("float32", terms=256, layers=54)
"""1e-4, relative too, for MobileNet's like: 27 convolutions over 256 values, each with its normalisation."""

needs_bfloat16 = pytest.mark.skipif(
    find_bfloat16_limit() is not None,
    reason=f"{find_bfloat16_limit()} disables all kernels for bfloat16 (with TF_ENABLE_ONEDNN_OPTS=0 there are some)",
)
"""For tests that compute in bfloat16: where oneDNN is told to do without its kernels the process would end."""


def skip_without(dtype: str) -> None:
    """`needs_bfloat16` for a test that has its number format as a parameter."""
    if dtype in ("bfloat16", "mixed_bfloat16") and find_bfloat16_limit() is not None:
        pytest.skip(needs_bfloat16.kwargs["reason"])
