"""What a chat template puts around messages, so that conversations can be put together without it.

A served model has no Jinja. Where user and assistant speak in turn, most templates put the same before and after each
message, whatever is said; that is found out by rendering a conversation of words that are easy to find again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kerasft.errors import DataError
from kerasft.text.chat_templates import ASSISTANT, ChatTemplate, Message, Part

SEPARATOR = "\x1e"
"""Between two messages of a conversation that is one text: ASCII's record separator."""
SYSTEM_END = "\x1d"
"""Behind a system message, which stands before the first of the user's: ASCII's group separator."""
SYSTEM = "system"
UNPAIRED = "each message of the user needs an answer: there is one without"
ANSWERED = "the last message is the assistant's: there is none to answer"
EMPTY = "a message is empty"
MARKED = "a message contains a NUL character"
NO_SYSTEM = "this model's chat template takes no system message"
_SPACE = " \t\n\v\f\r"
_WORDS = tuple(f"Zqx{number}Jvw" for number in "123456")
_SYSTEM_WORD = "Zqx7Jvw"
_EDGES = "\n\t {} \t\n"
"""White space around a word that no template puts there itself."""


class Trim(NamedTuple):
    """At which ends of a message white space is left out."""

    left: bool
    right: bool


@dataclass(frozen=True)
class SystemFrame:
    """What stands around a system message.

    Attributes:
        before: it.
        behind: it, up to the first of the user's messages.
        trim: of its white space.
    """

    before: tuple[Part, ...]
    behind: tuple[Part, ...]
    trim: Trim


@dataclass(frozen=True)
class ChatFrames:
    """What stands around messages.

    Attributes:
        first: before the first of the user's messages, where there is no system message.
        answer: between one of the user's and the assistant's answer.
        next: between an answer and the user's next message.
        last: behind the last answer.
        prompt: behind the last of the user's messages, where the assistant is to answer it.
        trims: of white space, in the user's messages and in answers.
        system: around a system message; None where the template takes none, or puts it elsewhere.
    """

    first: tuple[Part, ...]
    answer: tuple[Part, ...]
    next: tuple[Part, ...]
    last: tuple[Part, ...]
    prompt: tuple[Part, ...]
    trims: tuple[Trim, Trim]
    system: SystemFrame | None


def take_turns(contents: Sequence[str]) -> list[Message]:
    """A conversation of messages of which the user says the first, the assistant the second, and so on."""
    return [(("user", ASSISTANT)[number % 2], content) for number, content in enumerate(contents)]


def split_turns(text: str, *, is_answered: bool = True, takes_system: bool = True) -> list[Message]:
    """A conversation that is one text: the user's message, the assistant's answer and so on, with `SEPARATOR` between
    them; before the first there may be a system message with `SYSTEM_END` behind it.

    Args:
        text: the conversation.
        is_answered: whether the assistant says the last message, or is to answer it.
        takes_system: whether there may be a system message.

    Raises:
        DataError: the wrong one says the last message, a message is empty, or one is not allowed.
    """
    contents = text.split(SEPARATOR)
    system, mark, rest = contents[0].partition(SYSTEM_END)
    if mark:
        contents[0] = rest
    spoken = [system, *contents] if mark else contents
    for reason, is_so in (
        (UNPAIRED if is_answered else ANSWERED, len(contents) % 2 == is_answered),
        (EMPTY, not all(content.strip(_SPACE) for content in spoken)),
        (MARKED, "\0" in text),
        (NO_SYSTEM, bool(mark) and not takes_system),
    ):
        if is_so:
            raise DataError(reason, fix="Separate the user's and the assistant's messages by U+001E.")
    return [(SYSTEM, system)] * bool(mark) + take_turns(contents)


def join_turns(messages: Sequence[Message], *, takes_system: bool = True) -> str:
    """The beginning of a conversation as `split_turns` reads it, as far as user and assistant speak in turn; what comes
    before is left out, but for a system message, if it is taken. Empty where they never do."""
    first = next((number for number, (role, _) in enumerate(messages) if role == "user"), len(messages))
    contents: list[str] = []
    for (asks, question), (answers, answer) in zip(
        messages[first::2], messages[first + 1 :: 2], strict=False
    ):
        pair = [_unmark(content) for content in (question, answer)]
        if (asks, answers) != ("user", ASSISTANT) or not all(content.strip(_SPACE) for content in pair):
            break
        contents += pair
    joined = SEPARATOR.join(contents)
    before = messages[:first]
    if takes_system and joined and len(before) == 1 and before[0][0] == SYSTEM:
        system = _unmark(before[0][1])
        return f"{system}{SYSTEM_END}{joined}" if system.strip(_SPACE) else joined
    return joined


def _unmark(content: str) -> str:
    return content.replace(SEPARATOR, " ").replace(SYSTEM_END, " ")


def find_frames(template: ChatTemplate) -> ChatFrames:
    """What a template puts around messages.

    Raises:
        DataError: it is not the same in all places, or depends on what is said.
    """
    turns = take_turns(_WORDS)
    before, answer, following, *rest = _find_gaps(template.build, turns)
    short = _find_gaps(template.build, turns[:2])
    prompt = _find_gaps(template.build_prompt, turns[:1])
    last, ask = short[-1], prompt[-1]
    if (
        rest != [answer, following, answer, last]
        or short[:2] != [before, answer]
        or prompt[0] != before
        or _find_gaps(template.build_prompt, turns[:3]) != [before, answer, following, ask]
    ):
        raise _refuse()
    user, assistant = _find_trims(template, turns[:2])
    gaps = [answer, following, answer, following, answer, last]
    return ChatFrames(
        first=tuple(before),
        answer=tuple(answer),
        next=tuple(following),
        last=tuple(last),
        prompt=tuple(ask),
        trims=(user, assistant),
        system=_find_system_frame(template, turns, gaps, ask),
    )


def takes_system(template: ChatTemplate) -> bool:
    """Whether a conversation that is one text may have a system message; True where none can be put together."""
    try:
        return find_frames(template).system is not None
    except DataError:
        return True


def _find_system_frame(
    template: ChatTemplate, turns: Sequence[Message], gaps: list[list[Part]], ask: list[Part]
) -> SystemFrame | None:
    """What stands around a system message, where all else stays as it is without one.

    Args:
        template: of the conversation.
        turns: of user and assistant.
        gaps: what stands behind each of these.
        ask: what stands behind the last of the user's, where it is to be answered.
    """
    system = (SYSTEM, _SYSTEM_WORD)
    try:
        before, behind, *rest = _find_gaps(template.build, [system, *turns])
        asked = _find_gaps(template.build_prompt, [system, turns[0]])
        (trim, *_) = _find_trims(template, [system, *turns[:2]])
    except DataError:
        return None
    if rest != gaps or asked != [before, behind, ask]:
        return None
    return SystemFrame(tuple(before), tuple(behind), trim)


def _find_trims(template: ChatTemplate, messages: Sequence[Message]) -> list[Trim]:
    """At which ends each message loses white space."""
    spaced = [(role, _EDGES.format(word)) for role, word in messages]
    rendered = "".join(part.text for part in template.build(spaced))
    left, right = _EDGES.split("{}")
    return [Trim(f"{left}{word}" not in rendered, f"{word}{right}" not in rendered) for _, word in messages]


def _find_gaps(
    build: Callable[[Sequence[Message]], list[Part]], messages: Sequence[Message]
) -> list[list[Part]]:
    """What stands before, between and behind the messages of a conversation, each of them a word."""
    words = [word for _, word in messages]
    gaps: list[list[Part]] = [[]]
    waiting = list(words)
    for part in build(messages):
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
