"""The layers of the fast decoders: embeddings, transformer layers with a norm before each half, and the last norm.

As in the encoders, query, key and value are one matrix product, all products are plain two-dimensional matmuls, and
dropout takes one byte a number. What all layers need — who sees whom, and by which angles queries and keys are turned —
is computed once for all. Heads stand before the batch, so that parts of the merged product are taken without a copy.

Source: Radford et al. 2019, "Language models are unsupervised multitask learners"; Touvron et al. 2023,
arXiv:2302.13971; Ainslie et al. 2023, arXiv:2305.13245 (fewer heads of keys and values).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.models.text.decoders.operations import (
    MASKED_SCORE,
    attend_causally,
    compute_rotary,
    relu_squared,
    rms_norm,
    rotate,
    silu_gate,
)
from kerasft.models.text.decoders.sizes import DecoderSizes
from kerasft.models.text.encoder_part import EncoderPart
from kerasft.models.text.operations import gelu, layer_norm
from kerasft.models.text.remat import compute_twice
from kerasft.models.walking import walk_layers
from kerasft.optimizers.matrices import declare_matrices

_STDDEV = 0.02
_LONG_CONTEXT, _BLOCKS = 256, 4
"""From so many tokens on attention is computed in so many blocks."""


class DecoderPart(EncoderPart):
    """What the decoders' layers share: sizes, norms of either kind, and matrices that begin each from its own seed.

    Args:
        sizes: the decoder's, or their values by name.
        dropout, matmul_dtype, seed: see `EncoderPart`.
        blank: whether all matrices begin at 0, which spares drawing what is filled from a file.
    """

    def __init__(
        self,
        sizes: DecoderSizes | Mapping[str, Any],
        dropout: float = 0.0,
        matmul_dtype: str = "float32",
        seed: int | None = None,
        blank: bool = False,
        **kwargs: Any,
    ):
        sizes = sizes if isinstance(sizes, DecoderSizes) else DecoderSizes(**sizes)
        super().__init__(dropout, matmul_dtype, seed, layer_norm_epsilon=sizes.norm_epsilon, **kwargs)
        self.sizes = sizes
        self._blank = blank
        self._dense: dict = {}
        self._norms: dict = {}

    def _draw(self, place: int, stddev: float = _STDDEV) -> keras.initializers.Initializer:
        if self._blank:
            return keras.initializers.Zeros()
        seed = self.seed
        if seed is not None:
            seed = int(np.random.SeedSequence([seed, place]).generate_state(1)[0])
        return keras.initializers.RandomNormal(stddev=stddev, seed=seed)

    def _add_norm(self, name: str, size: int) -> None:
        if self.sizes.norm == "layer":
            super()._add_norm(name, size)
        else:
            self._norms[name] = (
                self.add_weight(shape=(size,), initializer="ones", name=f"{name}_gamma"),
                None,
            )

    def _norm(self, x: tf.Tensor, norm: str) -> tf.Tensor:
        gamma, beta = self._norms[norm]
        if beta is None:
            return rms_norm(x, gamma.value, self.sizes.norm_epsilon)
        return layer_norm(x, gamma.value, beta.value, self.sizes.norm_epsilon)

    def get_config(self) -> dict:
        config = super().get_config()
        del config["layer_norm_epsilon"]
        return {**config, "sizes": asdict(self.sizes)}


@keras.saving.register_keras_serializable(package="kerasft")
class DecoderEmbeddings(DecoderPart):
    """Token embeddings, with those of positions added where positions are learned, dropped out.

    Attributes:
        tables: `token`, and `position` where positions are learned → the variable.
    """

    def __init__(self, sizes: DecoderSizes | Mapping[str, Any], **kwargs: Any):
        super().__init__(sizes, **kwargs)
        rows = {"token": self.sizes.vocabulary_size}
        if not self.sizes.has_rope:
            rows["position"] = self.sizes.context
        self.tables = {
            part: self.add_weight(
                shape=(count, self.sizes.width), initializer=self._draw(place), name=f"{part}_embeddings"
            )
            for place, (part, count) in enumerate(rows.items())
        }
        self.built = True

    def call(self, token_ids: tf.Tensor, position_ids: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """token_ids, position_ids int32 (batch, tokens) → float32 (batch, tokens, width)."""
        x = tf.gather(self.tables["token"].value, token_ids)
        if "position" in self.tables:
            x += tf.gather(self.tables["position"].value, position_ids)
        return self._drop(x, training)

    def compute_output_spec(self, token_ids, position_ids, training=None):
        return keras.KerasTensor((*token_ids.shape, self.sizes.width), dtype="float32")


@keras.saving.register_keras_serializable(package="kerasft")
class PackedCausalMask(keras.layers.Layer):
    """What is added to the scores of attention: a token sees itself and earlier tokens of its own text."""

    def call(self, text_ids: tf.Tensor) -> tf.Tensor:
        """text_ids int32 (batch, tokens), 1, 2, … by text and 0 for padding → float32 (batch, tokens, tokens)."""
        place = tf.range(tf.shape(text_ids)[1])
        same = tf.equal(text_ids[:, :, None], text_ids[:, None, :]) & (text_ids > 0)[:, None, :]
        return tf.where(same & (place[:, None] >= place), 0.0, MASKED_SCORE)

    def compute_output_spec(self, text_ids):
        return keras.KerasTensor((*text_ids.shape, text_ids.shape[1]), dtype="float32")


@keras.saving.register_keras_serializable(package="kerasft")
class RotaryAngles(keras.layers.Layer):
    """The cosines and sines by which queries and keys are turned."""

    def __init__(self, sizes: DecoderSizes | Mapping[str, Any], **kwargs: Any):
        super().__init__(**kwargs)
        self.sizes = sizes if isinstance(sizes, DecoderSizes) else DecoderSizes(**sizes)

    def call(self, position_ids: tf.Tensor) -> tf.Tensor:
        """position_ids int32 (batch, tokens) → float32 (batch, tokens, head size); see `compute_rotary`."""
        return compute_rotary(position_ids, self.sizes)

    def compute_output_spec(self, position_ids):
        return keras.KerasTensor((*position_ids.shape, self.sizes.head_size), dtype="float32")

    def get_config(self) -> dict:
        return {**super().get_config(), "sizes": asdict(self.sizes)}


@keras.saving.register_keras_serializable(package="kerasft")
class DecoderLayer(DecoderPart):
    """Causal self-attention and feed-forward, each with a norm before it, and dropout and a residual after it.

    Attributes:
        remat: whether training keeps only the layer's input and recomputes the rest in the backward pass (gradient
            checkpointing).
    """

    def __init__(self, sizes: DecoderSizes | Mapping[str, Any], **kwargs: Any):
        super().__init__(sizes, **kwargs)
        self.remat = False
        sizes = self.sizes
        width, bias = sizes.width, sizes.biases
        # each of 2 · layers halves adds to the same sum
        last = 0.0 if sizes.zero_outputs else _STDDEV / (2 * sizes.layers) ** 0.5
        shapes = {
            "query_key_value": (width, sizes.merged, _STDDEV),
            "attention_output": (sizes.heads * sizes.head_size, width, last),
            "feedforward_intermediate": (width, sizes.intermediate, _STDDEV),
            "feedforward_output": (sizes.feedforward, width, last),
        }
        for place, (name, (rows, columns, stddev)) in enumerate(shapes.items()):
            self._add_dense(name, rows, columns, initializer=self._draw(place, stddev), bias=bias)
        # an optimizer of whole matrices takes the queries of as many heads at once as there are heads of keys
        declare_matrices(self._dense["query_key_value"][0], sizes.heads // sizes.kv_heads + 2)
        declare_matrices(self._dense["feedforward_intermediate"][0], sizes.intermediate // sizes.feedforward)
        self._add_norm("attention_layer_norm", width)
        self._add_norm("feedforward_layer_norm", width)
        self.built = True

    def call(
        self, x: tf.Tensor, mask: tf.Tensor, rotary: tf.Tensor | None = None, training: bool | None = None
    ) -> tf.Tensor:
        """Args:
            x: float32 (batch, tokens, width).
            mask: of `PackedCausalMask`.
            rotary: of `RotaryAngles`; None where positions are learned.

        Returns:
            float32 (batch, tokens, width).
        """

        def transform(x: tf.Tensor) -> tf.Tensor:
            return self._transform(x, mask, rotary, training)

        if self.remat and training:
            return compute_twice(transform, x, self.seed_generator)
        return transform(x)

    def _transform(
        self, x: tf.Tensor, mask: tf.Tensor, rotary: tf.Tensor | None, training: bool | None
    ) -> tf.Tensor:
        shape = tf.shape(x)
        flat = tf.reshape(x, (-1, self.sizes.width))
        query, key, value = self.split_heads(flat, shape[0], rotary, training)
        blocks = _BLOCKS if self.sizes.context >= _LONG_CONTEXT else 1
        context = attend_causally(
            query, key, value, mask, lambda weights: self._drop(weights, training), blocks
        )
        # (kv heads, group, batch, tokens, size) → (batch · tokens, heads · size)
        context = tf.transpose(context, (2, 3, 0, 1, 4))
        return tf.reshape(self.finish(flat, context, training), shape)

    def split_heads(
        self, flat: tf.Tensor, batch: tf.Tensor, rotary: tf.Tensor | None, training: bool | None = None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Query, scaled, key and value in the dtype of products, of tokens that were not yet normalised.

        Args:
            flat: float32 (batch · tokens, width), the layer's input.
            batch: its rows.
            rotary: float32 (batch, tokens, head size), or None.

        Returns:
            (kv heads, heads / kv heads, batch, tokens, head size), and twice (kv heads, 1, batch, tokens, head size).
        """
        sizes = self.sizes
        size, heads, kv_heads = sizes.head_size, sizes.heads, sizes.kv_heads
        merged = self._linear(self._norm(flat, "attention_layer_norm"), "query_key_value", training)
        merged = tf.reshape(merged, tf.stack([batch, -1, heads + 2 * kv_heads, size]))
        merged = tf.transpose(merged, (2, 0, 1, 3))
        # a split's gradient is one joining; that of slices would be a sum of parts filled up with zeros
        turned, value = tf.split(merged, [heads + kv_heads, kv_heads])
        if rotary is not None:
            turned = rotate(turned, rotary)
        if sizes.qk_norm:
            turned = rms_norm(turned, None, sizes.norm_epsilon)
        query, key = tf.split(turned, [heads, kv_heads])
        query = tf.cast(query * size**-0.5, self.matmul_dtype)
        key, value = (tf.expand_dims(tf.cast(part, self.matmul_dtype), 1) for part in (key, value))
        tokens = tf.shape(query)[2]
        return tf.reshape(query, tf.stack([kv_heads, heads // kv_heads, batch, tokens, size])), key, value

    def finish(self, flat: tf.Tensor, context: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """What follows attention.

        Args:
            flat: float32 (batch · tokens, width), the layer's input.
            context: of attention, (batch, tokens, …) with all heads' numbers after one another.

        Returns:
            float32 (batch · tokens, width), the layer's output.
        """
        context = tf.reshape(context, (-1, self.sizes.heads * self.sizes.head_size))
        x = flat + self._drop(self._linear(context, "attention_output", training), training)
        hidden = self._norm(x, "feedforward_layer_norm")
        hidden = self._linear(hidden, "feedforward_intermediate", training)
        hidden = _ACTIVATIONS[self.sizes.activation](hidden)
        return x + self._drop(self._linear(hidden, "feedforward_output", training), training)

    def compute_output_spec(self, x, mask, rotary=None, training=None):
        return keras.KerasTensor(x.shape, dtype="float32")

    def locate(self, target: str) -> tuple[str, int, int]:
        """Where a part of the layer stands that LoRA can learn beside: its dense layer, and the columns of that.

        Args:
            target: `query`, `key`, `value`, or a dense layer's name.
        """
        sizes = self.sizes
        query, key = sizes.heads * sizes.head_size, sizes.kv_heads * sizes.head_size
        places = {"query": (0, query), "key": (query, query + key), "value": (query + key, sizes.merged)}
        if target in places:
            return "query_key_value", *places[target]
        return target, 0, int(self._dense[target][0].shape[1])


_ACTIVATIONS = {"gelu_tanh": gelu, "silu_gated": silu_gate, "relu_squared": relu_squared}


@keras.saving.register_keras_serializable(package="kerasft")
class FinalNorm(DecoderPart):
    """The norm after the last transformer layer."""

    def __init__(self, sizes: DecoderSizes | Mapping[str, Any], **kwargs: Any):
        super().__init__(sizes, **kwargs)
        self._add_norm("layer_norm", self.sizes.width)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """float32 (…, width) → the same shape."""
        return self._norm(x, "layer_norm")

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, dtype="float32")


def find_decoder_layers(model: keras.Model) -> list[DecoderLayer]:
    """The transformer layers of ours in a model, at any depth, from the bottom."""
    return [layer for layer in walk_layers(model) if isinstance(layer, DecoderLayer)]
