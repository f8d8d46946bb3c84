"""Chat templates: special tokens, what the assistant says, and templates that are refused."""

from __future__ import annotations

import pytest

from kerasft.errors import DataError, PresetError
from kerasft.text.chat_templates import ChatTemplate, Part

TOKENS = {"<|start|>": 1, "<|end|>": 2, "</s>": 3}
MARKUP = r"""{% for message in messages %}
    {% if loop.first and message.role != 'system' %}
        {{- '<|start|>system\nBe kind.<|end|>\n' }}
    {%- endif %}
    {{- '<|start|>' + message.role + '\n' + message.content | trim + '<|end|>\n' }}
{%- endfor %}
{% if add_generation_prompt %}
    {{- '<|start|>assistant\n' }}
{%- endif %}"""
DOUBLING = "{{% set ns = namespace(x='xx') %}}{{% for i in range(60) %}}{{% set ns.x = {} %}}{{% endfor %}}"
TURNS = [("user", "One?"), ("assistant", "Yes."), ("user", "Two?"), ("assistant", "No.")]


def show(parts: list[Part], *, said: bool | None = None) -> str:
    names = {place: token for token, place in TOKENS.items()}
    chosen = [part for part in parts if said is None or part.is_said == said]
    return "".join(part.text if part.token is None else names[part.token] for part in chosen)


@pytest.fixture(scope="module")
def template() -> ChatTemplate:
    return ChatTemplate(MARKUP, TOKENS, {"eos_token": "</s>"})


def test_a_conversation_is_rendered_as_its_template_says(template: ChatTemplate) -> None:
    # blocks leave neither their own line ends nor the spaces before them
    assert show(template.build(TURNS[:2])) == (
        "<|start|>system\nBe kind.<|end|>\n<|start|>user\nOne?<|end|>\n<|start|>assistant\nYes.<|end|>\n"
    )
    assert show(template.build_prompt([("user", " Two?")])).endswith("Two?<|end|>\n<|start|>assistant\n")


def test_what_the_assistant_says_is_each_answer_and_its_end(template: ChatTemplate) -> None:
    parts = template.build(TURNS)
    assert show(parts, said=True) == "Yes.<|end|>No.<|end|>"
    assert show(parts, said=False).endswith("Two?<|end|>\n<|start|>assistant\n\n")
    assert [part.token for part in parts if part.is_said] == [None, 2, None, 2]


def test_an_end_without_a_special_token_is_said_whole() -> None:
    parts = ChatTemplate(
        "{% for m in messages %}{{ m.role }}: {{ m.content }};{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}",
        {},
        {},
    ).build(TURNS[:2])
    assert parts == [Part("user: One?;assistant: ", None, False), Part("Yes.;", None, True)]


def test_special_tokens_that_a_message_spells_are_text(template: ChatTemplate) -> None:
    parts = template.build([("user", "<|end|> is <<|end|>|end|>"), ("assistant", "</s>")])
    assert [part.text for part in parts if " is " in part.text] == ["user\n<|end|> is <<|end|>|end|>"]
    assert [part for part in parts if part.is_said and part.text] == [Part("</s>", None, True)]
    assert [part.token for part in parts if part.token] == [1, 2, 1, 2, 1, 2]


def test_what_templates_of_presets_use_is_there() -> None:
    source = (
        "{%- set ns = namespace(n=0) -%}{% for m in messages %}{% set ns.n = ns.n + 1 %}"
        "{{ loop.index0 % 2 }}{{ m['content'] | trim | replace('?', '!') ~ ns.n }}{{ '-' * 2 }}"
        "{{ m.content.split('.')[-1].lstrip('\n') + ',' }}{{ [m.role, 'x'] | join('/') }}{{ {'a': 'é'} | tojson }}"
        "{{ ' '.join(['a', 'b']) }}{{ '{}:{}'.format('k', 1) }}{{ 'a\nb' | indent(2) }}{% break %}{% endfor %}"
    )
    (part,) = ChatTemplate(source, {}, {}).build_prompt([("user", " Eh. Oh? ")])
    assert part.text == '0Eh. Oh!1-- Oh? ,user/x{"a": "é"}a bk:1a\n  b'


def test_names_of_special_tokens_can_be_used() -> None:
    parts = ChatTemplate(
        "{{ messages[0].content }}{{ eos_token }}", TOKENS, {"eos_token": "</s>"}
    ).build_prompt([("user", "Hm")])
    assert parts == [Part("Hm", None, False), Part("", 3, False)]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ raise_exception('roles must alternate') }}", "refuses the conversation: roles must alternate"),
        ("{{ messages[7].content.x.y }}", "cannot render"),
        ("{{ messages.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{{ 'x' * 1000000000 }}", "too large"),
        ("{{ 9 ** 999999999 }}", r"computes with \*\*"),
        ("{{ '%999999999s' % 'x' }}", "computes with %"),
        ("{{ 'x'.ljust(999999999) }}", "too long"),
        ("{{ ('x' * 99999).replace('x', 'y' * 9999) }}", "too long"),
        ("{{ 'x'.translate({120: 'y' * 99999}).translate({121: 'z' * 99999}) }}", "too long"),
        ("{{ '{:>999999999}'.format('x') }}", "too large"),
        ("{{ '{:>{}}'.format('x', 999999999) }}", "too long"),
        ("{{ range(99999) | map('string') | join('x' * 9999) }}", "too long"),
        ("{{ ('x' * 9999).join(range(99999) | map('string')) }}", "too long"),
        ("{{ 'x' | indent(999999999) }}", "too long"),
        ("{{ ('x' * 99999) | replace('x', 'y' * 9999) }}", "too long"),
        ("{{ [1] | tojson(indent=999999999) }}", "indents by too much"),
        (DOUBLING.format("ns.x ~ ns.x"), "too long"),
        (DOUBLING.format("ns.x + ns.x"), "too long"),
        (DOUBLING.format("ns.x.join([ns.x, ns.x])"), "too long"),
        ("{% for i in range(99999) %}{{ 'twenty characters ---' }}{% endfor %}", "adds more than 1,048,576"),
        ("{{ messages[0].content }}{{ messages | length }}", "otherwise than the whole"),
    ],
)
def test_what_a_template_may_not_do_is_refused(source: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ChatTemplate(source, {}, {}).build(TURNS)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% for %}", "cannot be read"),
        ("x" * 300_000, "300,000 characters"),
        ("{{ 'x' | center(9) }}", "No filter named"),
        ("{% include 'x' %}", None),
    ],
)
def test_what_is_no_template_is_refused(source: str, message: str | None) -> None:
    if message is None:
        with pytest.raises(DataError, match="cannot render"):
            ChatTemplate(source, {}, {}).build(TURNS)
        return
    with pytest.raises(PresetError, match=message):
        ChatTemplate(source, {}, {})
