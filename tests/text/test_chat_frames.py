"""What a chat template puts around messages, where that is always the same."""

from __future__ import annotations

import pytest

from kerasft.errors import DataError
from kerasft.text.chat_frames import find_frames, join_turns, split_turns
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


@pytest.mark.parametrize(("source", "trims"), [(TAGGED, (False, False)), (INSTRUCTED, (True, True))])
def test_frames_put_a_conversation_together_as_the_template_does(
    source: str, trims: tuple[bool, bool]
) -> None:
    template = read(source)
    frames = find_frames(template)
    assert frames.trims == trims
    words = [Part(content, None, role == "assistant") for role, content in TURNS]
    gaps = [frames.first, frames.answer, frames.next, frames.answer, frames.last]
    joined = [*gaps[0]]
    for word, gap in zip(words, gaps[1:], strict=True):
        joined += [word, *gap]

    def spell(parts: list[Part]) -> list[tuple[str | int, bool]]:
        return [
            (each, part.is_said)
            for part in parts
            for each in (part.text if part.token is None else [part.token])
        ]

    assert spell(joined) == spell(template.build(TURNS))


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
    assert join_turns([("system", "Be kind."), *TURNS[:2], ("assistant", "x")]) == "One?\x1eYes."
    assert join_turns([("assistant", "Hi.")]) == join_turns([("user", " "), ("assistant", "Hi.")]) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("One?", "needs an answer"),
        ("", "needs an answer"),
        ("a\x1e\n", "is empty"),
        ("a\0\x1eb", "NUL character"),
    ],
)
def test_what_is_no_conversation_is_refused(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_turns(text)
