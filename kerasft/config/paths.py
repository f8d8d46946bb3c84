"""Resolves relative paths in a config from the config file's folder."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, TypeVar

import pydantic

from kerasft.config.base import PathField

C = TypeVar("C", bound=pydantic.BaseModel)

_NO_PATH = re.compile(r"[a-z][a-z0-9+.-]*://|package:")


def resolve_path(text: str, base: Path, field: PathField) -> str:
    """The absolute form of a path; what is no path stays as it is.

    Args:
        text: what stands in the config; globs are kept.
        base: the folder that relative paths start from.
        field: how the text is to be read.
    """
    if not text or _NO_PATH.match(text):
        return text
    inside = Path(base, os.path.expanduser(text))
    if field.may_be_name and not re.match(r"(\.{0,2}|~[^/]*)(/|\Z)", text) and not inside.exists():
        return text
    return os.path.abspath(inside)


def resolve_paths(config: C, base: Path) -> C:
    """The config with the paths of all fields marked by `PathField` made absolute.

    Args:
        config: any section; it is not changed.
        base: the folder that relative paths start from.
    """
    return config.model_copy(update=_resolve_fields(config, base))


def _resolve_fields(config: pydantic.BaseModel, base: Path) -> dict[str, Any]:
    changed = {}
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        mark = next((m for m in field.metadata if isinstance(m, PathField)), None)
        new = _resolve_value(value, base, mark)
        # Fields that were left at their defaults must stay known as such.
        if new is not value and new != value:
            changed[name] = new
    return changed


def _resolve_value(value: Any, base: Path, mark: PathField | None) -> Any:
    if isinstance(value, pydantic.BaseModel):
        return resolve_paths(value, base)
    if isinstance(value, tuple):
        return tuple(_resolve_value(item, base, mark) for item in value)
    if isinstance(value, str) and mark:
        return resolve_path(value, base, mark)
    return value
