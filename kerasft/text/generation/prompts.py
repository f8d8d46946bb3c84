"""From prompts to the token ids that a model goes on from, in core TensorFlow ops."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from kerasft.errors import ConfigError
from kerasft.text.raw import refuse_texts
from kerasft.text.tokenizers.base import ABSENT, Tokenizer

EMPTY = "empty prompt: this model's tokenizer has no token with which a text begins"


class Frame(NamedTuple):
    """What stands around a prompt, of a model that was trained so.

    Attributes:
        before, after: token ids.
        head, tail: text that is put before and after the prompt, and tokenized with it.
        trims: whether white space at the prompt's ends is left out.
    """

    before: tuple[int, ...] = ()
    head: str = ""
    tail: str = ""
    after: tuple[int, ...] = ()
    trims: bool = False


class Prompts(NamedTuple):
    """Prompts as a model reads them.

    Attributes:
        token_ids: int32 (batch, longest), at least one column, padded on the right.
        lengths: int32 (batch,), at least 1.
        left_out: int32 (batch,), tokens of a long prompt's beginning for which the context has no room.
        starts_word: bool (batch,), whether no space is needed before the word that follows.
        status: string (batch,), why a prompt is refused; empty where it is not.
    """

    token_ids: tf.Tensor
    lengths: tf.Tensor
    left_out: tf.Tensor
    starts_word: tf.Tensor
    status: tf.Tensor


class PromptReader:
    """Frames prompts, and keeps the ends of those that are too long.

    An empty prompt without a frame becomes the token with which a text begins; where there is none, the one with which
    a text ends.

    Args:
        tokenizer: of the model.
        context: tokens that the model looks at.
        frame: what stands around each prompt.

    Raises:
        ConfigError: the frame leaves a prompt no room.
    """

    def __init__(self, tokenizer: Tokenizer, context: int, frame: Frame):
        self._room = context - len(frame.before) - len(frame.after)
        if self._room < 1:
            raise ConfigError(
                f"the {context - self._room} tokens around each prompt fill the model's context of {context}",
                where="model.context",
                fix="Use a model that looks at more tokens.",
            )
        self._tokenizer, self._frame = tokenizer, frame
        special = tokenizer.special_ids
        self._first = special.begin if special.begin != ABSENT else special.end

    def read(self, prompts: tf.Tensor) -> Prompts:
        """string (batch,) → the prompts, of a batch that is not empty."""
        frame = self._frame
        with tf.device("CPU:0"):
            texts, status = refuse_texts(prompts)
            if frame.trims:
                texts = tf.strings.strip(texts)
            ids = self._tokenizer.tokenize(tf.strings.join([frame.head, texts, frame.tail]))
            splits = tf.cast(ids.row_splits, tf.int32)
            found = splits[1:] - splits[:-1]
            kept = tf.minimum(found, self._room)
            chosen = tf.ragged.range(splits[1:] - kept, splits[1:], row_splits_dtype=tf.int32)
            ids = chosen.with_values(tf.gather(ids.flat_values, chosen.values))
            if not frame.before and not frame.after:
                is_empty = tf.equal(found, 0)
                if self._first == ABSENT:
                    status = tf.where(tf.equal(status, "") & is_empty, EMPTY, status)
                # what is refused has a token too, which nobody sees
                ids = tf.concat([_repeat(max(self._first, 0), tf.cast(is_empty, tf.int32)), ids], 1)
            once = tf.ones_like(found)
            before, after = ([_repeat(token, once) for token in part] for part in (frame.before, frame.after))
            ids = tf.concat([*before, ids, *after], 1)
            lengths = tf.cast(ids.row_lengths(), tf.int32)
            return Prompts(ids.to_tensor(0), lengths, found - kept, self._starts_word(texts), status)

    def _starts_word(self, texts: tf.Tensor) -> tf.Tensor:
        """bool (batch,): of the tokenizers whose words bring a space along, whether it would be one too many."""
        # such a tokenizer's `decode` leaves out the first space of a text
        brings_space = tf.fill(tf.shape(texts), getattr(self._tokenizer, "starts_with_space", False))
        if self._frame.tail or self._frame.after:
            return brings_space
        last = tf.strings.substr(tf.strings.join([" ", texts]), -1, 1)
        return brings_space & (tf.equal(last, " ") | tf.equal(last, "\n"))


def _repeat(token: int, times: tf.Tensor) -> tf.RaggedTensor:
    """int32 (batch, ragged): in each row a token as often as it says."""
    splits = tf.concat([[0], tf.cumsum(times)], 0)
    return tf.RaggedTensor.from_row_splits(tf.fill(splits[-1:], token), splits, validate=False)
