"""What is shown of foreign text cannot command a terminal, and JSON stays JSON."""

from __future__ import annotations

import json

import pytest

from kerasft.errors import DataError
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
    assert format_json("\udce9") == '"\\udce9"'


def test_an_error_names_a_place_on_one_line() -> None:
    assert str(DataError("It is empty.", where="a\nb\x1b[2J")) == r"a\nb\x1b[2J: It is empty."
