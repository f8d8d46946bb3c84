"""What a chat template puts around messages, so that conversations can be put together without it.

A served model has no Jinja. Where user and assistant speak in turn, most templates put the same before and after each
message, whatever is said; that is found out by rendering a conversation of words that are easy to find again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kerasft.errors import DataError
from kerasft.text.chat_templates import ASSISTANT, ChatTemplate, Part

SEPARATOR = "\x1e"
"""Between two messages of a conversation that is one text: ASCII's record separator."""
UNPAIRED = "each message of the user needs an answer: there is one without"
EMPTY = "a message is empty"
MARKED = "a message contains a NUL character"
_SPACE = " \t\n\v\f\r"
_WORDS = tuple(f"Zqx{number}Jvw" for number in "123456")


@dataclass(frozen=True)
class ChatFrames:
    """What stands around messages.

    Attributes:
        first: before the first of the user's messages.
        answer: between one of the user's and the assistant's answer.
        next: between an answer and the user's next message.
        last: behind the last answer.
        trims: whether spaces at the ends of a user's message, and of an answer, are left out.
    """

    first: tuple[Part, ...]
    answer: tuple[Part, ...]
    next: tuple[Part, ...]
    last: tuple[Part, ...]
    trims: tuple[bool, bool]


def take_turns(contents: Sequence[str]) -> list[tuple[str, str]]:
    """A conversation of messages of which the user says the first, the assistant the second, and so on."""
    return [(("user", ASSISTANT)[number % 2], content) for number, content in enumerate(contents)]


def split_turns(text: str) -> list[tuple[str, str]]:
    """A conversation that is one text.

    Raises:
        DataError: a message has no answer, or is empty.
    """
    contents = text.split(SEPARATOR)
    for reason, is_so in (
        (UNPAIRED, len(contents) % 2 == 1),
        (EMPTY, not all(content.strip(_SPACE) for content in contents)),
        (MARKED, "\0" in text),
    ):
        if is_so:
            raise DataError(reason, fix="Separate the user's and the assistant's messages by U+001E.")
    return take_turns(contents)


def join_turns(messages: Sequence[tuple[str, str]]) -> str:
    """The beginning of a conversation as `split_turns` reads it, as far as user and assistant speak in turn; what comes
    before is left out. Empty where they never do."""
    first = next((number for number, (role, _) in enumerate(messages) if role == "user"), len(messages))
    contents: list[str] = []
    for (asks, question), (answers, answer) in zip(
        messages[first::2], messages[first + 1 :: 2], strict=False
    ):
        pair = [content.replace(SEPARATOR, " ") for content in (question, answer)]
        if (asks, answers) != ("user", ASSISTANT) or not all(content.strip(_SPACE) for content in pair):
            break
        contents += pair
    return SEPARATOR.join(contents)


def find_frames(template: ChatTemplate) -> ChatFrames:
    """What a template puts around messages.

    Raises:
        DataError: it is not the same in all places, or depends on what is said.
    """
    before, answer, following, *rest = _find_gaps(template, _WORDS)
    short = _find_gaps(template, _WORDS[:2])
    if rest != [answer, following, answer, short[-1]] or short[:2] != [before, answer]:
        raise _refuse()
    spaced = _render(template, [f"  {word}  " for word in _WORDS[:2]])
    trims = tuple(f"  {word}  " not in spaced for word in _WORDS[:2])
    return ChatFrames(tuple(before), tuple(answer), tuple(following), tuple(short[-1]), (trims[0], trims[1]))


def _render(template: ChatTemplate, contents: Sequence[str]) -> str:
    return "".join(part.text for part in template.build(take_turns(contents)))


def _find_gaps(template: ChatTemplate, words: Sequence[str]) -> list[list[Part]]:
    """What stands before, between and behind the words of a conversation."""
    gaps: list[list[Part]] = [[]]
    waiting = list(words)
    for part in template.build(take_turns(words)):
        while waiting and waiting[0] in part.text:
            text, _, rest = part.text.partition(waiting.pop(0))
            gaps[-1].append(part._replace(text=text))
            gaps.append([])
            part = part._replace(text=rest)
        if any(word in part.text for word in words):
            raise _refuse()
        gaps[-1].append(part)
    if waiting:
        raise _refuse()
    return [[part for part in gap if part.text or part.token is not None] for gap in gaps]


def _refuse() -> DataError:
    return DataError(
        "the chat template does not put the same around each message: a conversation cannot be put together without it",
        where="export",
        fix="Leave the section export out: the model answers kerasft predict and kerasft generate.",
    )
