"""What a chat template puts around messages, where that is always the same."""

from __future__ import annotations

import pytest

from kerasft.errors import DataError
from kerasft.text.chat_frames import Trim, find_frames, join_turns, split_turns
from kerasft.text.chat_templates import ChatTemplate, Part

TOKENS = {"<s>": 1, "</s>": 2}
TURNS = [("user", "One?"), ("assistant", "Yes."), ("user", "Two?"), ("assistant", "No.")]
TAGGED = (
    "{% for m in messages %}{% if loop.first %}Be kind.{{ bos_token }}{% endif %}{{ m.role }}:{{ m.content }}</s>\n"
    "{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
)
INSTRUCTED = (
    "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + m.content | trim + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content | trim + ' ' + eos_token }}{% endif %}{% endfor %}"
)


def read(source: str) -> ChatTemplate:
    return ChatTemplate(source, TOKENS, {"bos_token": "<s>", "eos_token": "</s>"})


LLAMA_2 = (
    "{% if messages[0].role == 'system' %}{% set system = '<<SYS>>\n' + messages[0].content + '\n<</SYS>>\n\n' %}"
    "{% set messages = messages[1:] %}{% else %}{% set system = '' %}{% endif %}{% for m in messages %}"
    "{% if m.role == 'user' %}{{ bos_token + '[INST] ' + (system if loop.first else '') + m.content + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}{% endfor %}"
)
SYSTEM = ("system", "Be brief.")


def spell(parts: list[Part]) -> list[tuple[str | int, bool]]:
    """Each character or special token, and whether the assistant says it."""
    return [
        (each, part.is_said) for part in parts for each in (part.text if part.token is None else [part.token])
    ]


@pytest.mark.parametrize(
    ("source", "trim"),
    [
        (TAGGED, Trim(False, False)),
        (INSTRUCTED, Trim(True, True)),
        (INSTRUCTED.replace("| trim", ".rstrip()").replace("m.content .r", "m.content.r"), Trim(False, True)),
    ],
)
def test_frames_put_a_conversation_together_as_the_template_does(source: str, trim: Trim) -> None:
    template = read(source)
    frames = find_frames(template)
    assert frames.trims == (trim, trim)
    words = [Part(content, None, role == "assistant") for role, content in TURNS]
    gaps = [frames.first, frames.answer, frames.next, frames.answer, frames.last]
    joined = [*gaps[0]]
    for word, gap in zip(words, gaps[1:], strict=True):
        joined += [word, *gap]

    assert spell(joined) == spell(template.build(TURNS))
    asked = [*frames.first, words[0], *frames.answer, words[1], *frames.next, words[2], *frames.prompt]
    assert spell(asked) == spell(template.build_prompt(TURNS[:3]))


@pytest.mark.parametrize("source", [TAGGED, LLAMA_2])
def test_a_system_message_stands_before_all_others(source: str) -> None:
    template = read(source)
    frames = find_frames(template)
    system, user = (Part(content, None, False) for _, content in (SYSTEM, TURNS[0]))
    assert frames.system is not None
    asked = [*frames.system.before, system, *frames.system.behind, user, *frames.prompt]
    assert spell(asked) == spell(template.build_prompt([SYSTEM, TURNS[0]]))


@pytest.mark.parametrize(
    "source",
    [
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + TAGGED,
        # behind each of the user's messages
        INSTRUCTED.replace("{% if m.role", "{% if m.role == 'system' %}{% elif m.role").replace(
            "m.content | trim + ' [/",
            "m.content + (messages[0].content if messages[0].role == 'system' else '') + ' [/",
        ),
    ],
)
def test_a_template_may_take_no_system_message(source: str) -> None:
    assert find_frames(read(source)).system is None
    with pytest.raises(DataError, match="takes no system message"):
        split_turns("Be brief.\x1dHi.\x1eHello!", takes_system=False)


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages | length }}" + TAGGED.replace("Be kind.", ""),
        TAGGED.replace("{{ m.role }}", "{{ loop.index }}{{ m.role }}"),
        TAGGED.replace("{{ m.content }}", "{{ m.content | upper }}"),
        TAGGED.replace("{{ m.content }}", "{{ m.content + m.content }}"),
    ],
)
def test_a_template_that_is_not_always_the_same_is_refused(source: str) -> None:
    with pytest.raises(DataError, match=r"does not put the same|otherwise than the whole"):
        find_frames(read(source))


def test_a_conversation_as_one_text() -> None:
    assert split_turns(join_turns(TURNS)) == TURNS
    spoken = [("system", "Be kind."), *TURNS[:2], ("assistant", "x")]
    assert join_turns(spoken, takes_system=False) == "One?\x1eYes."
    assert split_turns(join_turns(spoken)) == spoken[:3]
    assert split_turns(join_turns([("user", "a\x1db\x1ec"), TURNS[1]])) == [("user", "a b c"), TURNS[1]]
    assert split_turns("Be kind.\x1da\x1db\x1ec\x1dd\x1ee", is_answered=False) == [
        ("system", "Be kind."),
        *(("user", "a\x1db"), ("assistant", "c\x1dd"), ("user", "e")),
    ]
    assert join_turns([("assistant", "Hi.")]) == join_turns([("user", " "), ("assistant", "Hi.")]) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("One?", "needs an answer"),
        ("", "needs an answer"),
        ("a\x1e\n", "is empty"),
        (" \x1da\x1eb", "is empty"),
        ("a\x1d\x1eb", "is empty"),
        ("a\0\x1eb", "NUL character"),
    ],
)
def test_what_is_no_conversation_is_refused(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_turns(text)


def test_a_conversation_that_ends_with_an_answer_asks_nothing() -> None:
    with pytest.raises(DataError, match="none to answer"):
        split_turns("One?\x1eYes.", is_answered=False)
