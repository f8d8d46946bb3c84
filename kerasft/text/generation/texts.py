"""Texts that are being written: a token is put behind each, until it ends; in core TensorFlow ops."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from kerasft.text.generation.characters import find_stop, make_whole, strip_space
from kerasft.text.generation.options import Options
from kerasft.text.generation.reading import Window
from kerasft.text.ops import find_places
from kerasft.text.tokenizers.base import Tokenizer

_GOES_ON, _END, _STOP, _LENGTH, _REFUSED = range(5)
ENDINGS = ("", "end token", "stop string", "length", "")
"""Why a text ends, by its state; nothing is said of one that goes on, or that is refused."""
_WRITTEN_STEP = 256
_ALL = 2**31 - 1


class Texts(NamedTuple):
    """Texts that are being written.

    Attributes:
        row: int32 (batch,), each text's number among all that are written with one seed.
        window: what the model looks at: each row's tokens but the last that was written.
        last: int32 (batch,), the token that was written last.
        written: int32 (batch, at least count), all that were written.
        count: int32 scalar, how many of its columns are used.
        tokens: int32 (batch,), how many tokens were written in a row, the one at which it ended among them.
        piece: string (batch,), what the last token added to the text, bytes.
        tail: string (batch,), the text's last bytes, in which a stop string may have begun.
        size: int32 (batch,), bytes of the text.
        cut: int32 (batch,), the byte at which a stop string begins; beyond the text where there is none.
        starts_word: bool (batch,), whether the next piece needs no space before it.
        state: int32 (batch,), whether it goes on, or why not.
    """

    row: tf.Tensor
    window: Window
    last: tf.Tensor
    written: tf.Tensor
    count: tf.Tensor
    tokens: tf.Tensor
    piece: tf.Tensor
    tail: tf.Tensor
    size: tf.Tensor
    cut: tf.Tensor
    starts_word: tf.Tensor
    state: tf.Tensor


class Ended(NamedTuple):
    """Texts that have ended.

    Attributes:
        row: int32 (batch,), each text's number.
        continuation: string (batch,), UTF-8.
        tokens: int32 (batch,), how many were written.
        ended: string (batch,), one of `ENDINGS`.
    """

    row: tf.Tensor
    continuation: tf.Tensor
    tokens: tf.Tensor
    ended: tf.Tensor


def make_specs(window: Window) -> Texts:
    """The shapes and types of texts, whatever the batch, with those of a window."""
    row = tf.TensorSpec((None,), tf.int32)
    specs = dict.fromkeys(Texts._fields, row) | {
        "window": window,
        "written": tf.TensorSpec((None, None), tf.int32),
        "count": tf.TensorSpec((), tf.int32),
        "piece": tf.TensorSpec((None,), tf.string),
        "tail": tf.TensorSpec((None,), tf.string),
        "starts_word": tf.TensorSpec((None,), tf.bool),
    }
    return Texts(**specs)  # type: ignore[arg-type]


def begin_texts(row: tf.Tensor, window: Window, starts_word: tf.Tensor, is_refused: tf.Tensor) -> Texts:
    """Texts of which nothing is written.

    Args:
        row: int32 (batch,), their numbers.
        window: the prompts.
        starts_word: bool (batch,), whether the first word needs no space before it.
        is_refused: bool (batch,), whether nothing is to be written.
    """
    zeros, nothing = tf.zeros_like(row), tf.fill(tf.shape(row), "")
    return Texts(
        row=row,
        window=window,
        last=zeros,
        written=tf.zeros(tf.stack([tf.size(row), _WRITTEN_STEP]), tf.int32),
        count=tf.constant(0),
        tokens=zeros,
        piece=nothing,
        tail=nothing,
        size=zeros,
        cut=zeros + _ALL,
        starts_word=starts_word,
        state=tf.where(is_refused, _REFUSED, _GOES_ON),
    )


def go_on(texts: Texts) -> tf.Tensor:
    """bool (batch,): which texts have not ended."""
    return tf.equal(texts.state, _GOES_ON)


def take_texts(texts: Texts, mask: tf.Tensor) -> Texts:
    """The texts for which bool (batch,) is true."""
    rows = find_places(mask)
    return tf.nest.map_structure(
        lambda tensor: tf.gather(tensor, rows) if tensor.shape.rank else tensor, texts
    )


def append_tokens(
    texts: Texts, chosen: tf.Tensor, tokenizer: Tokenizer, end_ids: tf.Tensor, options: Options
) -> Texts:
    """Puts a token behind each text that goes on, and looks whether it ends there.

    Args:
        texts: as they stand.
        chosen: int32 (batch,), their next tokens.
        tokenizer: spells them.
        end_ids: int32 (n,), tokens at which a text ends.
        options: with the stop strings, and how many tokens a text has at most.
    """
    goes_on = go_on(texts)
    is_end = tf.reduce_any(tf.equal(chosen[:, None], end_ids), 1)
    tokens = texts.tokens + tf.cast(goes_on, tf.int32)
    piece = tf.where(goes_on & ~is_end, tokenizer.spell(chosen), "")
    starts_word = texts.starts_word & tf.equal(piece, "")
    piece = tf.where(texts.starts_word, strip_space(piece), piece)
    tail, start = tf.strings.join([texts.tail, piece]), texts.size - tf.strings.length(texts.tail)
    stops = tf.boolean_mask(options.stop, tf.not_equal(options.stop, ""))
    stop = find_stop(tail, stops, tf.strings.length(piece))
    state = tf.where(tokens >= options.max_new_tokens, _LENGTH, _GOES_ON)
    state = tf.where(is_end, _END, tf.where(stop >= 0, _STOP, state))
    return texts._replace(
        last=chosen,
        written=_append_column(texts.written, texts.count, chosen),
        count=texts.count + 1,
        tokens=tokens,
        piece=piece,
        tail=_keep_tail(tail, stops),
        size=texts.size + tf.strings.length(piece),
        cut=tf.where(goes_on & (stop >= 0), start + stop, texts.cut),
        starts_word=starts_word,
        state=tf.where(goes_on, state, texts.state),
    )


def finish_texts(texts: Texts, tokenizer: Tokenizer) -> Ended:
    """What was written of texts that have ended."""
    with tf.device("CPU:0"):
        pieces = tokenizer.spell(texts.written)
        shown = texts.tokens - tf.cast(tf.equal(texts.state, _END), tf.int32)
        is_shown = tf.range(tf.shape(pieces)[1]) < shown[:, None]
        whole = tf.strings.reduce_join(tf.where(is_shown, pieces, ""), 1)
        # pieces have lost a space that the first of them began with; the rest is as long as they are
        start = tf.strings.length(whole) - texts.size
        text = make_whole(tf.strings.substr(whole, start, tf.minimum(texts.cut, texts.size)))
        return Ended(texts.row, text, texts.tokens, tf.gather(tf.constant(ENDINGS), texts.state))


def _keep_tail(texts: tf.Tensor, stops: tf.Tensor) -> tf.Tensor:
    """The last bytes of texts, in which a stop string may have begun that is not complete."""
    longest = tf.reduce_max(tf.concat([tf.strings.length(stops), [1]], 0))
    place = tf.maximum(tf.strings.length(texts) - longest + 1, 0)
    return tf.strings.substr(texts, place, tf.zeros_like(place) + longest)


def _append_column(written: tf.Tensor, count: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
    """`written` with a column at `count`, wider where it is full."""
    written = tf.cond(
        count >= tf.shape(written)[1],
        lambda: tf.pad(written, [[0, 0], [0, _WRITTEN_STEP]]),
        lambda: written,
    )
    rows = tf.range(tf.size(column))
    return tf.tensor_scatter_nd_update(written, tf.stack([rows, tf.zeros_like(rows) + count], 1), column)
