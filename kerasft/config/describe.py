"""What a config may hold at a place, in words: read from the schema's JSON Schema.

A `Place` is one spot of the schema: the whole config, a section, or a value.
"""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pydantic

from kerasft.config.document import KeyPath

_LONGEST = 60
_ALIASES = {
    "lr": ("learning_rate",),
    "wd": ("weight_decay",),
    "bs": ("batch_size",),
    "epoch": ("epochs",),
}
"""What is often written for a name that is known: the names, of which the first known one is meant."""
_PATTERNS = {r"^[A-Za-z0-9][A-Za-z0-9._-]*$": "of letters, digits, . _ - (beginning with a letter or digit)"}
"""Patterns in words."""


class Place:
    """One spot of a JSON Schema.

    Args:
        root: the whole schema, for its `$defs`.
        node: the schema of this spot.
    """

    def __init__(self, root: dict[str, Any], node: dict[str, Any]):
        self.root = root
        self.node = node
        while "$ref" in self.node:
            self.node = {**root["$defs"][self.node["$ref"].rsplit("/", 1)[1]]}

    @classmethod
    @functools.cache
    def of(cls, schema: type[pydantic.BaseModel]) -> Place:
        root = schema.model_json_schema()
        return cls(root, root)

    def _at(self, node: dict[str, Any]) -> Place:
        return Place(self.root, node)

    @property
    def options(self) -> list[Place]:
        """The kinds of value allowed here, null aside."""
        nodes = self.node.get("anyOf", [self.node])
        return [self._at(node) for node in nodes if node.get("type") != "null"]

    @property
    def core(self) -> Place:
        """This place without `null`, where one kind is left."""
        options = self.options
        return options[0] if len(options) == 1 else self

    @property
    def tag(self) -> str | None:
        """The key that says which kind of section this is."""
        return self.core.node.get("discriminator", {}).get("propertyName")

    @property
    def tags(self) -> list[str]:
        return list(self.core.node.get("discriminator", {}).get("mapping", {}))

    @property
    def own_tag(self) -> str | None:
        """Of a section of one kind, the key that names the kind."""
        return next((key for key, place in self.keys.items() if "const" in place.node), None)

    def choose(self, tag: str) -> Place:
        """The section's kind with this tag."""
        return self._at({"$ref": self.core.node["discriminator"]["mapping"][tag]})

    @property
    def keys(self) -> dict[str, Place]:
        """The keys known here; those of all kinds where kinds differ."""
        core = self.core
        if core.tag:
            return {key: place for tag in core.tags for key, place in core.choose(tag).keys.items()}
        return {key: self._at(node) for key, node in core.node.get("properties", {}).items()}

    @property
    def required(self) -> list[str]:
        return self.core.node.get("required", [])

    @property
    def summary(self) -> str:
        """The first sentence of the description, without its full stop."""
        text = " ".join(self.node.get("description", "").split())
        return text.split(". ")[0].split(": ")[0].rstrip(".")

    def get_item(self, part: str | int) -> Place:
        """The place of a key's value, or of a list's item."""
        core = self.core
        if isinstance(part, int) and "items" in core.node:
            return self._at(core.node["items"])
        known = self.keys.get(str(part))
        if known:
            return known
        extra = core.node.get("additionalProperties")
        return self._at(extra if isinstance(extra, dict) else {})

    def describe(self) -> str:
        """`a number ≥ 0 and < 1`, `one of: auto, cls, mean`, …"""
        nullable = any(node.get("type") == "null" for node in self.node.get("anyOf", []))
        text = " or ".join(dict.fromkeys(_describe_kind(option) for option in self.options))
        return f"{text}, or null" if nullable else text


def _describe_kind(place: Place) -> str:
    node = place.node
    if place.tag:
        return f"a section with {place.tag}: {' | '.join(place.tags)}"
    if "const" in node:
        return show(node["const"])
    if "enum" in node:
        return "one of " + ", ".join(show(value) for value in node["enum"])
    kind = node.get("type")
    if kind == "object":
        keys = list(node.get("properties", {}))
        return f"a section with the keys {', '.join(keys)}" if keys else "a section of keys"
    if kind == "array":
        items = place._at(node.get("items", {})).describe()
        fewest = f" of at least {node['minItems']}" if node.get("minItems") else ""
        return f"a list{fewest} ({items})"
    if kind == "string":
        return "text" + _describe_text_limits(node)
    names = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}
    return names.get(str(kind), "a value") + _describe_range(node)


def _describe_text_limits(node: dict[str, Any]) -> str:
    fewest, most = node.get("minLength"), node.get("maxLength")
    if "pattern" in node:
        return f" {_PATTERNS.get(node['pattern'], 'that matches ' + node['pattern'])}"
    if fewest is not None and fewest == most:
        return f" of {fewest} character{'s' if fewest > 1 else ''}"
    limits = [f"at least {fewest}"] * (fewest is not None) + [f"at most {most}"] * (most is not None)
    return f" of {' and '.join(limits)} characters" if limits else ""


def _describe_range(node: dict[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {node[key]}" for key, sign in signs.items() if key in node]
    return " " + " and ".join(limits) if limits else ""


def show(value: Any) -> str:
    """A value as it may stand in YAML, shortened."""
    if value is None:
        return "null"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def find_nearest(
    name: Any,
    known: Sequence[str],
    cutoff: float = 0.6,
    aliases: Mapping[str, Sequence[str]] = MappingProxyType(_ALIASES),
) -> str | None:
    """The known name that is meant by an alias, or is most like `name`."""
    meant = [k for k in aliases.get(str(name).lower(), ()) if k in known]
    if meant:
        return meant[0]
    folded = {k.lower().replace("-", "_"): k for k in reversed(known)}
    matches = difflib.get_close_matches(str(name).lower().replace("-", "_"), folded, 1, cutoff)
    return folded[matches[0]] if matches else None


def find_elsewhere(name: str, place: Place, path: KeyPath = ()) -> KeyPath | None:
    """Where in the schema a key of exactly this name is known; the shallowest such path."""
    level: list[tuple[KeyPath, Place]] = [(path, place)]
    while level:
        for here, section in level:
            if name in section.keys:
                return (*here, name)
        level = [((*here, key), inner) for here, section in level for key, inner in section.keys.items()]
    return None
