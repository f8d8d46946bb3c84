"""What an exported model reads: from raw strings to tokens, in core TensorFlow ops, as `Encoder` does in Python."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import tensorflow as tf

from kerasft.tasks.causal_lm.encoding import Encoder
from kerasft.text.chat_frames import EMPTY, MARKED, SEPARATOR, UNPAIRED, ChatFrames, find_frames
from kerasft.text.chat_templates import Part
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
        self._begin, self._end, self._said = encoder.begin, encoder.end, encoder.said

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
        parts = [f"the {self._said} is too long: ", tf.strings.as_string(tokens), " tokens, its end included"]
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
    """Of conversations as one text: the user's message, the assistant's answer and so on, separated by U+001E.

    Args:
        encoder: whose tokens these are.
        frames: what stands around messages.
    """

    names = ("messages",)

    def __init__(self, encoder: Encoder, frames: ChatFrames):
        super().__init__(encoder)
        self._trims = frames.trims
        gaps = [
            _split_gap(frames.first, None, False),
            _split_gap(frames.answer, False, True),
            _split_gap(frames.next, True, False),
            _split_gap(frames.last, True, None),
        ]
        first, answer, following, last = gaps
        self._before = [first.tail, answer.tail, following.tail]
        self._behind = [answer.head, following.head, last.head]
        encoded = [encoder.encode_parts(gap.middle) for gap in gaps]
        # and nothing, behind messages that others follow
        self._ids = [*(ids.tolist() for ids, _ in encoded), []]
        self._flags = [*(asked.astype(int).tolist() for _, asked in encoded), []]

    def read(self, *inputs: tf.Tensor) -> ReadTexts:
        texts, status = refuse_texts(inputs[0])
        messages = tf.strings.split(texts, SEPARATOR)
        status = _refuse_turns(messages, status)
        counts = tf.cast(messages.row_lengths(), tf.int32)
        number = tf.ragged.range(counts, row_splits_dtype=tf.int32).values
        ends = tf.cast(messages.row_splits, tf.int32)
        is_answer, is_last = number % 2 == 1, number + 1 == tf.repeat(counts, counts)
        kind = tf.where(number == 0, 0, tf.where(is_answer, 1, 2))
        said = self._tokenize(self._frame(messages.flat_values, kind, is_answer, is_last))
        asked = said.with_flat_values(tf.repeat(tf.cast(is_answer, tf.int32), said.row_lengths()))
        behind = tf.where(is_last, 3, 4)
        after = _take(self._ids, behind)
        ids = tf.concat([_take(self._ids, kind), said, after], 1)
        flags = tf.concat([_take(self._flags, kind), asked, _take(self._flags, behind)], 1)
        tail = said.row_lengths() + after.row_lengths()
        of_text = tf.gather(ids.row_splits, ends)
        ids, flags = (tf.RaggedTensor.from_row_splits(each.values, of_text) for each in (ids, flags))
        last = tf.gather(tail, ends[1:] - 1)
        lengths, room = ids.row_lengths(), self._context + 1
        status = self._refuse_long(status, last, (lengths > room) & (last > room - 1))
        ids, flags = _keep_last(ids, room), _keep_last(flags, room)
        return ReadTexts(ids, flags, self._measure(ids, flags), status)

    def _frame(
        self, contents: tf.Tensor, kind: tf.Tensor, is_answer: tf.Tensor, is_last: tf.Tensor
    ) -> tf.Tensor:
        """Messages with what stands around them and is tokenized with them."""
        for is_trimmed, mine in zip(self._trims, (~is_answer, is_answer), strict=True):
            if is_trimmed:
                contents = tf.where(mine, tf.strings.strip(contents), contents)
        behind = tf.where(is_answer, tf.where(is_last, 2, 1), 0)
        before = tf.gather(tf.constant(self._before), kind)
        return tf.strings.join([before, contents, tf.gather(tf.constant(self._behind), behind)])

    def _measure(self, ids: tf.RaggedTensor, flags: tf.RaggedTensor) -> tf.Tensor:
        """int32 (batch,), bytes of the predicted tokens."""
        lengths = tf.strings.length(self.tokenizer.spell(ids.flat_values)) * flags.flat_values
        sizes = ids.with_flat_values(lengths)
        return tf.reduce_sum(sizes, 1) - tf.reduce_sum(sizes[:, :1], 1)


class _Gap(NamedTuple):
    """What stands between two messages: of it `head` is one text with that before, and `tail` with that behind."""

    head: str
    middle: list[Part]
    tail: str


def _split_gap(parts: Sequence[Part], before: bool | None, behind: bool | None) -> _Gap:
    """Args: whether what stands before is said, and what stands behind; None where nothing does."""
    middle, head, tail = list(parts), "", ""
    if middle and middle[0].token is None and middle[0].is_said is before:
        head = middle.pop(0).text
    if middle and middle[-1].token is None and middle[-1].is_said is behind:
        tail = middle.pop().text
    return _Gap(head, middle, tail)


def make_reader(encoder: Encoder) -> Reader:
    """The reader of an encoder's kind of examples.

    Raises:
        DataError: conversations cannot be put together without their template.
    """
    if encoder.template is not None:
        return ChatReader(encoder, find_frames(encoder.template))
    return TextReader(encoder) if encoder.kind == "text" else CompletionReader(encoder)


def _refuse_turns(messages: tf.RaggedTensor, status: tf.Tensor) -> tf.Tensor:
    """The status with what `split_turns` refuses."""
    empty = messages.with_flat_values(tf.cast(tf.strings.strip(messages.flat_values) == "", tf.int32))
    marked = messages.with_flat_values(
        tf.cast(tf.strings.regex_full_match(messages.flat_values, r"(?s).*\x00.*"), tf.int32)
    )
    for reason, refused in (
        (UNPAIRED, messages.row_lengths() % 2 == 1),
        (EMPTY, tf.reduce_max(empty, 1) > 0),
        (MARKED, tf.reduce_max(marked, 1) > 0),
    ):
        status = tf.where((status == "") & refused, reason, status)
    return status


def _take(rows: list[list[int]], which: tf.Tensor) -> tf.RaggedTensor:
    table = tf.ragged.constant(rows, tf.int32, ragged_rank=1, row_splits_dtype=tf.int32)
    return tf.gather(table, which)


def _keep_last(texts: tf.RaggedTensor, room: tf.Tensor | int) -> tf.RaggedTensor:
    """The last tokens of each text, at most `room`, int32 () or (batch,)."""
    splits = tf.cast(texts.row_splits, tf.int32)
    begins = tf.maximum(splits[1:] - tf.cast(room, tf.int32), splits[:-1])
    kept = tf.ragged.range(begins, splits[1:], row_splits_dtype=tf.int32)
    return kept.with_flat_values(tf.gather(texts.flat_values, kept.flat_values))
