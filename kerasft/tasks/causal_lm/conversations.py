"""Conversations that are one text each, as token ids: in core TensorFlow ops, without their chat template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from kerasft.tasks.causal_lm.encoding import Encoder
from kerasft.text.chat_frames import (
    ANSWERED,
    EMPTY,
    MARKED,
    NO_SYSTEM,
    SEPARATOR,
    SYSTEM_END,
    UNPAIRED,
    ChatFrames,
    Trim,
)
from kerasft.text.chat_templates import Part
from kerasft.text.raw import refuse_texts

_FIRST, _SYSTEM, _BEHIND_SYSTEM, _ANSWER, _NEXT, _END, _NOTHING = range(7)
"""Gaps: before the first of the user's messages, before and behind a system message, before an answer, before another
of the user's messages, behind all; and none."""
_WHITE_SPACE = (
    r"[\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]+"
)
"""What Python, and so Jinja, strips off a text."""


class ReadConversations(NamedTuple):
    """Conversations as a model reads them.

    Attributes:
        ids: int32 (batch, ragged).
        flags: int32 (batch, ragged), 1 where the assistant says it.
        last: int32 (batch,), tokens of the last message and of what stands behind it.
        kept: int32 (batch,), tokens before the first of the user's messages: a system message, say.
        status: string (batch,), why a conversation is refused; empty where it is not.
    """

    ids: tf.RaggedTensor
    flags: tf.RaggedTensor
    last: tf.Tensor
    kept: tf.Tensor
    status: tf.Tensor


class ConversationReader:
    """Puts conversations together as their chat template does.

    Args:
        encoder: whose tokens these are.
        frames: what stands around messages.
        is_answered: whether the assistant says the last message, or is to answer it.
    """

    def __init__(self, encoder: Encoder, frames: ChatFrames, *, is_answered: bool):
        self._tokenize, self._trims, self._system = encoder.tokenizer.tokenize, frames.trims, frames.system
        self._is_answered = is_answered
        gaps = [_Gap("", [], "")] * (_NOTHING + 1)
        gaps[_FIRST] = _split_gap(frames.first, None, False)
        gaps[_ANSWER] = _split_gap(frames.answer, False, True)
        gaps[_NEXT] = _split_gap(frames.next, True, False)
        gaps[_END] = (
            _split_gap(frames.last, True, None) if is_answered else _split_gap(frames.prompt, False, None)
        )
        self._glue: str | None = None
        """What stands between a system message and the user's, where both are one text; else None."""
        if frames.system is not None:
            gaps[_SYSTEM] = _split_gap(frames.system.before, None, False)
            if all(part.token is None for part in frames.system.behind):
                self._glue = "".join(part.text for part in frames.system.behind)
            else:
                gaps[_BEHIND_SYSTEM] = _split_gap(frames.system.behind, False, False)
        self._heads, self._tails = [gap.head for gap in gaps], [gap.tail for gap in gaps]
        encoded = [encoder.encode_parts(gap.middle) for gap in gaps]
        self._ids = [ids.tolist() for ids, _ in encoded]
        self._flags = [flags.astype(int).tolist() for _, flags in encoded]

    def read(self, texts: tf.Tensor) -> ReadConversations:
        """string (batch,), UTF-8, each as `split_turns` describes it → their tokens."""
        texts, status = refuse_texts(texts)
        messages = tf.strings.split(texts, SEPARATOR)
        counts, rows = tf.cast(messages.row_lengths(), tf.int32), tf.cast(messages.row_splits, tf.int32)
        number = tf.ragged.range(counts, row_splits_dtype=tf.int32).values
        contents, system = _take_system(messages.flat_values, number)
        status = self._refuse(texts, status, counts, messages.with_flat_values(contents), system)
        is_answer, is_last = number % 2 == 1, number + 1 == tf.repeat(counts, counts)
        contents = tf.where(is_answer, _trim(contents, self._trims[1]), _trim(contents, self._trims[0]))
        return self._put_together(contents, system, (number, is_answer, is_last), rows)._replace(
            status=status
        )

    def _put_together(
        self,
        contents: tf.Tensor,
        system: tf.Tensor,
        places: tuple[tf.Tensor, tf.Tensor, tf.Tensor],
        rows: tf.Tensor,
    ) -> ReadConversations:
        """Messages with what stands around them.

        Args:
            contents: string (messages,).
            system: string (messages,), what stands before the first one; `SYSTEM_END` where nothing does.
            places: (messages,) each: its number in the conversation; whether it is an answer, and the last one.
            rows: int32 (batch + 1,), where each conversation begins.
        """
        number, is_answer, is_last = places
        before = tf.where(number == 0, _FIRST, tf.where(is_answer, _ANSWER, _NEXT))
        behind = tf.where(is_last, _END, tf.where(is_answer, _NEXT, _ANSWER))
        has_system = tf.not_equal(system, SYSTEM_END)
        if self._system is not None:
            system = tf.where(has_system, _trim(system, self._system.trim), "")
            if self._glue is None:
                before = tf.where(has_system, _BEHIND_SYSTEM, before)
                around = self._tails[_SYSTEM], self._heads[_BEHIND_SYSTEM]
                system = tf.where(has_system, tf.strings.join([around[0], system, around[1]]), "")
            else:
                before = tf.where(has_system, _SYSTEM, before)
                contents = tf.where(has_system, tf.strings.join([system, self._glue, contents]), contents)
                system = tf.zeros_like(system)
        else:
            system = tf.zeros_like(system)
        tails, heads = tf.constant(self._tails), tf.constant(self._heads)
        said = tf.strings.join([tf.gather(tails, before), contents, tf.gather(heads, behind)])
        tokens = self._tokenize(tf.concat([system, said], 0)).with_row_splits_dtype(tf.int32)
        count = tf.size(said)
        system_ids, said_ids = tokens[:count], tokens[count:]
        opening = tf.where(tf.equal(before, _BEHIND_SYSTEM), _SYSTEM, _NOTHING)
        closing = tf.where(is_last, _END, _NOTHING)
        kept = tf.concat([_take(self._ids, opening), system_ids, _take(self._ids, before)], 1)
        end = _take(self._ids, closing)
        asked = said_ids.with_flat_values(tf.repeat(tf.cast(is_answer, tf.int32), said_ids.row_lengths()))
        flags = [
            *(_take(self._flags, opening), tf.zeros_like(system_ids), _take(self._flags, before)),
            *(asked, _take(self._flags, closing)),
        ]
        ids, flags = tf.concat([kept, said_ids, end], 1), tf.concat(flags, 1)
        splits = tf.gather(ids.row_splits, rows)
        return ReadConversations(
            ids=tf.RaggedTensor.from_row_splits(ids.values, splits),
            flags=tf.RaggedTensor.from_row_splits(flags.values, splits),
            last=tf.gather(said_ids.row_lengths() + end.row_lengths(), rows[1:] - 1),
            kept=tf.gather(kept.row_lengths(), rows[:-1]),
            status=tf.zeros_like(rows[1:], tf.string),
        )

    def _refuse(
        self,
        texts: tf.Tensor,
        status: tf.Tensor,
        counts: tf.Tensor,
        contents: tf.RaggedTensor,
        system: tf.Tensor,
    ) -> tf.Tensor:
        """The status with what `split_turns` refuses."""
        empty = (tf.strings.strip(contents.flat_values) == "") | (tf.strings.strip(system) == "")
        has_empty = tf.reduce_max(contents.with_flat_values(tf.cast(empty, tf.int32)), 1) > 0
        marked = tf.strings.regex_full_match(texts, r"(?s).*\x00.*")
        has_system = contents.with_flat_values(tf.cast(tf.not_equal(system, SYSTEM_END), tf.int32))
        for reason, refused in (
            (UNPAIRED if self._is_answered else ANSWERED, tf.equal(counts % 2, int(self._is_answered))),
            (EMPTY, has_empty),
            (MARKED, marked),
            (NO_SYSTEM, (tf.reduce_max(has_system, 1) > 0) & (self._system is None)),
        ):
            status = tf.where((status == "") & refused, reason, status)
        return status


def _take_system(messages: tf.Tensor, number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Messages without what stands before the first of a conversation; and that, `SYSTEM_END` where nothing does."""
    has_system = (number == 0) & tf.strings.regex_full_match(messages, rf"(?s)[^{SYSTEM_END}]*{SYSTEM_END}.*")
    system = tf.strings.regex_replace(messages, f"(?s){SYSTEM_END}.*", "", replace_global=False)
    rest = tf.strings.regex_replace(messages, f"^[^{SYSTEM_END}]*{SYSTEM_END}", "", replace_global=False)
    return tf.where(has_system, rest, messages), tf.where(has_system, system, SYSTEM_END)


def _trim(texts: tf.Tensor, trim: Trim) -> tf.Tensor:
    """Texts without white space at these ends."""
    for is_trimmed, pattern in ((trim.left, f"^{_WHITE_SPACE}"), (trim.right, f"{_WHITE_SPACE}$")):
        if is_trimmed:
            texts = tf.strings.regex_replace(texts, pattern, "", replace_global=False)
    return texts


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


def _take(rows: list[list[int]], which: tf.Tensor) -> tf.RaggedTensor:
    table = tf.ragged.constant(rows, tf.int32, ragged_rank=1, row_splits_dtype=tf.int32)
    return tf.gather(table, which)
