"""What examples hold: one module a kind, with how it is read, told apart, compared and written."""

from __future__ import annotations

import importlib
from typing import Any

CONTENTS = {
    "text": "kerasft.data.kinds.text",
    "image": "kerasft.data.kinds.image",
    "tagged_text": "kerasft.data.kinds.tagged_text",
}
"""A field's kind → the module whose `ContentClass` handles it."""


def load_content(kind: str) -> Any:
    """The `Content` of a kind of field."""
    return importlib.import_module(CONTENTS[kind]).ContentClass()
