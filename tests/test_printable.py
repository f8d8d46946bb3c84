"""What is shown of foreign text cannot command a terminal, and JSON stays JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kerasft.errors import DataError
from kerasft.json_values import parse_json
from kerasft.printable import format_json, make_line, make_printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x9b31m\x7f", r"\x9b31m\x7f"),
        ("\u202eevil\u2066", r"\u202eevil\u2066"),
        ("a\rb\u2028c", r"a\rb\u2028c"),
        ("caf\udce9", r"caf\udce9"),
        ("café 人 😀 [red] ن \u200d", "café 人 😀 [red] ن \u200d"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
    ],
)
def test_controls_are_escaped_and_writing_stays(text: str, shown: str) -> None:
    assert make_printable(text) == shown


def test_a_line_stays_one_line() -> None:
    assert make_line("key\nerror: forged\t1") == r"key\nerror: forged\t1"


@pytest.mark.parametrize("ascii_only", [False, True])
def test_json_is_safe_and_says_the_same(ascii_only: bool) -> None:
    value = {"\u202ekey": 'a\x1b\x9b\x7f\u2028\n\t"\\ 人 😀 é'}
    text = format_json(value, ascii_only=ascii_only)
    assert json.loads(text) == value
    assert make_line(text) == text
    assert text.isascii() == ascii_only
    assert format_json("\udce9", ascii_only=ascii_only, keeps_surrogates=True) == '"\\udce9"'


_TEXTS = st.text(st.characters(), max_size=8)  # halves of pairs among them
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)


def escape_halves(value: Any) -> Any:
    """The value with each half of a pair written as six characters."""
    if isinstance(value, str):
        return "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in value)
    if isinstance(value, list):
        return [escape_halves(one) for one in value]
    if isinstance(value, dict):
        return {escape_halves(key): escape_halves(one) for key, one in value.items()}
    return value


@given(value=_VALUES, ascii_only=st.booleans())
@example(value={"command": "caf\udce9 \\\ud83d\ude00 \\\\"}, ascii_only=False)
@example(value={"caf\udce9": ["\ud83d\ude00 😀"]}, ascii_only=True)
def test_what_is_written_as_json_is_read_back_as_it_was_halves_of_characters_aside(
    value: Any, ascii_only: bool
) -> None:
    text = format_json(value, ascii_only=ascii_only)
    assert parse_json(text.encode("utf-8"), Any) == escape_halves(value)


def test_an_error_names_a_place_on_one_line() -> None:
    assert str(DataError("It is empty.", where="a\nb\x1b[2J")) == r"a\nb\x1b[2J: It is empty."
