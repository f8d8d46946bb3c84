"""The layers of the fast encoder of BERT and its kin.

Against keras-hub's layers it computes query, key and value in one matrix product, all products as plain two-dimensional
matmuls, dropout from bytes in place of floats, and — where only the pooled output is asked for — the last layer for the
[CLS] token alone: the other tokens' last outputs reach nothing. Same numbers, fewer operations.

Source: Devlin et al. 2019, arXiv:1810.04805; the layer layout and its names are keras-hub's `BertBackbone`.
"""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

from kerasft.models.text.low_rank import LowRankProduct, Piece
from kerasft.models.text.operations import (
    LAYER_NORM_EPSILON,
    byte_dropout,
    exact_gelu,
    gelu,
    layer_norm,
    matrix_product,
)
from kerasft.models.text.remat import RepeatableSeeds, compute_twice
from kerasft.models.walking import walk_layers
from kerasft.optimizers.matrices import declare_matrices

MASKED_SCORE = -1e9
_ALL = slice(None)


class _Part(keras.layers.Layer):
    """What the encoder's layers share: float32 variables, a matmul dtype, dropout from one seed generator.

    A layer that is frozen as a whole (`trainable = False`) has no dropout: it gives what it gives where nothing is
    learned, as Keras' own batch normalisation does.
    """

    def __init__(
        self,
        dropout: float,
        matmul_dtype: str,
        seed: int | None,
        *,
        layer_norm_epsilon: float = LAYER_NORM_EPSILON,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.layer_norm_epsilon = layer_norm_epsilon
        self.dropout = dropout
        self.matmul_dtype = matmul_dtype
        self.seed = seed
        self.seed_generator = RepeatableSeeds(seed)
        self.low_rank: dict[str, LowRankProduct] = {}

    def _drop(self, x: tf.Tensor, training: bool | None) -> tf.Tensor:
        if not training or not self.dropout or not self.trainable:
            return x
        return byte_dropout(x, self.dropout, self.seed_generator.next())

    def _linear(
        self, x: tf.Tensor, dense: str, training: bool | None = None, columns: slice = _ALL
    ) -> tf.Tensor:
        kernel, bias = (variable.value for variable in self._dense[dense])
        if columns is not _ALL:
            kernel, bias = kernel[:, columns], bias[columns]
        y = matrix_product(x, kernel, self.matmul_dtype)
        product = self.low_rank.get(dense)
        if product is not None:
            seed = self.seed_generator.next() if training and product.dropout else None
            y += product.compute(x, columns, self.matmul_dtype, seed)
        return tf.nn.bias_add(y, bias)

    def add_low_rank(
        self,
        dense: str,
        columns: Mapping[str, tuple[int, int]],
        *,
        rank: int,
        scale: float,
        dropout: float,
        seed: int,
    ) -> None:
        """Puts products of thin matrices beside a dense layer; they begin at 0.

        Args:
            dense: the layer's name.
            columns: a name for the variables → the columns of the kernel that they stand beside.
            rank, scale, dropout: see `LowRankProduct`.
            seed: of the first matrices.
        """
        kernel = self._dense[dense][0]
        pieces = []
        # Keras locks what a layer holds once it is built, and unlocks it so for its own LoRA
        self._tracker.unlock()
        for place, (name, (start, stop)) in enumerate(columns.items()):
            # uniform up to 1/√in, as in the authors' code
            initializer = keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed=seed + place)
            down = self.add_weight(
                shape=(kernel.shape[0], rank), initializer=initializer, name=f"{name}_lora_down"
            )
            up = self.add_weight(shape=(rank, stop - start), initializer="zeros", name=f"{name}_lora_up")
            pieces.append(Piece(start, stop, down, up))
        self._tracker.lock()
        self.low_rank[dense] = LowRankProduct(tuple(pieces), int(kernel.shape[1]), scale, dropout)

    def _norm(self, x: tf.Tensor, norm: str) -> tf.Tensor:
        gamma, beta = self._norms[norm]
        return layer_norm(x, gamma.value, beta.value, self.layer_norm_epsilon)

    def _add_dense(self, name: str, inputs: int, outputs: int) -> None:
        initializer = keras.initializers.TruncatedNormal(stddev=0.02, seed=self.seed)
        self._dense[name] = (
            self.add_weight(shape=(inputs, outputs), initializer=initializer, name=f"{name}_kernel"),
            self.add_weight(shape=(outputs,), initializer="zeros", name=f"{name}_bias"),
        )

    def _add_norm(self, name: str, size: int) -> None:
        self._norms[name] = (
            self.add_weight(shape=(size,), initializer="ones", name=f"{name}_gamma"),
            self.add_weight(shape=(size,), initializer="zeros", name=f"{name}_beta"),
        )

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "dropout": self.dropout,
            "matmul_dtype": self.matmul_dtype,
            "seed": self.seed,
            "layer_norm_epsilon": self.layer_norm_epsilon,
        }


@keras.saving.register_keras_serializable(package="kerasft")
class BertEmbeddings(_Part):
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
        self, token_ids: tf.Tensor, segment_ids: tf.Tensor | None = None, training: bool | None = None
    ) -> tf.Tensor:
        """token_ids, segment_ids int32 (batch, tokens) → float32 (batch, tokens, hidden)."""
        width = tf.shape(token_ids)[1]
        x = tf.gather(self.tables["token"].value, token_ids)
        if segment_ids is not None:
            # two rows only: a product with one-hot columns has a dense, cheap gradient where a gather's is scattered
            segments = tf.one_hot(segment_ids, self.sizes["num_segments"], dtype=tf.float32)
            x += tf.tensordot(segments, self.tables["segment"].value, 1)
        x += self.tables["position"].value[:width]
        return self._drop(self._norm(x, "layer_norm"), training)

    def compute_output_spec(self, token_ids, segment_ids=None, training=None):
        return keras.KerasTensor((*token_ids.shape, self.sizes["hidden_dim"]), dtype="float32")

    def get_config(self) -> dict:
        return {**super().get_config(), **self.sizes}


@keras.saving.register_keras_serializable(package="kerasft")
class BertTransformerLayer(_Part):
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

    def call(self, x: tf.Tensor, padding_mask: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """x float32 (batch, tokens, hidden), padding_mask int (batch, tokens), 1 a token → like x."""
        if self.remat and training:
            return compute_twice(lambda x: self._transform(x, padding_mask, training), x, self.seed_generator)
        return self._transform(x, padding_mask, training)

    def _transform(self, x: tf.Tensor, padding_mask: tf.Tensor, training: bool | None) -> tf.Tensor:
        batch, width = tf.shape(x)[0], tf.shape(x)[1]
        flat = tf.reshape(x, (-1, self.hidden_dim))
        query, key, value = self._split_heads(flat, x, batch, width, training)
        # a key that is padding gets no weight: its score falls below what float32's softmax can tell from 0
        mask = (1.0 - tf.cast(padding_mask, tf.float32))[:, None, None, :] * MASKED_SCORE
        scores = tf.cast(tf.matmul(query, key, transpose_b=True), tf.float32)
        scores = scores * (self.hidden_dim // self.num_heads) ** -0.5 + mask
        weights = self._narrow(self._drop(tf.nn.softmax(scores), training))
        context = tf.transpose(tf.matmul(weights, value), (0, 2, 1, 3))
        context = tf.reshape(context, (-1, self.hidden_dim))
        residual = x[:, 0] if self.first_token_only else flat
        attended = self._drop(self._linear(context, "attention_output", training), training)
        x = self._norm(residual + attended, "attention_layer_norm")
        activate = exact_gelu if self.exact_gelu else gelu
        hidden = activate(self._linear(x, "feedforward_intermediate", training))
        hidden = self._drop(self._linear(hidden, "feedforward_output", training), training)
        x = self._norm(x + hidden, "feedforward_layer_norm")
        return tf.reshape(x, (batch, 1 if self.first_token_only else width, self.hidden_dim))

    def _split_heads(self, flat, x, batch, width, training):
        """Query, key, value (batch, heads, tokens, head size), in the dtype of products: narrow before it is moved."""
        size = self.hidden_dim // self.num_heads
        if self.first_token_only:
            first = self.hidden_dim
            query = self._linear(x[:, 0], "query_key_value", training, slice(None, first))
            rest = self._narrow(self._linear(flat, "query_key_value", training, slice(first, None)))
            rest = tf.transpose(tf.reshape(rest, (batch, width, 2, self.num_heads, size)), (2, 0, 3, 1, 4))
            query = self._narrow(tf.reshape(query, (batch, self.num_heads, 1, size)))
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

    def compute_output_spec(self, x, padding_mask, training=None):
        return keras.KerasTensor(
            (x.shape[0], 1 if self.first_token_only else x.shape[1], self.hidden_dim), dtype="float32"
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
class BertPooler(_Part):
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
