"""Kinds of fields: one module for each, which reads, compares and stores its values."""

from __future__ import annotations

import importlib
from typing import Any

from kerasft.data.kinds.fields import Field

KINDS = {
    "text": "kerasft.data.kinds.text",
    "image": "kerasft.data.kinds.image",
    "tagged_text": "kerasft.data.kinds.tagged_text",
    "label": "kerasft.data.kinds.label",
    "labels": "kerasft.data.kinds.labels",
    "number": "kerasft.data.kinds.number",
    "boxes": "kerasft.data.kinds.boxes",
    "mask": "kerasft.data.kinds.mask",
    "chat": "kerasft.data.kinds.chat",
}
"""A field's kind → the module whose `KindClass` handles it, imported when it is first needed."""


def load_kind_class(name: str) -> Any:
    """The `Kind` of this name; `Kind` itself of a part, of which nothing special is known."""
    if name == "part":
        return importlib.import_module("kerasft.data.kinds.base").Kind
    return importlib.import_module(KINDS[name]).KindClass


def load_kind(field: Field) -> Any:
    """A new `Kind` for a field; it may remember what it has read."""
    return load_kind_class(field.kind)(field)
