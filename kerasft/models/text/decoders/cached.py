"""Generation's view of a causal language model: keys and values of earlier tokens are kept, not computed again."""

from __future__ import annotations

import keras
import tensorflow as tf

from kerasft.models.text.decoders.build import EMBEDDINGS, FINAL_NORM, LOSS_HEAD, find_sizes
from kerasft.models.text.decoders.layers import DecoderLayer, find_decoder_layers
from kerasft.models.text.decoders.operations import MASKED_SCORE, attend, compute_rotary

Cache = tuple[tf.Tensor, ...]
"""For each layer its keys, then its values: each (batch, kv heads, capacity, head size)."""


class CachedDecoder(tf.Module):
    """Computes what a model computes, a few tokens at a time, in core TensorFlow ops.

    It reads the model's own variables, products beside dense layers included, so that it follows a model that learns;
    dropout is left out. Its methods can be exported.

    Args:
        model: of `build_causal_lm`.

    Attributes:
        width, layers, vocabulary_size, context: sizes of the model.
    """

    def __init__(self, model: keras.Model):
        super().__init__(name="cached_decoder")
        self._sizes = find_sizes(model)
        self.width, self.layers = self._sizes.width, self._sizes.layers
        self.vocabulary_size, self.context = self._sizes.vocabulary_size, self._sizes.context
        # the variables alone are tracked: Keras layers in a SavedModel would bring their own metadata along
        self.weights = [variable.value for variable in model.weights]
        self._parts = _Untracked(model)

    def start(self, batch: tf.Tensor, capacity: tf.Tensor) -> Cache:
        """An empty cache for int32 `batch` rows of at most int32 `capacity` tokens."""
        sizes, dtype = self._sizes, self._parts.decoder_layers[0].matmul_dtype
        shape = tf.stack([batch, sizes.kv_heads, capacity, sizes.head_size])
        empty = tf.ensure_shape(tf.zeros(shape, dtype), (None, sizes.kv_heads, None, sizes.head_size))
        return tuple(empty for _ in range(2 * sizes.layers))

    def extend(self, token_ids: tf.Tensor, positions: tf.Tensor, cache: Cache) -> tuple[tf.Tensor, Cache]:
        """Reads tokens on top of what the cache holds.

        The tokens' keys and values are written to the columns `positions` of the cache, and each token looks at the
        columns 0 to its own position. Prompts of unequal length are padded on the right with positions 0 to n − 1:
        what padding writes is overwritten by the row's own later tokens before anything looks there.

        Args:
            token_ids, positions: int32 (batch, n). Where n is known to be 1 all heads of a group are one product.
            cache: of `start`, or of the call before.

        Returns:
            float32 (batch, n, width) after the last norm; and the cache.
        """
        sizes, parts = self._sizes, self._parts
        rotary = compute_rotary(positions, sizes) if sizes.has_rope else None
        is_step = token_ids.shape[1] == 1
        # many tokens look at the columns up to their last; for one token copying these costs more than it spares
        columns = tf.shape(cache[0])[2] if is_step else tf.reduce_max(positions, (0, 1)) + 1
        seen = tf.range(columns) <= positions[:, :, None]
        mask = tf.where(seen, 0.0, MASKED_SCORE)[:, None, None]
        places = _list_places(positions, sizes.kv_heads)
        x = tf.reshape(parts.embeddings(token_ids, positions, training=False), (-1, self.width))
        kept: list[tf.Tensor] = []
        for index, layer in enumerate(parts.decoder_layers):
            query, key, value = layer.split_heads(x, tf.shape(token_ids)[0], rotary)
            pair = [
                tf.tensor_scatter_nd_update(old, places, tf.transpose(new[:, 0], (1, 0, 2, 3)))
                for old, new in zip(cache[2 * index : 2 * index + 2], (key, value), strict=True)
            ]
            kept += pair
            x = layer.finish(x, _attend_cache(layer, query, pair, mask, columns, is_step), False)
        hidden = parts.final_norm(x)
        return tf.reshape(hidden, tf.concat([tf.shape(token_ids), [self.width]], 0)), tuple(kept)

    def compute_logits(self, hidden: tf.Tensor) -> tf.Tensor:
        """float32 (…, width), of `extend` → logits, float32 (…, vocabulary)."""
        logits = self._parts.head.compute_logits(tf.reshape(hidden, (-1, self.width)))
        return tf.reshape(logits, tf.concat([tf.shape(hidden)[:-1], [self.vocabulary_size]], 0))


class _Untracked:
    """A model's layers, out of sight of what looks for variables."""

    def __init__(self, model: keras.Model):
        self.embeddings = model.get_layer(EMBEDDINGS)
        self.decoder_layers = find_decoder_layers(model)
        self.final_norm, self.head = model.get_layer(FINAL_NORM), model.get_layer(LOSS_HEAD)


def _list_places(positions: tf.Tensor, kv_heads: int) -> tf.Tensor:
    """int32 (batch, kv heads, n, 3): row, head and column of each token's key in the cache."""
    batch, count = tf.shape(positions)[0], tf.shape(positions)[1]
    shape = tf.stack([batch, kv_heads, count])
    rows = tf.broadcast_to(tf.range(batch)[:, None, None], shape)
    heads = tf.broadcast_to(tf.range(kv_heads)[:, None], shape)
    return tf.stack([rows, heads, tf.broadcast_to(positions[:, None], shape)], -1)


def _attend_cache(
    layer: DecoderLayer,
    query: tf.Tensor,
    pair: list[tf.Tensor],
    mask: tf.Tensor,
    columns: tf.Tensor,
    is_step: bool,
) -> tf.Tensor:
    """(batch, n, kv heads, group, head size) of (kv heads, group, batch, n, head size) and a layer's cache."""
    sizes = layer.sizes
    key, value = (part[:, :, None] if is_step else part[:, :, None, :columns] for part in pair)
    query = tf.transpose(query, (2, 0, 1, 3, 4))
    if not is_step:
        return tf.transpose(attend(query, key, value, mask), (0, 3, 1, 2, 4))
    group = sizes.heads // sizes.kv_heads
    query = tf.reshape(query, (-1, sizes.kv_heads, 1, group, sizes.head_size))
    return attend(query, key, value, mask)
