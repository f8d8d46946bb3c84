"""Texts with their entities marked, as HTML and as text for a terminal."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from kerasft.plots.style import PALETTE
from kerasft.printable import make_line, make_printable

_ANSI = (34, 31, 32, 35, 33, 36)
"""The terminal's colours next to `PALETTE`'s."""

PAGE = """<!doctype html>
<html><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
body {{ margin: 2em auto; max-width: 50em; padding: 0 1em; font: 16px/1.9 system-ui, sans-serif; color: #1c2733;
  overflow-wrap: anywhere; }}
p {{ margin: 0.6em 0; white-space: pre-wrap; }}
{style}
</style></head><body>
"""
STYLE = """mark { color: inherit; background: none; border-bottom: 3px solid var(--type); padding-bottom: 1px; }
mark small { color: var(--type); font-size: 0.72em; font-weight: 600; margin-left: 0.3em; }"""


class Run(NamedTuple):
    """A piece of a text."""

    text: str
    type: str
    """Of the entity that it is; empty for what is none."""


def cut_runs(text: str, entities: Sequence[Mapping[str, Any]]) -> list[Run]:
    """A text in pieces, entities and what is between them.

    Args:
        text: whole.
        entities: with `start`, `end` (in characters) and `type`, in order, none over another.
    """
    runs, done = [], 0
    for entity in entities:
        if entity["start"] > done:
            runs.append(Run(text[done : entity["start"]], ""))
        runs.append(Run(text[entity["start"] : entity["end"]], entity["type"]))
        done = entity["end"]
    if done < len(text):
        runs.append(Run(text[done:], ""))
    return runs


def choose_colour(types: Sequence[str], name: str) -> str:
    """A type's colour, `#rrggbb`."""
    return PALETTE[list(types).index(name) % len(PALETTE)]


def highlight_html(text: str, entities: Sequence[Mapping[str, Any]], types: Sequence[str]) -> str:
    """The text as HTML, markup and controls escaped, each entity in a `mark` of its type's colour.

    `STYLE` says how that looks.
    """
    return "".join(
        f'<mark style="--type: {choose_colour(types, run.type)}">{_escape(run.text)}'
        f"<small>{_escape(run.type)}</small></mark>"
        if run.type
        else _escape(run.text)
        for run in cut_runs(text, entities)
    )


def _escape(text: str) -> str:
    return html.escape(make_printable(text))


def highlight_text(
    text: str, entities: Sequence[Mapping[str, Any]], types: Sequence[str], *, coloured: bool
) -> str:
    """The text for a terminal: entities underlined in their type's colour, or in brackets where there are no colours.

    Control characters, with which a text or a type could command the terminal, are escaped.
    """
    parts = []
    for run in cut_runs(text, entities):
        shown, type_name = make_printable(run.text), make_line(run.type)
        if not run.type:
            parts.append(shown)
        elif coloured:
            colour = _ANSI[list(types).index(run.type) % len(_ANSI)]
            parts.append(f"\x1b[1;4;{colour}m{shown}\x1b[0m\x1b[2;{colour}m {type_name}\x1b[0m")
        else:
            parts.append(f"[{shown}]({type_name})")
    return "".join(parts)
