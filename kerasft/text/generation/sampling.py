"""Chooses the next token from a model's scores, in core TensorFlow ops that old releases know too."""

from __future__ import annotations

import tensorflow as tf

_COLDEST = 1e-30
"""Numbers that are much smaller count as 0 where TensorFlow divides by them."""


def penalize_repetition(
    logits: tf.Tensor, history: tf.Tensor, lengths: tf.Tensor, penalty: tf.Tensor
) -> tf.Tensor:
    """Makes tokens less likely that stand in a row's history, however often they do.

        x → x / θ if x > 0, x · θ otherwise

    The paper divides every score; one below 0, which that would make likelier, is multiplied here, as it is in other
    libraries.

    Args:
        logits: float32 (batch, vocabulary).
        history: int32 (batch, n), token ids.
        lengths: int32 (batch,), how many of a row's first columns count.
        penalty: float32 scalar θ > 0; 1 changes nothing.

    Source: Keskar et al. 2019, arXiv:1909.05858, section 4.1.
    """

    def penalize() -> tf.Tensor:
        batch, count = tf.shape(history)[0], tf.shape(history)[1]
        counts = tf.range(count) < lengths[:, None]
        rows = tf.broadcast_to(tf.range(batch)[:, None], (batch, count))
        places = tf.boolean_mask(tf.stack([rows, history], -1), counts)
        scores = tf.gather_nd(logits, places)
        scores = tf.where(scores > 0.0, scores / penalty, scores * penalty)
        return tf.tensor_scatter_nd_update(logits, places, scores)

    return tf.cond(tf.equal(penalty, 1.0), lambda: logits, penalize)


def keep_likeliest(logits: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor) -> tf.Tensor:
    """−∞ for all tokens but the k likeliest, and of these all but the fewest that together have the probability p.

    Of equally likely tokens the one with the smaller id counts as the likelier. The likeliest token is always kept.

    Args:
        logits: float32 (batch, vocabulary).
        top_k: int32 scalar k ≥ 0; 0: all.
        top_p: float32 scalar, 0 < p ≤ 1, of the probabilities of the k likeliest; 1: all.

    Source: Fan et al. 2018, arXiv:1805.04833 (k); Holtzman et al. 2020, arXiv:1904.09751 (p).
    """
    vocabulary = tf.shape(logits)[1]
    count = tf.where(top_k > 0, tf.minimum(top_k, vocabulary), vocabulary)

    def cut() -> tf.Tensor:
        values, ids = tf.math.top_k(logits, count)
        before = tf.cumsum(tf.nn.softmax(values), 1, exclusive=True)
        kept = tf.reduce_sum(tf.cast((before < top_p) | (top_p >= 1.0), tf.int32), 1, keepdims=True)
        last = tf.maximum(kept, 1) - 1
        value, number = (tf.gather(part, last, axis=1, batch_dims=1) for part in (values, ids))
        is_kept = (logits > value) | (tf.equal(logits, value) & (tf.range(vocabulary) <= number))
        return tf.where(is_kept, logits, -float("inf"))

    return tf.cond((count < vocabulary) | (top_p < 1.0), cut, lambda: logits)


def draw_uniform(seed: tf.Tensor, step: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    """float64 (n,) in [0, 1): for each row a number that follows from the seed, the step and the row alone.

    Args:
        seed: int64 scalar.
        step: int32 scalar.
        rows: int32 (n,), ascending from any number: the rows' numbers among all that are written with this seed.
    """
    # the i-th number of a stream is the same however many are drawn
    count = tf.reduce_max(tf.concat([rows, [-1]], 0)) + 1
    stream = tf.raw_ops.StatelessRandomUniform(
        shape=count[None], seed=tf.stack([seed, tf.cast(step, tf.int64)]), dtype=tf.float64
    )
    return tf.gather(stream, rows)


def choose_tokens(
    logits: tf.Tensor, temperature: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor, uniform: tf.Tensor
) -> tf.Tensor:
    """int32 (batch,): a token for each row, drawn from softmax(logits / temperature) of the likeliest tokens.

    Args:
        logits: float32 (batch, vocabulary); tokens at −∞ are never chosen.
        temperature: float32 scalar; 0: the likeliest token, of equals the one with the smallest id.
        top_k, top_p: see `keep_likeliest`.
        uniform: float64 (batch,), random in [0, 1).
    """

    def draw() -> tf.Tensor:
        # the largest is 0, so that no temperature is too small
        scores = (logits - tf.reduce_max(logits, 1, keepdims=True)) / tf.maximum(temperature, _COLDEST)
        shares = tf.nn.softmax(tf.cast(keep_likeliest(scores, top_k, top_p), tf.float64))
        sums = tf.cumsum(shares, 1)
        # in the order of the ids: scores that differ by a rounding move a border, and change no order
        return tf.reduce_sum(tf.cast(sums <= uniform[:, None] * sums[:, -1:], tf.int32), 1)

    return tf.cond(temperature > 0.0, draw, lambda: tf.argmax(logits, 1, output_type=tf.int32))
