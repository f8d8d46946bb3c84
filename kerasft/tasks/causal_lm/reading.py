"""What an exported model reads: from raw strings to tokens, in core TensorFlow ops, as `Encoder` does in Python."""

from __future__ import annotations

import abc
from typing import ClassVar, NamedTuple

import tensorflow as tf

from kerasft.tasks.causal_lm.conversations import ConversationReader
from kerasft.tasks.causal_lm.encoding import Encoder
from kerasft.text.chat_frames import ChatFrames, find_frames
from kerasft.text.raw import refuse_texts
from kerasft.text.tokenizers.base import ABSENT


class ReadTexts(NamedTuple):
    """Examples as the model reads them.

    Attributes:
        ids: int32 (batch, ragged).
        asked: int32 (batch, ragged), 1 for tokens that are predicted, if anything stands before them.
        sizes: int32 (batch,), bytes of those that are.
        status: string (batch,), why an example is not scored; empty where it is.
    """

    ids: tf.RaggedTensor
    asked: tf.RaggedTensor
    sizes: tf.Tensor
    status: tf.Tensor


class Reader(abc.ABC):
    """Reads one kind of example.

    Args:
        encoder: whose tokens these are.
    """

    names: ClassVar[tuple[str, ...]]
    """Of its inputs, each string (batch,)."""

    def __init__(self, encoder: Encoder):
        self.tokenizer, self._context = encoder.tokenizer, encoder.context
        self._begin, self._end, self._noun = encoder.begin, encoder.end, encoder.predicted_noun

    @abc.abstractmethod
    def read(self, *inputs: tf.Tensor) -> ReadTexts:
        """UTF-8 strings → tokens."""

    def _tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        return self.tokenizer.tokenize(texts).with_row_splits_dtype(tf.int32)

    def _repeat(self, token: int, texts: tf.Tensor) -> list[tf.RaggedTensor]:
        """A special token for each text; nothing where the tokenizer has none."""
        if token == ABSENT:
            return []
        column = tf.fill(tf.shape(texts), token)
        return [tf.RaggedTensor.from_uniform_row_length(column, tf.constant(1, tf.int32))]

    def _measure_first(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """int32 (batch,), the bytes of each text's first token, which nothing stands before."""
        firsts = ids[:, :1]
        spelled = self.tokenizer.spell(firsts.flat_values)
        if getattr(self.tokenizer, "starts_with_space", False):
            spelled = tf.strings.regex_replace(spelled, "^ ", "")
        return tf.reduce_sum(firsts.with_flat_values(tf.strings.length(spelled)), 1)

    def _refuse_long(self, status: tf.Tensor, tokens: tf.Tensor, is_long: tf.Tensor) -> tf.Tensor:
        """The status with what is said of examples of which more is predicted than a row has places."""
        parts = [f"the {self._noun} is too long: ", tf.strings.as_string(tokens), " tokens, its end included"]
        return tf.where((status == "") & is_long, tf.strings.join(parts), status)


class TextReader(Reader):
    """Of documents, in which every token is predicted but the first."""

    names = ("text",)

    def read(self, *inputs: tf.Tensor) -> ReadTexts:
        texts, status = refuse_texts(inputs[0])
        begin, end = self._repeat(self._begin, texts), self._repeat(self._end, texts)
        ids = tf.concat([*begin, self._tokenize(texts), *end], 1)
        sizes = tf.strings.length(texts)
        if not begin:
            sizes -= self._measure_first(ids)
        return ReadTexts(ids, tf.ones_like(ids), sizes, status)


class CompletionReader(Reader):
    """Of prompts and completions: of a prompt that is too long the end is read."""

    names = ("prompt", "completion")

    def read(self, *inputs: tf.Tensor) -> ReadTexts:
        (prompts, first), (texts, second) = map(refuse_texts, inputs)
        begin = self._repeat(self._begin, texts)
        said = tf.concat([self._tokenize(texts), *self._repeat(self._end, texts)], 1)
        asked = said.row_lengths()
        status = self._refuse_long(tf.where(first == "", second, first), asked, asked > self._context)
        room = tf.maximum(self._context + 1 - asked - len(begin), 0)
        read = tf.concat([*begin, _keep_last(self._tokenize(prompts), room)], 1)
        ids = tf.concat([read, said], 1)
        sizes = tf.strings.length(texts)
        if not begin:
            sizes -= tf.where(read.row_lengths() == 0, self._measure_first(ids), 0)
        flags = tf.concat([tf.zeros_like(read), tf.ones_like(said)], 1)
        return ReadTexts(ids, flags, sizes, status)


class ChatReader(Reader):
    """Of conversations as one text: the user's message, the assistant's answer and so on, separated by U+001E; before
    the first there may be a system message with U+001D behind it.

    Args:
        encoder: whose tokens these are.
        frames: what stands around messages.
    """

    names = ("messages",)

    def __init__(self, encoder: Encoder, frames: ChatFrames):
        super().__init__(encoder)
        self._conversations = ConversationReader(encoder, frames, is_answered=True)

    def read(self, *inputs: tf.Tensor) -> ReadTexts:
        read, room = self._conversations.read(inputs[0]), self._context + 1
        is_long = (read.ids.row_lengths() > room) & (read.last > room - 1)
        status = self._refuse_long(read.status, read.last, is_long)
        ids, flags = _keep_last(read.ids, room), _keep_last(read.flags, room)
        return ReadTexts(ids, flags, self._measure(ids, flags), status)

    def _measure(self, ids: tf.RaggedTensor, flags: tf.RaggedTensor) -> tf.Tensor:
        """int32 (batch,), bytes of the predicted tokens."""
        lengths = tf.strings.length(self.tokenizer.spell(ids.flat_values)) * flags.flat_values
        sizes = ids.with_flat_values(lengths)
        return tf.reduce_sum(sizes, 1) - tf.reduce_sum(sizes[:, :1], 1)


def make_reader(encoder: Encoder) -> Reader:
    """The reader of an encoder's kind of examples.

    Raises:
        DataError: conversations cannot be put together without their template.
    """
    if encoder.template is not None:
        return ChatReader(encoder, find_frames(encoder.template))
    return TextReader(encoder) if encoder.kind == "text" else CompletionReader(encoder)


def _keep_last(texts: tf.RaggedTensor, room: tf.Tensor | int) -> tf.RaggedTensor:
    """The last tokens of each text, at most `room`, int32 () or (batch,)."""
    splits = tf.cast(texts.row_splits, tf.int32)
    begins = tf.maximum(splits[1:] - tf.cast(room, tf.int32), splits[:-1])
    kept = tf.ragged.range(begins, splits[1:], row_splits_dtype=tf.int32)
    return kept.with_flat_values(tf.gather(texts.flat_values, kept.flat_values))
