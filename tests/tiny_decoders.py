"""Tiny decoders of every kind, and rows of packed texts for them."""

from __future__ import annotations

from typing import Any

from kerasft.models.text.decoders.sizes import DecoderSizes

COMMON: dict[str, Any] = {"vocabulary_size": 40, "layers": 2, "width": 16, "feedforward": 24, "context": 16}
SIZES = {
    "learned": DecoderSizes(heads=2, kv_heads=2, head_size=8, **COMMON),
    "rotary": DecoderSizes(
        heads=4,
        kv_heads=2,
        head_size=4,
        rope_base=10000.0,
        norm="rms",
        activation="silu_gated",
        biases=False,
        tied=False,
        **COMMON,
    ),
    "own": DecoderSizes(
        heads=2,
        kv_heads=1,
        head_size=8,
        rope_base=10000.0,
        norm="rms",
        activation="relu_squared",
        biases=False,
        qk_norm=True,
        zero_outputs=True,
        **COMMON,
    ),
}
"""One of each kind of positions, norm, activation and attention."""


def build_model(sizes: DecoderSizes, *, seed: int = 0, dropout: float = 0.0, **settings: Any) -> Any:
    """A model of `build_causal_lm`, all of its weights off their first values."""
    import numpy as np

    from kerasft.models.text.decoders.build import build_causal_lm

    model = build_causal_lm(sizes, dropout=dropout, seed=seed, **settings)
    generator = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        noise = 0.2 * generator.standard_normal(variable.shape)
        variable.assign(variable.numpy() + noise.astype(np.float32))
    return model


def make_row(*lengths: int, padding: int = 0, seed: int = 0, vocabulary_size: int = 40) -> dict[str, Any]:
    """One row of random texts of these lengths, int32 (1, tokens) tensors; each token but a text's last is asked for
    the next."""
    import numpy as np
    import tensorflow as tf

    generator = np.random.default_rng(seed)
    texts = [generator.integers(0, vocabulary_size, length) for length in lengths]
    nothing = np.zeros(padding, np.int64)
    columns = {
        "token_ids": [*texts, nothing],
        "text_ids": [*(np.full(length, place + 1) for place, length in enumerate(lengths)), nothing],
        "position_ids": [*(np.arange(length) for length in lengths), nothing],
        "targets": [*(np.append(text[1:], -1) for text in texts), nothing - 1],
    }
    return {name: tf.constant(np.concatenate(parts)[None], tf.int32) for name, parts in columns.items()}


def make_batch(rows: int, width: int, seed: int = 0) -> dict[str, Any]:
    """Rows of one whole text each."""
    import tensorflow as tf

    made = [make_row(width, seed=seed + row) for row in range(rows)]
    return {name: tf.concat([row[name] for row in made], 0) for name in made[0]}
