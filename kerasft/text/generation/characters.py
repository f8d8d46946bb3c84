"""Whole characters of texts whose tokens may cut one: in core TensorFlow ops, and for a text that is being written."""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf

_LEADS = (0xC2, 0xE0, 0xF0)
"""The first byte of a character of at least 2, 3 and 4 bytes."""
_CONTINUATION, _LAST_LEAD = 0x80, 0xF4
_ALL = 2**31 - 1


def count_cut_bytes(texts: tf.Tensor) -> tf.Tensor:
    """int32 (batch,), 0 to 3: how many bytes at each text's end begin a character that is not complete.

    Args:
        texts: string (batch,), bytes.
    """
    with tf.device("CPU:0"):
        # three bytes of each, ASCII before those of shorter texts
        ends = tf.strings.substr(tf.strings.join(["...", texts]), -3, 3)
        data = tf.cast(tf.io.decode_raw(tf.strings.reduce_join(ends), tf.uint8), tf.int32)
        third, second, last = data[0::3], data[1::3], data[2::3]

        def leads(byte: tf.Tensor, length: int) -> tf.Tensor:
            return (byte >= _LEADS[length - 2]) & (byte <= _LAST_LEAD)

        def continues(byte: tf.Tensor) -> tf.Tensor:
            return (byte >= _CONTINUATION) & (byte < 0xC0)

        cut = tf.where(leads(third, 4) & continues(second) & continues(last), 3, 0)
        cut = tf.where(leads(second, 3) & continues(last), 2, cut)
        return tf.where(leads(last, 2), 1, cut)


def replace_invalid(texts: tf.Tensor) -> tf.Tensor:
    """string (batch,), UTF-8: with U+FFFD in the place of bytes that are none."""
    with tf.device("CPU:0"):
        return tf.strings.unicode_transcode(
            texts, "UTF-8", "UTF-8", errors="replace", replace_control_characters=False
        )


def make_whole(texts: tf.Tensor) -> tf.Tensor:
    """string (batch,), UTF-8: `replace_invalid` of texts without a character that is cut at the end."""
    with tf.device("CPU:0"):
        lengths = tf.strings.length(texts) - count_cut_bytes(texts)
        return replace_invalid(tf.strings.substr(texts, tf.zeros_like(lengths), lengths))


def strip_space(texts: tf.Tensor) -> tf.Tensor:
    """string (batch,) without the space that a text begins with, if it does."""
    with tf.device("CPU:0"):
        lengths = tf.strings.length(texts)
        first = tf.strings.substr(texts, tf.zeros_like(lengths), tf.minimum(lengths, 1))
        starts = tf.cast(tf.equal(first, " "), tf.int32)
        return tf.strings.substr(texts, starts, lengths - starts)


def find_stop(texts: tf.Tensor, stops: tf.Tensor, fresh: tf.Tensor) -> tf.Tensor:
    """int32 (batch,): the byte at which the first stop string of a text begins; -1 where it has none.

    Args:
        texts: string (batch,), bytes.
        stops: string (n,), none of them empty.
        fresh: int32 (batch,), how many bytes at a text's end are new: a stop string ends in these.
    """
    with tf.device("CPU:0"):
        lengths, sizes = tf.strings.length(texts), tf.strings.length(stops)
        batch, count, most = tf.size(texts), tf.size(stops), tf.reduce_max(tf.concat([fresh, [0]], 0))
        # each text, up to each of its new bytes, with each stop string
        number = tf.range(batch * most * count)
        stop, place = number % tf.maximum(count, 1), number // tf.maximum(count, 1)
        back, text = place % tf.maximum(most, 1), place // tf.maximum(most, 1)
        start = tf.gather(lengths, text) - back - tf.gather(sizes, stop)
        is_inside = (start >= 0) & (back < tf.gather(fresh, text))
        size = tf.where(is_inside, tf.gather(sizes, stop), 0)
        found = tf.strings.substr(tf.gather(texts, text), tf.maximum(start, 0), size)
        places = tf.where(is_inside & tf.equal(found, tf.gather(stops, stop)), start, _ALL)
        first = tf.reduce_min(tf.reshape(places, tf.stack([batch, most * count])), 1)
        return tf.where(first < _ALL, first, -1)


def count_cut_bytes_of(text: bytes) -> int:
    """`count_cut_bytes` of one text, in Python."""
    for length, lead in enumerate(_LEADS, 1):
        end = text[-length:]
        if len(end) < length:
            break
        if lead <= end[0] <= _LAST_LEAD and all(_CONTINUATION <= byte < 0xC0 for byte in end[1:]):
            return length
    return 0


def decode_text(text: bytes) -> str:
    """`replace_invalid` of one text, as a string."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        replaced: bytes = replace_invalid(tf.constant([text])).numpy()[0]
        return replaced.decode("utf-8")


def count_held_bytes(text: bytes, stops: Iterable[bytes]) -> int:
    """How many bytes at a text's end may be the beginning of a stop string."""
    lengths = (
        length
        for stop in stops
        for length in range(min(len(stop) - 1, len(text)), 0, -1)
        if text.endswith(stop[:length])
    )
    return max(lengths, default=0)
