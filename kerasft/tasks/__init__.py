"""Tasks: what a model can learn. One folder for each, and a line here."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from kerasft.errors import ConfigError
from kerasft.printable import make_line

if TYPE_CHECKING:
    from kerasft.tasks.config import Sections

TASKS = {
    "text_classification": "kerasft.tasks.text_classification",
    "token_classification": "kerasft.tasks.token_classification",
    "image_classification": "kerasft.tasks.image_classification",
    "object_detection": "kerasft.tasks.object_detection",
    "masked_lm": "kerasft.tasks.masked_lm",
    "causal_lm": "kerasft.tasks.causal_lm",
}
"""A config's `task.type` → its package. The package's `config` module names its `SECTIONS`, its `task` module its class
`TaskClass`."""
ALIASES = {
    **dict.fromkeys(("text", "texts", "sentiment", "classification"), ("text_classification",)),
    **dict.fromkeys(("ner", "pos", "entities", "tagging"), ("token_classification",)),
    **dict.fromkeys(
        ("image", "images", "picture", "pictures", "photos", "vision"), ("image_classification",)
    ),
    **dict.fromkeys(("detection", "detector", "boxes", "objects"), ("object_detection",)),
    **dict.fromkeys(("mlm", "masked_language_model", "fill_mask", "pretraining"), ("masked_lm",)),
    **dict.fromkeys(("clm", "causal", "language_model", "text_generation", "generation"), ("causal_lm",)),
}
"""What is often written for a task's name: the names, of which the first known one is meant."""


def list_tasks() -> list[str]:
    """The names of all tasks, those of other installed packages among them; sorted."""
    from kerasft.tasks.installed import find_installed

    return sorted({*TASKS, *find_installed()})


def load_sections(name: str, *, is_asked_for: bool = False) -> Sections:
    """The schemas of a task's sections; imports no TensorFlow.

    Args:
        name: a `task.type`.
        is_asked_for: whether the user names it. A task of another package is imported only then, or where the program
            has imported its package already: what a run folder holds imports nothing.

    Raises:
        ConfigError: there is no such task, it may not be imported, or it cannot be.
    """
    if name in TASKS:
        return importlib.import_module(f"{TASKS[name]}.config").SECTIONS
    from kerasft.tasks.installed import read_sections

    return read_sections(name, _find_module(name, is_asked_for))


def load_task_class(name: str, *, is_asked_for: bool = False) -> Any:
    """The `Task` subclass of a `task.type`; imports TensorFlow.

    Args:
        name, is_asked_for: as in `load_sections`.

    Raises:
        ConfigError: as `load_sections`.
    """
    if name in TASKS:
        return importlib.import_module(f"{TASKS[name]}.task").TaskClass
    from kerasft.tasks.installed import read_task_class

    return read_task_class(name, _find_module(name, is_asked_for))


def load_display(name: str) -> Any:
    """(`task` section, label names) → the `Display` of a `task.type`; what any task can do with where it has none.

    Args:
        name: of a task that was loaded before.

    Raises:
        ConfigError: as `load_sections`.
    """
    module = f"{TASKS[name] if name in TASKS else _find_module(name, False)}.display"
    if importlib.util.find_spec(module) is None:
        from kerasft.tasks.display import Display

        return Display
    from kerasft.tasks.installed import import_name

    return import_name(name, module, "DisplayClass")


def load_start(name: str) -> tuple[Any, Any]:
    """What a task's new net begins with: `write_start` and `find_start_files` of its module `start`.

    Args:
        name: of a task whose `model` section has `starts_from_data`, loaded before.

    Returns:
        (experiment, prepared dataset, empty folder, progress) → None, which writes it; and experiment → the files,
        besides the data, that it is made of.

    Raises:
        ConfigError: as `load_sections`.
    """
    from kerasft.tasks.installed import import_name

    module = f"{TASKS[name] if name in TASKS else _find_module(name, False)}.start"
    return import_name(name, module, "write_start"), import_name(name, module, "find_start_files")


def _find_module(name: str, is_asked_for: bool) -> str:
    """The module of an installed package's task."""
    from kerasft.tasks.installed import check_asked_for, find_installed

    module = find_installed().get(name)
    if module is None:
        near = difflib.get_close_matches(name, list_tasks(), 1)
        raise ConfigError(
            f"unknown task {make_line(name)}; known are {', '.join(list_tasks())}",
            where="task.type",
            fix=f"Did you mean {near[0]}?" if near else "Install the package that provides it.",
        )
    if not is_asked_for:
        check_asked_for(name, module)
    return module
