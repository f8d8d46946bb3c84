"""What this machine makes of bfloat16: whether TensorFlow can compute in it at all, and how exactly it adds up."""

from __future__ import annotations

import os
from functools import lru_cache

LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
WITHOUT_BFLOAT16 = ("SSE41", "AVX", "AVX2", "AVX2_VNNI")
"""Instruction sets for which oneDNN has no bfloat16 kernels."""


def find_bfloat16_limit() -> str | None:
    """The environment's setting under which bfloat16 products end the process, or None.

    Where the processor has AVX-512, TensorFlow hands bfloat16 to oneDNN; told to leave AVX-512 alone, oneDNN has no
    kernel for it, and an exception of C++ that nobody catches ends the process.
    """
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS") == "0":
        return None  # TensorFlow's own kernels need no such instructions
    for name in LIMITS:
        if os.environ.get(name, "").upper() in WITHOUT_BFLOAT16:
            return f"{name}={os.environ[name]}"
    return None


@lru_cache(maxsize=1)
def adds_bfloat16_in_float32() -> bool:
    """Whether convolutions' gradients in bfloat16 are added up in float32, found by adding up a thousand ones.

    oneDNN's kernels do, on processors with AVX-512. TensorFlow's own, which all others get, add up in bfloat16: of 8
    significant bits, so that 256 + 1 is 256.
    """
    import tensorflow as tf

    if find_bfloat16_limit() is not None:
        return False
    with tf.init_scope():
        ones = tf.ones((1, 32, 32, 16), tf.bfloat16)
        total = tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
            input=ones, filter_sizes=(1, 1, 16, 1), out_backprop=ones, strides=(1, 1, 1, 1), padding="VALID"
        )
        return bool(tf.reduce_all(total == 1024.0))
