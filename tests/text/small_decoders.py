"""Small language models to try the writing of texts on, with a cache and without."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from kerasft.text.generation.reading import Cache


class MeanDecoder(tf.Module):
    """A token's scores follow from the mean of all tokens up to it and their places: random weights.

    Args:
        vocabulary_size, context: as of any.
        width: size of its vectors.
        seed: of its weights.
    """

    def __init__(self, vocabulary_size: int, context: int, width: int = 16, seed: int = 0):
        super().__init__()
        random = np.random.default_rng(seed)
        self.width, self.vocabulary_size, self.context = width, vocabulary_size, context
        shapes = (vocabulary_size, width), (context, width), (width, vocabulary_size)
        self.tokens, self.places, self.scores = (
            tf.Variable(random.standard_normal(shape).astype(np.float32)) for shape in shapes
        )

    def start(self, batch: tf.Tensor, capacity: tf.Tensor) -> Cache:
        empty = tf.zeros(tf.stack([batch, 1, capacity, self.width]))
        return (tf.ensure_shape(empty, (None, 1, None, self.width)),)

    def extend(self, token_ids: tf.Tensor, positions: tf.Tensor, cache: Cache) -> tuple[tf.Tensor, Cache]:
        values = tf.gather(self.tokens, token_ids) + tf.gather(self.places, positions)
        rows = tf.zeros_like(positions) + tf.range(tf.shape(positions)[0])[:, None]
        columns = tf.stack([rows, tf.zeros_like(rows), positions], -1)
        (kept,) = (tf.tensor_scatter_nd_update(cache[0], columns, values),)
        seen = tf.cast(tf.range(tf.shape(kept)[2]) <= positions[:, :, None], tf.float32)
        mean = tf.matmul(seen, kept[:, 0]) / tf.reduce_sum(seen, -1, keepdims=True)
        return tf.tanh(2.0 * mean + values), (kept,)

    def compute_logits(self, hidden: tf.Tensor) -> tf.Tensor:
        return tf.tensordot(hidden, self.scores, 1)

    def compute_without_cache(self, ids: list[int]) -> np.ndarray:
        """float32 (vocabulary,), the scores of the token after these, at the places 0, 1, …"""
        values = self.tokens.numpy()[ids] + self.places.numpy()[: len(ids)]
        return np.tanh(2.0 * values.mean(0) + values[-1]) @ self.scores.numpy()


class TableDecoder(MeanDecoder):
    """After each token the one that a table names.

    Args:
        follows: token → the one after it; other tokens are followed by the first of the table.
        vocabulary_size, context: as of any.
    """

    def __init__(self, follows: dict[int, int], vocabulary_size: int, context: int = 64):
        super().__init__(vocabulary_size, context, vocabulary_size)
        table = np.zeros((vocabulary_size, vocabulary_size), np.float32)
        table[:, next(iter(follows))] = 1.0
        for token, following in follows.items():
            table[token] = np.eye(vocabulary_size)[following]
        self.table = tf.constant(table)

    def extend(self, token_ids: tf.Tensor, positions: tf.Tensor, cache: Cache) -> tuple[tf.Tensor, Cache]:
        return tf.gather(self.table, token_ids), super().extend(token_ids, positions, cache)[1]

    def compute_logits(self, hidden: tf.Tensor) -> tf.Tensor:
        return hidden


def make_table(tokens: list[int], vocabulary_size: int, context: int = 64) -> TableDecoder:
    """Writes these tokens, which are all different, one after the other and then again."""
    return TableDecoder(dict(zip(tokens, [*tokens[1:], tokens[0]], strict=True)), vocabulary_size, context)
