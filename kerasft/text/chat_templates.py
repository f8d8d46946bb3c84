"""Chat templates: from a conversation to a text with special tokens, and which of it the assistant says.

A template is data of a preset: Jinja in a sandbox, bounded in length, output and the texts that it makes on the way,
though not in time. It is given messages alone, neither the time nor tools.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from kerasft.errors import DataError, PresetError

ASSISTANT = "assistant"
Message = tuple[str, str]
"""Role and content."""
_MAX_TEMPLATE = 1 << 18
_MAX_ADDED = 1 << 20
"""Characters of a template; and those that one may add to what is said, or repeat a text to."""
_MARK = "\0"
"""Stands inside of special tokens that a message spells out, while it is rendered: no message contains it."""


class Part(NamedTuple):
    """A stretch of a rendered conversation.

    Attributes:
        text: of words; empty for a special token.
        token: the special token's id; None for words.
        is_said: whether the assistant says it, and a model learns it.
    """

    text: str
    token: int | None
    is_said: bool


class ChatTemplate:
    """Renders conversations as a preset's authors do.

    Args:
        source: the template, in Jinja.
        tokens: special tokens, as they are spelled in it, and their ids.
        names: `bos_token`, `eos_token` and the like → how they are spelled, for the template to use.

    Raises:
        PresetError: it is no such template.
    """

    def __init__(self, source: str, tokens: Mapping[str, int], names: Mapping[str, str]):
        import jinja2

        from kerasft.text.chat_sandbox import build_environment

        if len(source) > _MAX_TEMPLATE:
            raise PresetError(f"The chat template has {len(source):,} characters; at most {_MAX_TEMPLATE:,}.")
        self._tokens, self._names = dict(tokens), dict(names)
        try:
            self._template = build_environment().from_string(source)
        except jinja2.TemplateError as error:
            raise PresetError(f"The chat template cannot be read: {error}") from error
        # a token of one character cannot be told from text
        spelled = sorted((token for token in tokens if len(token) > 1), key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, spelled)) or "(?!)")

    def build(self, messages: Sequence[Message]) -> list[Part]:
        """A conversation's parts, in their order.

        What the assistant says is found by rendering the conversation up to each of its messages, and with it; its end
        is part of it, where the template puts a special token there.

        Raises:
            DataError: the template refuses the conversation, or renders its beginning otherwise than the whole.
        """
        whole = self.render(messages)
        return self._split_at(whole, self._find_answers(messages, whole))

    def build_prompt(self, messages: Sequence[Message]) -> list[Part]:
        """The parts of a conversation that the assistant is to continue; its earlier answers are what `build` makes of
        them, where that can tell them from the rest.

        Raises:
            DataError: the template refuses the conversation.
        """
        whole = self.render(messages, add_generation_prompt=True)
        try:
            edges = self._find_answers(messages, whole)
        except DataError:
            edges = []
        return self._split_at(whole, edges)

    def _find_answers(self, messages: Sequence[Message], whole: str) -> list[int]:
        """Where in a rendered conversation each of the assistant's turns begins and ends.

        Raises:
            DataError: the template renders the beginning otherwise than the whole, or refuses it.
        """
        edges: list[int] = []
        for number, (role, content) in enumerate(messages):
            if role != ASSISTANT or not content:
                continue
            before = self.render(messages[:number], add_generation_prompt=True)
            after = self.render(messages[: number + 1])
            is_whole = whole.startswith(after) and after.startswith(before)
            if not is_whole or len(before) < (edges[-1] if edges else 0):
                raise DataError(
                    "the chat template renders the beginning of a conversation otherwise than the whole: what the "
                    f"assistant says in message {number + 1} cannot be told from the rest",
                    fix="Train on conversations of one answer each, or on prompts and completions "
                    "(task: {input: completion}).",
                )
            edges += [len(before), self._find_end(whole, len(before), len(after))]
        return edges

    def _split_at(self, whole: str, edges: Sequence[int]) -> list[Part]:
        """The parts of a rendered conversation: between the edges lies in turn what others and the assistant say."""
        return [
            part
            for place, (start, stop) in enumerate(itertools.pairwise([0, *edges, len(whole)]))
            for part in self._split(whole[start:stop], place % 2 == 1)
        ]

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool = False) -> str:
        """A conversation as one text, special tokens spelled out; those that a message spells hold a mark.

        Raises:
            DataError: the template refuses it, cannot render it, or adds too much.
        """
        import jinja2

        from kerasft.text.chat_sandbox import RefusedConversation

        broken = [{"role": self._break(role), "content": self._break(content)} for role, content in messages]
        most = _MAX_ADDED + 4 * sum(len(message["content"]) for message in broken)
        rendered, size = [], 0
        try:
            for piece in self._template.generate(
                messages=broken, add_generation_prompt=add_generation_prompt, **self._names
            ):
                rendered.append(piece)
                size += len(piece)
                if size > most:
                    raise DataError(f"the chat template adds more than {_MAX_ADDED:,} characters")
        except RefusedConversation as error:
            raise DataError(f"the chat template refuses the conversation: {str(error)[:300]}") from error
        except (jinja2.TemplateError, TypeError, ValueError, LookupError, ArithmeticError) as error:
            what = f"the chat template cannot render the conversation: {str(error)[:300]}"
            raise DataError(what) from error
        return "".join(rendered)

    def _break(self, text: str) -> str:
        while self._special.search(text):
            text = self._special.sub(lambda match: f"{match[0][0]}{_MARK}{match[0][1:]}", text)
        return text

    def _find_end(self, whole: str, start: int, stop: int) -> int:
        """Where the assistant's turn ends: behind its last special token, if nothing but space follows it."""
        ends = [match.end() for match in self._special.finditer(whole, start, stop)]
        return ends[-1] if ends and not whole[ends[-1] : stop].strip() else stop

    def _split(self, text: str, is_said: bool) -> list[Part]:
        parts, start = [], 0
        for match in self._special.finditer(text):
            parts += [Part(text[start : match.start()], None, is_said)]
            parts += [Part("", self._tokens[match[0]], is_said)]
            start = match.end()
        parts.append(Part(text[start:], None, is_said))
        return [
            part._replace(text=part.text.replace(_MARK, ""))
            for part in parts
            if part.text or part.token is not None
        ]
