"""What a model can learn: a folder a task, and a line here."""

from __future__ import annotations

import importlib
from typing import Any

TASKS = {
    "text_classification": "kerasft.tasks.text_classification",
    "token_classification": "kerasft.tasks.token_classification",
    "image_classification": "kerasft.tasks.image_classification",
}
"""A config's `task.type` → its package; the package's `task` module names its class `TaskClass`."""


def load_task_class(name: str) -> Any:
    """The `Task` subclass of a `task.type`; imports TensorFlow."""
    return importlib.import_module(f"{TASKS[name]}.task").TaskClass
