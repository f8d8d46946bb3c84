"""What a model can learn: a folder a task, and a line here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kerasft.tasks.config import Sections

TASKS = {
    "text_classification": "kerasft.tasks.text_classification",
    "token_classification": "kerasft.tasks.token_classification",
    "image_classification": "kerasft.tasks.image_classification",
}
"""A config's `task.type` → its package. The package's `config` module names its `SECTIONS`, its `task` module its class
`TaskClass`."""
ALIASES = {
    **dict.fromkeys(("text", "texts", "sentiment", "classification"), ("text_classification",)),
    **dict.fromkeys(("ner", "pos", "entities", "tagging"), ("token_classification",)),
    **dict.fromkeys(
        ("image", "images", "picture", "pictures", "photos", "vision"), ("image_classification",)
    ),
}
"""What is often written for a task's name: the names, of which the first known one is meant."""


def list_tasks() -> list[str]:
    """The names of all tasks, sorted."""
    return sorted(TASKS)


def load_sections(name: str) -> Sections:
    """The schemas of a task's sections; imports no TensorFlow.

    Args:
        name: a `task.type`.
    """
    return importlib.import_module(f"{TASKS[name]}.config").SECTIONS


def load_task_class(name: str) -> Any:
    """The `Task` subclass of a `task.type`; imports TensorFlow."""
    return importlib.import_module(f"{TASKS[name]}.task").TaskClass
