"""The layers of the fast encoder of BERT and its kin.

Against keras-hub's layers it computes query, key and value in one matrix product, all products as plain two-dimensional
matmuls, dropout from bytes in place of floats, and — where only the pooled output is asked for — the last layer for the
[CLS] token alone: the other tokens' last outputs reach nothing. Same numbers, fewer operations.

Source: Devlin et al. 2019, arXiv:1810.04805; the layer layout and its names are keras-hub's `BertBackbone`.
"""

from __future__ import annotations

import keras
import tensorflow as tf

from kerasft.models.text.encoder_part import EncoderPart
from kerasft.models.text.operations import exact_gelu, gelu
from kerasft.models.text.remat import compute_twice
from kerasft.models.walking import walk_layers
from kerasft.optimizers.matrices import declare_matrices

MASKED_SCORE = -1e9


@keras.saving.register_keras_serializable(package="kerasft")
class BertEmbeddings(EncoderPart):
    """Token + position + segment embeddings, normalised and dropped out.

    Args:
        num_segments: 0: there is no table of segments, and no input that names them.

    Attributes:
        tables: `token`, `position` and `segment` → the variable.
    """

    def __init__(
        self,
        vocabulary_size: int,
        hidden_dim: int,
        max_sequence_length: int,
        num_segments: int,
        dropout: float = 0.1,
        matmul_dtype: str = "float32",
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(dropout, matmul_dtype, seed, **kwargs)
        self.sizes = {
            "vocabulary_size": vocabulary_size,
            "hidden_dim": hidden_dim,
            "max_sequence_length": max_sequence_length,
            "num_segments": num_segments,
        }
        self._norms: dict = {}
        initializer = keras.initializers.TruncatedNormal(stddev=0.02, seed=seed)

        def table(name, rows):
            return self.add_weight(shape=(rows, hidden_dim), initializer=initializer, name=name)

        rows = {"token": vocabulary_size, "position": max_sequence_length, "segment": num_segments}
        self.tables = {part: table(f"{part}_embeddings", count) for part, count in rows.items() if count}
        self._add_norm("layer_norm", hidden_dim)
        self.built = True

    def call(
        self,
        token_ids: tf.Tensor,
        segment_ids: tf.Tensor | None = None,
        position_ids: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        """token_ids, segment_ids, position_ids int32 (batch, tokens) → float32 (batch, tokens, hidden).

        Without `position_ids` they are 0, 1, 2, … in each row.
        """
        width = tf.shape(token_ids)[1]
        x = tf.gather(self.tables["token"].value, token_ids)
        if segment_ids is not None:
            # two rows only: a product with one-hot columns has a dense, cheap gradient where a gather's is scattered
            segments = tf.one_hot(segment_ids, self.sizes["num_segments"], dtype=tf.float32)
            x += tf.tensordot(segments, self.tables["segment"].value, 1)
        positions = self.tables["position"].value[:width]
        if position_ids is not None:
            # as for segments: a row is no longer than the table's part that is looked at
            positions = tf.tensordot(tf.one_hot(position_ids, width, dtype=tf.float32), positions, 1)
        x += positions
        return self._drop(self._norm(x, "layer_norm"), training)

    def compute_output_spec(self, token_ids, segment_ids=None, position_ids=None, training=None):
        return keras.KerasTensor((*token_ids.shape, self.sizes["hidden_dim"]), dtype="float32")

    def get_config(self) -> dict:
        return {**super().get_config(), **self.sizes}


@keras.saving.register_keras_serializable(package="kerasft")
class BertTransformerLayer(EncoderPart):
    """Self-attention and feed-forward, each with dropout, a residual and a layer norm after it.

    Args:
        first_token_only: gives the output of the first token alone, (batch, 1, hidden).
        exact_gelu: whether the activation is gelu itself, and not its approximation by tanh.

    Attributes:
        remat: whether training keeps only the layer's input and recomputes the rest in the backward pass (gradient
            checkpointing).
    """

    def __init__(
        self,
        num_heads: int,
        hidden_dim: int,
        intermediate_dim: int,
        dropout: float = 0.1,
        first_token_only: bool = False,
        matmul_dtype: str = "float32",
        seed: int | None = None,
        exact_gelu: bool = False,
        **kwargs,
    ):
        super().__init__(dropout, matmul_dtype, seed, **kwargs)
        self.exact_gelu = exact_gelu
        self.num_heads, self.hidden_dim, self.intermediate_dim = num_heads, hidden_dim, intermediate_dim
        self.first_token_only = first_token_only
        self.remat = False
        self._dense: dict = {}
        self._norms: dict = {}
        self._add_dense("query_key_value", hidden_dim, 3 * hidden_dim)
        declare_matrices(self._dense["query_key_value"][0], 3)
        self._add_dense("attention_output", hidden_dim, hidden_dim)
        self._add_norm("attention_layer_norm", hidden_dim)
        self._add_dense("feedforward_intermediate", hidden_dim, intermediate_dim)
        self._add_dense("feedforward_output", intermediate_dim, hidden_dim)
        self._add_norm("feedforward_layer_norm", hidden_dim)
        self.built = True

    def call(
        self,
        x: tf.Tensor,
        mask: tf.Tensor,
        positions: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Args:
            x: float32 (batch, tokens, hidden).
            mask: int (batch, tokens), 1 a token; or (batch, tokens, tokens), 1 where the first looks at the second.
            positions: int32 (batch, positions): of which tokens the output is asked for; None: of all.

        Returns:
            float32 (batch, tokens or positions, hidden).
        """

        def transform(x: tf.Tensor) -> tf.Tensor:
            return self._transform(x, mask, positions, training)

        if self.remat and training:
            return compute_twice(transform, x, self.seed_generator)
        return transform(x)

    def _transform(
        self, x: tf.Tensor, mask: tf.Tensor, positions: tf.Tensor | None, training: bool | None
    ) -> tf.Tensor:
        asked = self._select(x, positions)
        batch, width = tf.shape(asked)[0], tf.shape(asked)[1]
        residual = tf.reshape(asked, (-1, self.hidden_dim))
        is_partial = self.first_token_only or positions is not None
        query, key, value = self._split_heads(x, residual, is_partial, training)
        # a key that is masked gets no weight: its score falls below what float32's softmax can tell from 0
        mask = tf.cast(
            mask[:, None, :] if mask.shape.rank == 2 else self._select(mask, positions), tf.float32
        )
        mask = (1.0 - mask)[:, None] * MASKED_SCORE
        scores = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32)
        scores = scores * (self.hidden_dim // self.num_heads) ** -0.5 + mask
        weights = self._narrow(self._drop(tf.nn.softmax(scores), training))
        context = tf.transpose(tf.matmul(weights, value), (0, 2, 1, 3))
        context = tf.reshape(context, (-1, self.hidden_dim))
        attended = self._drop(self._linear(context, "attention_output", training), training)
        x = self._norm(residual + attended, "attention_layer_norm")
        activate = exact_gelu if self.exact_gelu else gelu
        hidden = activate(self._linear(x, "feedforward_intermediate", training))
        hidden = self._drop(self._linear(hidden, "feedforward_output", training), training)
        x = self._norm(x + hidden, "feedforward_layer_norm")
        return tf.reshape(x, (batch, width, self.hidden_dim))

    def _select(self, x: tf.Tensor, positions: tf.Tensor | None) -> tf.Tensor:
        """Of (batch, tokens, …) the tokens whose output is asked for."""
        if self.first_token_only:
            return x[:, :1]
        return x if positions is None else tf.gather(x, positions, batch_dims=1)

    def _split_heads(self, x, asked, is_partial, training):
        """Query, key, value (batch, heads, tokens, head size), in the dtype of products: narrow before it is moved.

        Args:
            x: (batch, tokens, hidden).
            asked: (batch · queries, hidden), those of its tokens whose output is asked for.
            is_partial: whether these are fewer than all.
        """
        batch, width = tf.shape(x)[0], tf.shape(x)[1]
        size = self.hidden_dim // self.num_heads
        flat = tf.reshape(x, (-1, self.hidden_dim))
        if is_partial:
            first = self.hidden_dim
            query = self._narrow(self._linear(asked, "query_key_value", training, slice(None, first)))
            query = tf.transpose(tf.reshape(query, (batch, -1, self.num_heads, size)), (0, 2, 1, 3))
            rest = self._narrow(self._linear(flat, "query_key_value", training, slice(first, None)))
            rest = tf.transpose(tf.reshape(rest, (batch, width, 2, self.num_heads, size)), (2, 0, 3, 1, 4))
            key, value = tf.unstack(rest, num=2)
        else:
            merged = self._narrow(self._linear(flat, "query_key_value", training))
            merged = tf.transpose(
                tf.reshape(merged, (batch, width, 3, self.num_heads, size)), (2, 0, 3, 1, 4)
            )
            query, key, value = tf.unstack(merged, num=3)
        return query, key, value

    def _narrow(self, x: tf.Tensor) -> tf.Tensor:
        return tf.cast(x, self.matmul_dtype)

    def compute_output_spec(self, x, mask, positions=None, training=None):
        tokens = x.shape[1] if positions is None else positions.shape[1]
        return keras.KerasTensor(
            (x.shape[0], 1 if self.first_token_only else tokens, self.hidden_dim), dtype="float32"
        )

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "hidden_dim": self.hidden_dim,
            "intermediate_dim": self.intermediate_dim,
            "first_token_only": self.first_token_only,
            "exact_gelu": self.exact_gelu,
        }

    def locate(self, target: str) -> tuple[str, int, int]:
        """Where a part of the layer stands that LoRA can learn beside: its dense layer, and the columns of that.

        Args:
            target: `query`, `key`, `value`, or a dense layer's name.
        """
        parts = ("query", "key", "value")
        if target not in parts:
            return target, 0, int(self._dense[target][0].shape[1])
        place, width = parts.index(target), self.hidden_dim
        return "query_key_value", place * width, (place + 1) * width


@keras.saving.register_keras_serializable(package="kerasft")
class PackedMask(keras.layers.Layer):
    """Which tokens see each other where a row holds several texts: those of the same one."""

    def call(self, texts: tf.Tensor) -> tf.Tensor:
        """texts int32 (batch, tokens), 1, 2, … by text and 0 for padding → int32 (batch, tokens, tokens)."""
        same = tf.equal(texts[:, :, None], texts[:, None, :])
        return tf.cast(same & (texts > 0)[:, None, :], tf.int32)

    def compute_output_spec(self, texts):
        return keras.KerasTensor((*texts.shape, texts.shape[1]), dtype="int32")


@keras.saving.register_keras_serializable(package="kerasft")
class BertPooler(EncoderPart):
    """tanh of a dense layer on the first token: BERT's pooled output."""

    def __init__(
        self, hidden_dim: int, dropout: float = 0.0, matmul_dtype="float32", seed: int | None = None, **kwargs
    ):
        super().__init__(dropout, matmul_dtype, seed, **kwargs)
        self.hidden_dim = hidden_dim
        self._dense: dict = {}
        self._add_dense("dense", hidden_dim, hidden_dim)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """x float32 (batch, tokens, hidden) → float32 (batch, hidden)."""
        return tf.tanh(self._linear(x[:, 0], "dense"))

    def compute_output_spec(self, x):
        return keras.KerasTensor((x.shape[0], self.hidden_dim), dtype="float32")

    def get_config(self) -> dict:
        return {**super().get_config(), "hidden_dim": self.hidden_dim}


@keras.saving.register_keras_serializable(package="kerasft")
class FirstToken(keras.layers.Layer):
    """The first token's output, which stands for the whole text where nothing was learned on top of it."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """x float32 (batch, tokens, hidden) → float32 (batch, hidden)."""
        return x[:, 0]


def find_encoder_layers(model: keras.Model) -> list[BertTransformerLayer]:
    """The transformer layers of ours in a model, at any depth, from the bottom."""
    return [layer for layer in walk_layers(model) if isinstance(layer, BertTransformerLayer)]
