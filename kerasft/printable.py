"""Text from elsewhere (keys, names, paths, labels, cells) made safe to show, also as JSON."""

from __future__ import annotations

import json
import re
from typing import Any

_UNSAFE = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, with which a terminal is commanded
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks of direction, which show text in another order
    "\u2028\u2029\ud800-\udfff"  # further line ends, and halves of characters, which no encoding takes
)
_CONTROLS = re.compile(f"[{_UNSAFE}]")
_CONTROLS_AND_BREAKS = re.compile(f"[\t\n{_UNSAFE}]")
_OUT_OF_PAGES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]")
_BREAKS = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def make_printable(text: str) -> str:
    """Text of any number of lines as a terminal may be sent it.

    Control characters (line feed and tab aside), marks that change the direction of writing, and lone surrogates are
    written as `\\x1b` and `\\u202e`; all else stays as it is.
    """
    return _CONTROLS.sub(_escape, text)


def make_line(text: str) -> str:
    """The same for what is one line: line feeds and tabs are written as `\\n` and `\\t`, too."""
    return _CONTROLS_AND_BREAKS.sub(_escape, text)


def make_page(text: str) -> str:
    """HTML or Markdown without controls, overrides of the writing's direction and lone surrogates, which are escaped.

    Other marks of direction stay: there they reach no further than their paragraph.
    """
    return _OUT_OF_PAGES.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    point = ord(match.group())
    return _BREAKS.get(match.group()) or (f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}")


def format_json(value: Any, *, ascii_only: bool = False, **options: Any) -> str:
    """JSON text that any terminal and any file takes: what `make_printable` escapes is escaped as JSON does.

    Args:
        value: JSON-able.
        ascii_only: everything that is not ASCII is escaped as well.
        **options: of `json.dumps`.
    """
    text = json.dumps(value, ensure_ascii=ascii_only, **options)
    return _CONTROLS.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
