"""Tables as text."""

from __future__ import annotations

import io
from typing import Any

import pytest

from kerasft.cli.tables import format_cell, format_plain_table, is_terminal, print_table


class Terminal(io.StringIO):
    """A stream that says a person looks at it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch):
    for name in ("NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (1234567, "1,234,567"),
        (0.88349, "0.8835"),
        (0.0, "0.0000"),
        (5e-5, "5e-05"),
        (12345.678, "1.235e+04"),
        (-0.5, "-0.5000"),
        ("[b]", "[b]"),
    ],
)
def test_cells(value: Any, text: str):
    assert format_cell(value) == text


def test_numbers_stand_to_the_right_and_text_to_the_left():
    rows = [["accuracy", 0.5, 1000], ["f1", None, 7]]
    assert format_plain_table("Figures", ["figure", "value", "n"], rows).splitlines() == [
        "Figures",
        "  figure     value      n",
        "  --------  ------  -----",
        "  accuracy  0.5000  1,000",
        "  f1             -      7",
    ]


def test_a_table_without_rows_has_its_columns():
    assert "split" in format_plain_table("", ["split", "rows"], [])


def test_away_from_a_terminal_a_table_is_ascii_without_colour():
    stream = io.StringIO()
    print_table(stream, "T", ["a"], [[1]])
    assert stream.getvalue().isascii()
    assert "\x1b" not in stream.getvalue()


def test_on_a_terminal_markup_in_a_cell_is_shown_as_it_is():
    stream = Terminal()
    print_table(stream, "T", ["a", "b"], [["[red]x[/red]", 1.5]])
    assert "[red]x[/red]" in stream.getvalue()
    assert "1.5000" in stream.getvalue()


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("CI", "true"), ("TERM", "dumb")])
def test_plain_text_can_be_asked_for(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    assert is_terminal(Terminal())
    monkeypatch.setenv(name, value)
    assert not is_terminal(Terminal())
    assert not is_terminal(io.StringIO())


HOSTILE = "a\x1b]0;evil\x07\nb\u202e[red]"
SHOWN = r"a\x1b]0;evil\x07\nb\u202e[red]"


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_no_cell_commands_the_terminal_or_breaks_its_row(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "200")
    print_table(stream, HOSTILE, [HOSTILE], [[HOSTILE]])
    shown = stream.getvalue()
    assert shown.count(SHOWN) == 3
    assert "\x1b]" not in shown
    assert not {"\x07", "\u202e"} & set(shown)
