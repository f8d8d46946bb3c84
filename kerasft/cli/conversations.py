"""Reads the conversations that `kerasft generate --messages` answers: one as JSON, or one a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kerasft.cli.input_rows import Row
from kerasft.errors import DataError

_FIX = 'A conversation is a JSON list: [{"role": "user", "content": "…"}]. A file may also hold one on each line.'


def read_conversations(source: str) -> list[Row]:
    """Each conversation as a row: a list of messages under `messages`, not yet looked at.

    Args:
        source: a file; `-`: standard input. It holds a list of messages, or an object with one under `messages`; or one
            of these on each line.

    Raises:
        DataError: it cannot be read, or is no JSON.
    """
    name = "standard input" if source == "-" else source
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"The file cannot be read: {error.strerror}.", where=name) from error
    except UnicodeDecodeError as error:
        raise DataError("The file is not UTF-8.", where=name, fix=_FIX) from error
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if len(lines) > 1 and _is_json(lines[0][1]):
        return list(_read_lines(lines, name))
    try:
        return [_make_row(_read_json(text), name)]
    except (ValueError, RecursionError) as error:
        raise DataError(f"The file is not JSON: {error}.", where=name, fix=_FIX) from error


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _read_json(text: str) -> Any:
    """The value; an object in it with one key twice is none.

    Raises:
        ValueError: it is no JSON.
    """
    from kerasft.data.kinds.fields import InvalidValue
    from kerasft.data.sources.json_lines import build_object

    try:
        return json.loads(text, object_pairs_hook=build_object)
    except InvalidValue as error:
        raise ValueError(f"{error.reason}, {error.detail}") from None


def _read_lines(lines: list[tuple[int, str]], name: str) -> Iterator[Row]:
    for number, line in lines:
        where = f"{name}:{number}"
        try:
            yield _make_row(_read_json(line), where)
        except (ValueError, RecursionError) as error:
            yield Row(None, where=where, problem=f"not JSON: {error}")


def _make_row(value: Any, where: str) -> Row:
    """What stands beside `messages` in an object is handed on."""
    if isinstance(value, Mapping) and "messages" in value:
        others = {key: part for key, part in value.items() if key != "messages"}
        return Row({"messages": value["messages"]}, columns=others, where=where)
    return Row({"messages": value}, where=where)
