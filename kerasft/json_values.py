"""Parses untrusted JSON, and checks its depth and structure before it is used."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import pydantic

MAX_DEPTH = 64
"""How deep lists and objects of a record may be nested; kerasft's own reach 12."""


def parse_json(content: bytes, schema: Any = dict[str, Any]) -> Any:
    """The JSON value that bytes hold.

    Args:
        content: UTF-8, with or without a byte order mark.
        schema: what they must hold: a type that pydantic checks, strictly (a text is no number); an object by default.
            Keys that a model does not name may be there.

    Returns:
        The plain value, as JSON has it (not the model).

    Raises:
        ValueError: they hold none, one that is nested too deeply, texts that are no Unicode, or another shape.
    """
    try:
        value = json.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("it is not JSON: it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"it is not JSON: {error}") from error
    check_depth(value)
    if b"\\ud" in content or b"\\uD" in content:
        # half a pair stands for no character, and could not be written again
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    try:
        _adapt(schema).validate_python(value, strict=True)
    except pydantic.ValidationError as error:
        raise ValueError(describe_mismatch(error)) from error
    return value


@lru_cache(maxsize=64)
def _adapt(schema: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(schema)


def check_depth(value: Any, limit: int = MAX_DEPTH) -> None:
    """Refuses lists and objects in one another to more than `limit` levels.

    Raises:
        ValueError: they are.
    """
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(limit):
        if not level:
            return
        level = [
            child
            for holder in level
            for child in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(child, dict | list)
        ]
    if level:
        raise ValueError("it is nested too deeply")


def describe_mismatch(error: pydantic.ValidationError) -> str:
    """The first thing that is wrong with a record, with the key it stands at."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}"[:300] if place else str(first["msg"])[:300]
