"""Applies `KEY=VALUE` arguments to a config: keys with dots, values in YAML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args, get_origin

import pydantic

from kerasft.config.base import Config, fill_from_default
from kerasft.config.document import Document, KeyPath, parse_yaml
from kerasft.config.problems import Problem, format_key
from kerasft.config.variants import choose_schema

_PART = re.compile(r"([^.\[\]=\s]+)((?:\[[0-9]{1,6}\])*)")


def parse_key(text: str) -> KeyPath | None:
    """`data.train.path[0]` → `("data", "train", "path", 0)`; None where it is no key."""
    path: list[str | int] = []
    for part in text.split("."):
        match = _PART.fullmatch(part)
        if not match:
            return None
        path.append(match[1])
        path.extend(int(index) for index in re.findall(r"[0-9]+", match[2]))
    return tuple(path)


def apply_overrides(document: Document, schema: type[pydantic.BaseModel], overrides: Sequence[str]) -> None:
    """Lays the overrides over the document, one after the other; mistakes go to its `problems`.

    A section that the file leaves out starts as the schema's default, so that an override changes only what it
    names; a section whose `type` is named by an override starts empty.

    Args:
        document: changed in place.
        schema: the config's class.
        overrides: `KEY=VALUE` each; the value is YAML.
    """
    created: list[KeyPath] = []
    for override in overrides:
        where = f"override {override}"
        key, equals, text = override.partition("=")
        path = parse_key(key.strip()) if equals else None
        if path is None:
            what = "expected KEY=VALUE, such as train.epochs=1"
            document.problems.append(Problem(where, "", what))
            continue
        value = Document(origins={(): where})
        parse_yaml(text, value, lambda line, where=where: where)  # type: ignore[misc]
        if value.problems:
            hint = "put a text that YAML would read as something else in quotes: KEY='\"…\"'"
            document.problems.extend(Problem(p.where, p.key, p.what, p.fix or hint) for p in value.problems)
            continue
        try:
            created.extend(_put(document, path, value.data, where))
        except _CannotPutError as error:
            document.problems.append(Problem(where, "", str(error)))
    chosen = (choose_schema(schema, document) or schema) if created else schema
    for path in created:
        _fill_from_default(document.data, chosen, path)


class _CannotPutError(Exception):
    pass


def _put(document: Document, path: KeyPath, value: Any, where: str) -> Iterator[KeyPath]:
    """Sets one value and yields the sections that had to be made on the way."""
    if not isinstance(document.data, dict):
        if document.data is not None:
            raise _CannotPutError("the config is not a section of keys")
        document.data = {}
    node: Any = document.data
    for depth, part in enumerate(path):
        here, around = path[: depth + 1], format_key(path[:depth])
        _check_part(node, part, around)
        if isinstance(node, list) and part == len(node):
            node.append(None)
        if depth == len(path) - 1:
            node[part] = value
            _set_origin(document, here, where)
        elif (node.get(part) if isinstance(node, dict) else node[part]) is None:
            if isinstance(path[depth + 1], int):
                raise _CannotPutError(f"{format_key(here)} is not a list")
            node[part] = {}
            _set_origin(document, here, where)
            yield here
        node = node[part]


def _check_part(node: Any, part: str | int, around: str) -> None:
    if isinstance(part, str):
        if not isinstance(node, dict):
            raise _CannotPutError(f"{around} is {_show_kind(node)}, not a section of keys")
    elif not isinstance(node, list):
        raise _CannotPutError(f"{around} is not a list")
    elif part > len(node):
        raise _CannotPutError(f"{around} has {len(node)} items, counted from 0")


def _set_origin(document: Document, path: KeyPath, where: str) -> None:
    for known in [p for p in document.origins if p[: len(path)] == path]:
        del document.origins[known]
    document.origins[path] = where
    document.overridden.add(path)


def _show_kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else f"the value {value!r}"


def _fill_from_default(data: Any, schema: type[pydantic.BaseModel], path: KeyPath) -> None:
    """Gives a section made by an override what the schema's default for it sets."""
    default: Any = schema
    for part in path:
        data = data[part]
        if isinstance(default, type):
            field = getattr(default, "model_fields", {}).get(str(part))
            default = field.get_default(call_default_factory=True) if field else None
        else:
            default = getattr(default, str(part), None)
        if not isinstance(default, Config):
            return
    for key, field in type(default).model_fields.items():
        # A field with one possible value is the tag of a kind of section.
        is_tag = get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1
        if is_tag and data.get(key, getattr(default, key)) != getattr(default, key):
            return
    fill_from_default(data, default)
