"""Reads prompts into a decoder's cache, and makes room in it for more tokens; in core TensorFlow ops."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from kerasft.text.ops import find_places

CAPACITY_STEP = 64
"""A cache grows by as many tokens at a time: each token looks at all columns that there are."""
_READ_AT_ONCE = 256
"""Tokens of a prompt: memory grows with them times the columns."""

Cache = tuple[tf.Tensor, ...]


class Decoder(Protocol):
    """A causal language model that keeps what it computed of earlier tokens.

    Attributes:
        width: size of what it computes of a token.
        vocabulary_size: ids that it gives scores to.
        context: tokens that it looks at, at most.
    """

    width: int
    vocabulary_size: int
    context: int

    def start(self, batch: tf.Tensor, capacity: tf.Tensor) -> Cache:
        """An empty cache, of tensors (batch, …, capacity, …)."""

    def extend(self, token_ids: tf.Tensor, positions: tf.Tensor, cache: Cache) -> tuple[tf.Tensor, Cache]:
        """Reads tokens on top of a cache: int32 (batch, n), and the columns where they go → float32 (batch, n, width);
        and the cache."""

    def compute_logits(self, hidden: tf.Tensor) -> tf.Tensor:
        """float32 (…, width) → (…, vocabulary)."""


class Window(NamedTuple):
    """The tokens that a decoder looks at.

    Attributes:
        cache: what was computed of them, column by column.
        token_ids: int32 (batch, capacity).
        lengths: int32 (batch,), how many columns each row has.
        kept: int32 (batch,), how many of its first tokens stay for ever.
    """

    cache: Cache
    token_ids: tf.Tensor
    lengths: tf.Tensor
    kept: tf.Tensor


class WindowReader:
    """Opens, extends and empties windows.

    Where a row has as many tokens as the context, its first tokens and the last of the others are read anew, half of
    the context together, as if the text began there.

    Args:
        decoder: the model.
    """

    def __init__(self, decoder: Decoder):
        self._decoder = decoder
        self.context = decoder.context
        self._half = max(self.context // 2, 1)
        count = tf.TensorSpec([], tf.int32)
        start = tf.function(decoder.start, autograph=False).get_concrete_function(count, count)
        self._cache = tuple(tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in start.outputs)
        self._axes = [_find_capacity(spec.shape) for spec in self._cache]
        # each is traced once, however many graphs call it: a deep net takes seconds
        self._extend_by_one, self._extend_by_many = (self._compile_extend(n) for n in (1, None))

    @property
    def specs(self) -> Window:
        """The shapes and types of a window, whatever its batch and its capacity."""
        lengths = tf.TensorSpec((None,), tf.int32)
        return Window(
            self._cache,  # type: ignore[arg-type]
            tf.TensorSpec((None, None), tf.int32),
            lengths,
            lengths,
        )

    def open(self, token_ids: tf.Tensor, lengths: tf.Tensor, kept: tf.Tensor) -> tuple[tf.Tensor, Window]:
        """Reads prompts.

        Args:
            token_ids: int32 (batch, n), 0 < n ≤ context, padded on the right with any tokens.
            lengths: int32 (batch,), 1 to n.
            kept: int32 (batch,), how many of a row's first tokens stay for ever; none do where these are half of the
                context or more.

        Returns:
            float32 (batch, width), of each row's last token; and the window.
        """
        steps = (tf.shape(token_ids)[1] + CAPACITY_STEP - 1) // CAPACITY_STEP
        kept = tf.where(kept < self._half, kept, 0)
        return self._read(token_ids, lengths, kept, tf.minimum(steps * CAPACITY_STEP, self.context))

    def extend(self, window: Window, token_ids: tf.Tensor, is_live: tf.Tensor) -> tuple[tf.Tensor, Window]:
        """Reads one more token of each row, after making room for it.

        Args:
            window: as it stands.
            token_ids: int32 (batch,).
            is_live: bool (batch,); of other rows nothing is kept.

        Returns:
            float32 (batch, width), of these tokens; and the window.
        """
        window = self._make_room(window, is_live)
        # a row that has ended writes over its own last column, or beyond it
        columns = tf.minimum(window.lengths, tf.shape(window.token_ids)[1] - 1)
        hidden, cache = self._extend_by_one(token_ids[:, None], columns[:, None], window.cache)
        places = tf.stack([tf.range(tf.size(columns)), columns], 1)
        known = tf.tensor_scatter_nd_update(window.token_ids, places, token_ids)
        lengths = window.lengths + tf.cast(is_live, tf.int32)
        return hidden[:, 0], Window(cache, known, lengths, window.kept)

    def _compile_extend(self, tokens: int | None) -> Any:
        """`Decoder.extend` by a number of tokens, or by any number."""
        ids = tf.TensorSpec((None, tokens), tf.int32)
        return tf.function(self._extend, input_signature=[ids, ids, self._cache], autograph=False)

    def _extend(self, token_ids: tf.Tensor, positions: tf.Tensor, cache: Cache) -> tuple[tf.Tensor, Cache]:
        hidden, cache = self._decoder.extend(token_ids, positions, cache)
        shaped = zip(cache, self._cache, strict=True)
        hidden = tf.ensure_shape(hidden, (None, None, self._decoder.width))
        return hidden, tuple(tf.ensure_shape(tensor, spec.shape) for tensor, spec in shaped)

    def _read(
        self, token_ids: tf.Tensor, lengths: tf.Tensor, kept: tf.Tensor, capacity: tf.Tensor
    ) -> tuple[tf.Tensor, Window]:
        """`open` with a capacity; a block of tokens after the other."""
        batch, count = tf.shape(token_ids)[0], tf.shape(token_ids)[1]
        last = lengths - 1

        def read(start: tf.Tensor, hidden: tf.Tensor, *cache: tf.Tensor) -> tuple[tf.Tensor, ...]:
            block = token_ids[:, start : start + _READ_AT_ONCE]
            columns = tf.zeros_like(block) + tf.range(start, start + tf.shape(block)[1])
            computed, cache = self._extend_by_many(block, columns, cache)
            place = last - start
            is_here = (place >= 0) & (place < tf.shape(block)[1])
            chosen = tf.gather(computed, tf.where(is_here, place, 0)[:, None], axis=1, batch_dims=1)[:, 0]
            return start + _READ_AT_ONCE, tf.where(is_here[:, None], chosen, hidden), *cache

        width = self._decoder.width
        begin = tf.constant(0), tf.zeros(tf.stack([batch, width])), *self._decoder.start(batch, capacity)
        shapes = tf.TensorShape([]), tf.TensorShape([None, width]), *(spec.shape for spec in self._cache)
        _, hidden, *cache = tf.while_loop(
            lambda start, *_: start < count, read, begin, shape_invariants=shapes
        )
        room = capacity - count
        return hidden, Window(tuple(cache), tf.pad(token_ids, [[0, 0], [0, room]]), lengths, kept)

    def _make_room(self, window: Window, is_live: tf.Tensor) -> Window:
        """A window in which each live row has a column left."""
        is_full = is_live & (window.lengths >= self.context)
        window = tf.cond(tf.reduce_any(is_full), lambda: self._empty(window, is_full), lambda: window)
        capacity = tf.shape(window.token_ids)[1]
        is_short = tf.reduce_any(is_live & (window.lengths >= capacity))
        return tf.cond(is_short, lambda: self._grow(window), lambda: window)

    def _grow(self, window: Window) -> Window:
        capacity = tf.shape(window.token_ids)[1]
        more = tf.minimum(self.context - capacity, CAPACITY_STEP)
        cache = tuple(
            tf.pad(tensor, [[0, more if axis == capacity_axis else 0] for axis in range(tensor.shape.rank)])
            for tensor, capacity_axis in zip(window.cache, self._axes, strict=True)
        )
        return window._replace(cache=cache, token_ids=tf.pad(window.token_ids, [[0, 0], [0, more]]))

    def _empty(self, window: Window, is_full: tf.Tensor) -> Window:
        """Reads the tokens that stay of full rows anew."""
        rows = find_places(is_full)
        known, kept = (tf.gather(each, rows) for each in (window.token_ids, window.kept))
        column = tf.range(self._half)
        places = column + tf.where(column < kept[:, None], 0, self.context - self._half)
        lengths = tf.fill([tf.size(rows)], self._half)
        stays = tf.gather(known, places, axis=1, batch_dims=1)
        _, read = self._read(stays, lengths, kept, tf.shape(window.token_ids)[1])
        cache, token_ids = (
            tuple(
                tf.tensor_scatter_nd_update(old, rows[:, None], new)
                for old, new in zip(olds, news, strict=True)
            )
            for olds, news in ((window.cache, read.cache), ((window.token_ids,), (read.token_ids,)))
        )
        lengths = tf.where(is_full, self._half, window.lengths)
        return Window(cache, token_ids[0], lengths, window.kept)


def _find_capacity(shape: tf.TensorShape) -> int:
    """The axis of a cache's tensor, besides the first, whose size is not known beforehand."""
    (axis,) = [axis for axis, size in enumerate(shape) if size is None and axis > 0]
    return axis
