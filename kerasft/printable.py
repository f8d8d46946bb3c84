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
_SURROGATES = re.compile("[\ud800-\udfff]")
_NOT_ASCII = re.compile("[^\x00-\x7f]+")
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


def format_json(
    value: Any, *, ascii_only: bool = False, keeps_surrogates: bool = False, **options: Any
) -> str:
    """JSON text that any terminal and any file takes: what `make_printable` escapes is escaped as JSON does.

    A lone surrogate (a byte of a file's name that is no UTF-8, say) stands for no character in JSON either, and no
    reader has to take it: it becomes the six characters `\\udce9`. So `kerasft.json_values.parse_json` reads whatever
    is written here.

    Args:
        value: JSON-able.
        ascii_only: everything that is not ASCII is escaped as well.
        keeps_surrogates: lone surrogates are escaped as JSON does, too: what reads them refuses them.
        **options: of `json.dumps`.
    """
    text = json.dumps(value, ensure_ascii=False, **options)
    if not keeps_surrogates:
        text = _SURROGATES.sub(lambda match: f"\\\\u{ord(match.group()):04x}", text)
    if ascii_only:
        text = _NOT_ASCII.sub(lambda match: json.dumps(match.group())[1:-1], text)
    return _CONTROLS.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
