"""Adds special tokens to one text or two, and truncates texts that are too long; in core TensorFlow ops."""

from __future__ import annotations

import tensorflow as tf

from kerasft.text.tokenizers.base import ABSENT, Framed, SpecialIds


def frame(
    ids: tf.RaggedTensor, pair: tf.RaggedTensor | None, special_ids: SpecialIds, max_length: int | None
) -> Framed:
    """cls, the text, separator (, the other, separator), of these those that there are: see `Tokenizer.frame`."""
    texts = [ids] if pair is None else [ids, pair]
    special = (special_ids.cls != ABSENT) + len(texts) * (special_ids.separator != ABSENT)
    if max_length is not None:
        texts = _cut(texts, check_length(max_length, special) - special)
    rows, one = tf.size(ids.row_splits) - 1, tf.constant(1, ids.row_splits.dtype)

    def repeat(value: int) -> tf.RaggedTensor:
        return tf.RaggedTensor.from_uniform_row_length(tf.fill([rows], value), one)

    tokens, segments = [], []
    if special_ids.cls != ABSENT:
        tokens, segments = [repeat(special_ids.cls)], [repeat(0)]
    for place, text in enumerate(texts):
        tokens.append(text)
        segments.append(text.with_flat_values(tf.fill(tf.shape(text.flat_values), place)))
        if special_ids.separator != ABSENT:
            tokens.append(repeat(special_ids.separator))
            segments.append(repeat(place))
    return Framed(tf.concat(tokens, 1), tf.concat(segments, 1))


def check_length(max_length: int | tf.Tensor, special: int = 2) -> tf.Tensor:
    """`max_length` as an int32 scalar.

    Raises:
        ValueError: so many special tokens have no room in it.
    """
    least = max(special, 1)
    if isinstance(max_length, int) and max_length < least:
        raise ValueError(f"max_length must be at least {least}, for special tokens, not {max_length}.")
    return tf.convert_to_tensor(max_length, tf.int32)


def _cut(texts: list[tf.RaggedTensor], room: tf.Tensor) -> list[tf.RaggedTensor]:
    """The first tokens of each, so that all fit into `room`: half of it for the shorter, if need be, the rest for the
    longer."""
    if len(texts) == 1:
        return [_keep_first(texts[0], room)]
    first, second = (tf.cast(text.row_lengths(), tf.int32) for text in texts)
    shorter = tf.minimum(tf.minimum(first, second), room // 2)
    longer = tf.minimum(tf.maximum(first, second), room - shorter)
    return [
        _keep_first(texts[0], tf.where(first > second, longer, shorter)),
        _keep_first(texts[1], tf.where(first > second, shorter, longer)),
    ]


def _keep_first(text: tf.RaggedTensor, lengths: tf.Tensor) -> tf.RaggedTensor:
    splits = tf.cast(text.row_splits, tf.int32)
    ends = tf.minimum(splits[:-1] + lengths, splits[1:])
    kept = tf.ragged.range(splits[:-1], ends, row_splits_dtype=tf.int32)
    values = tf.gather(text.flat_values, kept.flat_values)
    return tf.RaggedTensor.from_row_splits(values, kept.row_splits, validate=False)
