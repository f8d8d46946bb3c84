"""What a model goes on from: prompts where prompts stood in the training, and conversations that it is to answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import ClassVar

import tensorflow as tf

from kerasft.data.kinds.chat import parse_messages
from kerasft.data.kinds.fields import InvalidValue
from kerasft.errors import DataError
from kerasft.tasks.causal_lm.conversations import ConversationReader
from kerasft.tasks.causal_lm.encoding import Encoder
from kerasft.text.chat_frames import SEPARATOR, find_frames, split_turns, takes_system
from kerasft.text.chat_templates import ASSISTANT, ChatTemplate, Message, Part
from kerasft.text.generation.prompts import Prompt, PromptReader, Prompts, brings_spaces, fit_prompts
from kerasft.text.raw import check_raw_text
from kerasft.text.tokenizers.base import ABSENT

_WORDS = ("Zqx7Jvw", "Zqx8Jvw")
"""That no chat template contains, and no message."""


class ConversationPrompts(PromptReader):
    """Reads conversations that the assistant is to answer.

    From Python the chat template puts them together, in a graph what `find_frames` found of it. A text is the user's
    message, or a conversation as `split_turns` describes it.

    Args:
        encoder: of conversations.
    """

    takes: ClassVar[str] = (
        "`prompt`, a batch of conversations, each one raw UTF-8 string: the user's message; or the user's message, the "
        "assistant's answer and so on up to a message of the user, separated by the character U+001E. A system "
        "message may stand before the first of them, with the character U+001D behind it"
    )
    limits: ClassVar[str] = "A longer conversation loses what follows its system message"
    probes: ClassVar[tuple[str | bytes, ...]] = (
        *PromptReader.probes,
        "Hi.\x1eHello!\x1eWho are you?",
        "Be brief.\x1dHi.",
        " Be\u00a0brief.\u3000\x1d\u00a0Hi.\n\x1e \u2003Hello!\t\x1e\x1dWho? ",
        "Hi.\x1eHello!",
        "\x1dHi.",
        "Hi.\x1e \x1eWho?",
        "<|im_start|>\x1dword \x1e<|im_end|>\x1e" + "word " * 700,
    )

    def __init__(self, encoder: Encoder):
        super().__init__(encoder.tokenizer, encoder.context)
        assert encoder.template is not None
        self._encoder, self._template = encoder, encoder.template

    @cached_property
    def _conversations(self) -> ConversationReader:
        with (
            tf.init_scope()
        ):  # it tokenizes what stands around messages, and a graph may be the first to ask for it
            return ConversationReader(self._encoder, find_frames(self._template), is_answered=False)

    @cached_property
    def _takes_system(self) -> bool:
        return takes_system(self._template)

    def read(self, prompts: tf.Tensor) -> Prompts:
        """string (batch,), UTF-8 → the prompts.

        Raises:
            DataError: conversations cannot be put together without their template.
        """
        with tf.device("CPU:0"):
            read = self._conversations.read(prompts)
            return self._fit(read.ids, read.kept, read.status)

    def read_any(self, prompts: Sequence[Prompt]) -> Prompts:
        rows = [self._read_one(prompt) for prompt in prompts]
        with tf.device("CPU:0"):
            ids = tf.ragged.constant([ids for ids, _, _ in rows], tf.int32, 1, row_splits_dtype=tf.int32)
            kept, status = tf.constant([kept for _, kept, _ in rows]), tf.constant([why for *_, why in rows])
            return self._fit(ids, kept, status)

    def make_prompt(self, text: str) -> str:
        """The conversation up to the last message of the user, of one that ends with an answer."""
        return text.rpartition(SEPARATOR)[0]

    def _fit(self, ids: tf.RaggedTensor, kept: tf.Tensor, status: tf.Tensor) -> Prompts:
        starts_word = tf.fill(tf.shape(status), brings_spaces(self._tokenizer))
        return fit_prompts(ids, kept, self.context, starts_word, status)

    def _read_one(self, prompt: Prompt) -> tuple[list[int], int, str]:
        """A prompt's tokens, how many of the first ones stay, and why it is refused."""
        try:
            messages = self._read_messages(prompt)
            parts = self._template.build_prompt(messages)
        except DataError as error:
            return [], 0, error.what
        ids, _ = self._encoder.encode_parts(parts)
        opening, _ = self._encoder.encode_parts(parts[: self._count_opening(messages, parts)])
        return ids.tolist(), len(opening), ""

    def _read_messages(self, prompt: Prompt) -> Sequence[Message]:
        if isinstance(prompt, str | bytes):
            if refused := check_raw_text(prompt):
                raise DataError(refused)
            text = prompt.decode("utf-8") if isinstance(prompt, bytes) else prompt
            return split_turns(text, is_answered=False, takes_system=self._takes_system)
        try:
            return parse_messages(prompt, is_answered=False)
        except InvalidValue as error:
            what = f"{error.reason}: {error.detail}" if error.detail else error.reason
            raise DataError(what) from error

    def _count_opening(self, messages: Sequence[Message], parts: Sequence[Part]) -> int:
        """How many parts stand before the first of the user's messages: a system message, say."""
        roles = [role for role, _ in messages]
        if "user" not in roles:
            return 0
        place = roles.index("user")
        changed = [*messages[:place], ("user", _WORDS[0]), *messages[place + 1 :]]
        try:
            others = self._template.build_prompt(changed)
        except DataError:
            return 0
        pairs = enumerate(zip(parts, others, strict=False))
        return next((number for number, (part, other) in pairs if part != other), 0)


def make_prompt_reader(encoder: Encoder) -> PromptReader | None:
    """What reads prompts as the model learned them: conversations, or where completions were learned, texts behind the
    token with which a text begins. None: texts, with what the tokenizer puts before any text."""
    if encoder.template is not None:
        return ConversationPrompts(encoder)
    if encoder.kind == "completion":
        before = [] if encoder.begin == ABSENT else [encoder.begin]
        return PromptReader(encoder.tokenizer, encoder.context, before, starts_text=True)
    return None


def find_ends(encoder: Encoder) -> tuple[int, ...]:
    """The tokens at which what the model writes ends: the tokenizer's, and the one behind an answer."""
    ends = [] if encoder.end == ABSENT else [encoder.end]
    if encoder.template is not None:
        ends += _list_ends_of_answers(encoder.template)
    return tuple(dict.fromkeys(ends))


def _list_ends_of_answers(template: ChatTemplate) -> list[int]:
    parts = template.build([("user", _WORDS[0]), (ASSISTANT, _WORDS[1])])
    said = next((number for number, part in enumerate(parts) if _WORDS[1] in part.text), len(parts))
    return [part.token for part in parts[said + 1 :] if part.token is not None and part.is_said][:1]
