"""Writes docs/config.md from the config's schema: every key, its default, what it may hold and what it means.

python docs/build_config_reference.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kerasft.config.base import Config
from kerasft.config.describe import Place
from kerasft.experiment import ExperimentConfig, experiment_schema
from kerasft.tasks import TASKS, load_sections

WHOLE = "The whole"
TARGET = Path(__file__).with_name("config.md")
INTRODUCTION = """\
# The config, key by key

Written from the schema by `make docs`; `kerasft schema` prints the same for editors (completion and checks in VS
Code and others). How it works:

- YAML 1.2. Unknown keys are errors; all mistakes of a file are told at once, with their lines, before anything heavy
  is loaded.
- Relative paths start from the config file's folder.
- `KEY=VALUE` on the command line changes any key: `train.epochs=1`, `data.leaks=drop`, `evaluate.splits='[test]'`.
- A section without its `type` is the default's kind with changes: `optimizer: {learning_rate: 2e-4}` is AdamW at
  another rate, its weight decay as by default. With its `type` it starts from that kind's own defaults.
- The run folder's `config.yaml` is the whole config, defaults filled in and paths absolute; it runs again as it is.

A key without a default must be given.
"""


class Reference:
    """The reference's text, a section after the other."""

    def __init__(self) -> None:
        self._parts = [INTRODUCTION]
        self._written: set[str] = set()
        """The tables that are written out: a section that stands at several keys is shown once."""

    def add(self, title: str, place: Place, kind: str = "", tag: str = "") -> None:
        """Writes a section out, its kinds one by one, and then the sections in it.

        Args:
            title: the section's key, with those that it stands under.
            place: the section.
            kind: the tasks that have this section; empty: all.
            tag: what its heading says besides of the kind of section that it is.
        """
        places = {f", `{place.tag}: {tag}`": place.core.choose(tag) for tag in place.core.tags}
        for heading, chosen in (places or {tag: place.core}).items():
            if self.add_table(
                f"{title}{f', for {kind}' if kind else ''}{heading}", chosen, list(chosen.keys)
            ):
                self._add_inner(title, chosen, kind)

    def add_differences(self, title: str, place: Place, general: Place, kind: str) -> None:
        """Writes out the keys of a section that are others than for all tasks, and the sections in them."""
        nodes, known = (each.core.node.get("properties", {}) for each in (place, general))
        keys = [key for key in nodes if nodes[key] != known.get(key)]
        if keys and self.add_table(f"{title}, for {kind}: besides", place.core, keys):
            self._add_inner(title, place.core, kind)

    def add_table(
        self, title: str, place: Place, keys: list[str], kinds: Mapping[str, str] = MappingProxyType({})
    ) -> bool:
        """Writes out keys of a section; returns whether the table was new.

        Args:
            title: its heading.
            place: the section.
            keys: of it.
            kinds: key → what it may hold, where the schema does not say it.
        """
        lines = ["", place.node.get("description", ""), ""]
        lines += ["| key | default | may hold | meaning |", "|---|---|---|---|"]
        for key in keys:
            node, inner = place.node["properties"][key], place.keys[key]
            default = _describe_default(node, inner, key in place.required)
            cells = (
                default,
                kinds.get(key) or _describe_kind(inner),
                _explain(node) or _explain(inner.core.node),
            )
            lines.append(f"| `{key}` | " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        table = "\n".join(lines) + "\n"
        if table in self._written:
            return False
        self._written.add(table)
        self._parts.append(f"## {title}\n{table}")
        return True

    def _add_inner(self, title: str, place: Place, kind: str = "") -> None:
        for key, inner in place.keys.items():
            if not inner.keys:
                inner = inner.core.get_item(0)
            if inner.keys:
                self.add(key if title == WHOLE else f"{title}.{key}", inner, kind)

    def text(self) -> str:
        return "\n".join(self._parts)


def _describe_kind(place: Place) -> str:
    if not place.keys:
        return place.describe()
    kind = f"a section, by its `{place.tag}`: {', '.join(place.core.tags)}" if place.tag else "a section"
    nullable = any(node.get("type") == "null" for node in place.node.get("anyOf", []))
    return f"{kind}; or null" if nullable else kind


def _describe_default(node: dict[str, Any], place: Place, required: bool) -> str:
    if "default" not in node:
        return "" if required or "const" in node else "empty"
    default = node["default"]
    if not isinstance(default, dict):
        return f"`{json.dumps(default, ensure_ascii=False)}`"
    kind = place.core.choose(default[place.tag]) if place.tag else place.core
    properties = kind.node["properties"]
    own = {key: value for key, value in default.items() if properties[key].get("default") != value}
    return "`{" + ", ".join(f"{key}: {value}" for key, value in own.items()) + "}`" if own else "as below"


def _explain(node: dict[str, Any]) -> str:
    return " ".join(node.get("description", "").split())


def _find_users(key: str) -> dict[type[Config], str]:
    """The schemas that tasks have for a section → those tasks, `a and b`."""
    users: dict[type[Config], list[str]] = {}
    for name in TASKS:
        sections = load_sections(name)
        schema = sections.own.get(key) or getattr(sections, key, None)
        if schema is not None:
            users.setdefault(schema, []).append(name)
    return {schema: " and ".join(f"`{name}`" for name in names) for schema, names in users.items()}


def build_reference() -> str:
    """The text of docs/config.md."""
    reference = Reference()
    whole = Place.of(ExperimentConfig)
    reference.add_table(
        WHOLE, whole, list(whole.keys), {"task": f"a section, by its `type`: {', '.join(sorted(TASKS))}"}
    )
    for name in sorted(TASKS):
        if own := list(load_sections(name).own):
            reference.add_table(f"{WHOLE}, for `{name}`: besides", Place.of(experiment_schema(name)), own)
    for name in sorted(TASKS):
        reference.add("task", Place.of(experiment_schema(name)).keys["task"], tag=f", `type: {name}`")
    for key in ("data", "train", "evaluate", "export"):
        reference.add(key, whole.keys[key])
    for schema, tasks in _find_users("model").items():
        reference.add("model", Place.of(schema), tasks)
    for schema, tasks in _find_users("train").items():
        reference.add_differences("train", Place.of(schema), whole.keys["train"], tasks)
    for key in sorted({key for name in TASKS for key in load_sections(name).own}):
        for schema, tasks in _find_users(key).items():
            reference.add(key, Place.of(schema), tasks)
    return reference.text()


if __name__ == "__main__":
    TARGET.write_text(build_reference(), encoding="utf-8")
