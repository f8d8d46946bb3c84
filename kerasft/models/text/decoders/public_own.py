"""The project's own decoder in core Keras layers and operations: it opens wherever Keras is installed."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from kerasft.models.text.decoders.operations import compute_frequencies
from kerasft.models.text.decoders.sizes import DecoderSizes


def build_public_decoder(sizes: DecoderSizes) -> keras.Model:
    """A functional model from `token_ids`, int32 (batch, tokens), to logits, float32 (batch, tokens, vocabulary).

    Rows are padded on the right, if at all: no token looks at what follows it.

    Args:
        sizes: of the family `own`.
    """
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    table = keras.layers.ReversibleEmbedding(
        sizes.vocabulary_size, sizes.width, dtype="float32", name="token_embedding"
    )
    cosine, sine = _compute_angles(token_ids, sizes)
    x = table(token_ids)
    for index in range(sizes.layers):
        x = x + _attend(_norm(x, f"attention_layer_norm_{index}", sizes), cosine, sine, sizes, index)
        hidden = _norm(x, f"feedforward_layer_norm_{index}", sizes)
        hidden = _dense(hidden, sizes.feedforward, f"feedforward_intermediate_{index}")
        hidden = ops.square(ops.relu(hidden))
        x = x + _dense(hidden, sizes.width, f"feedforward_output_{index}")
    logits = table(_norm(x, "final_norm", sizes), reverse=True)
    return keras.Model({"token_ids": token_ids}, logits, name="decoder")


def _norm(x: Any, name: str, sizes: DecoderSizes) -> Any:
    return keras.layers.RMSNormalization(epsilon=sizes.norm_epsilon, dtype="float32", name=name)(x)


def _dense(x: Any, columns: int, name: str) -> Any:
    return keras.layers.Dense(columns, use_bias=False, dtype="float32", name=name)(x)


def _compute_angles(token_ids: Any, sizes: DecoderSizes) -> tuple[Any, Any]:
    """Cosines and sines, each (batch, tokens, 1, head size / 2)."""
    positions = ops.cast(ops.cumsum(ops.ones_like(token_ids), axis=1) - 1, "float32")
    frequencies = compute_frequencies(sizes).tolist()
    angles = ops.expand_dims(ops.expand_dims(positions, -1), -1) * ops.convert_to_tensor(
        frequencies, "float32"
    )
    return ops.cos(angles), ops.sin(angles)


def _attend(x: Any, cosine: Any, sine: Any, sizes: DecoderSizes, index: int) -> Any:
    heads, kv_heads, size = sizes.heads, sizes.kv_heads, sizes.head_size
    merged = _dense(x, sizes.merged, f"query_key_value_{index}")
    merged = keras.layers.Reshape((-1, heads + 2 * kv_heads, size), name=f"heads_{index}")(merged)
    turned, value = ops.split(merged, [heads + kv_heads], axis=2)
    first, second = ops.split(turned, 2, axis=-1)
    turned = ops.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)
    square = ops.mean(ops.square(turned), axis=-1, keepdims=True)
    turned = turned * ops.rsqrt(square + sizes.norm_epsilon)
    query, key = ops.split(turned, [heads], axis=2)
    key, value = (ops.repeat(part, heads // kv_heads, axis=2) for part in (key, value))
    context = ops.dot_product_attention(query, key, value, scale=size**-0.5, is_causal=True)
    context = keras.layers.Reshape((-1, heads * size), name=f"joined_heads_{index}")(context)
    return _dense(context, sizes.width, f"attention_output_{index}")
