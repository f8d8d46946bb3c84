"""Tasks of other packages: found by entry points, and imported only if the user names them.

A package says `[project.entry-points."kerasft.tasks"]`, `<name> = "<its module>"`. Reading that runs none of its code.
"""

from __future__ import annotations

import importlib
import sys
from importlib import metadata
from typing import Any, get_args

import pydantic

from kerasft.config.base import Config
from kerasft.errors import ConfigError
from kerasft.printable import make_line
from kerasft.tasks.config import ModelConfig, Sections, TaskConfig, TrainConfig

GROUP = "kerasft.tasks"
_FIX = "Fix the package, or remove it: pip uninstall."


def find_installed() -> dict[str, str]:
    """The names of the tasks of installed packages → their modules; imports none of them.

    Raises:
        ConfigError: two packages have a task of one name.
    """
    found: dict[str, str] = {}
    for entry in metadata.entry_points(group=GROUP):
        if found.setdefault(entry.name, entry.module) != entry.module:
            modules = ", ".join(sorted({found[entry.name], entry.module}))
            raise ConfigError(
                f"several installed packages provide a task of this name: {make_line(modules)}",
                where=f"task {make_line(entry.name)}",
                fix="Remove all but one: pip uninstall.",
            )
    return found


def check_asked_for(name: str, module: str) -> None:
    """Refuses a task that only a run folder names, unless the program has imported its module already.

    Raises:
        ConfigError: nothing has imported it.
    """
    if module not in sys.modules:
        raise ConfigError(
            f"the task {name} belongs to another package, {module}, and is named only by a run folder: "
            "kerasft does not import a package for that reason",
            where="task.type",
            fix=f"Name the task yourself, after the run folder: task.type={name}; in Python, import {module} first.",
        )


def read_sections(name: str, module: str) -> Sections:
    """The sections of an installed package's task; imports its `config` module.

    Args:
        name: the `task.type`.
        module: the package's.

    Raises:
        ConfigError: it cannot be imported, or its `SECTIONS` are not what they should be.
    """
    sections = import_name(name, f"{module}.config", "SECTIONS")
    problem = _find_problem(name, sections)
    if problem:
        raise ConfigError(f"the task {name}: {problem}", where=f"{module}.config", fix=_FIX)
    return sections


def read_task_class(name: str, module: str) -> Any:
    """The class of an installed package's task; imports its `task` module.

    Raises:
        ConfigError: it cannot be imported, or has no `TaskClass`.
    """
    return import_name(name, f"{module}.task", "TaskClass")


def import_name(name: str, module: str, attribute: str) -> Any:
    """What a module of a task calls `attribute`.

    Raises:
        ConfigError: the module cannot be imported, or has no such name.
    """
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:
        message = f"{type(error).__name__}: {make_line(str(error))}"
        raise ConfigError(f"the task {name} cannot be loaded: {message}", where=module, fix=_FIX) from error


def _find_problem(name: str, sections: object) -> str | None:
    """What is wrong with a task's sections."""
    if not isinstance(sections, Sections):
        return "SECTIONS must be a kerasft.tasks.config.Sections"
    bases: dict[str, type[Config]] = {"task": TaskConfig, "model": ModelConfig, "train": TrainConfig}
    for key, base in bases.items():
        given = getattr(sections, key)
        if not (isinstance(given, type) and issubclass(given, base)):
            return f"the schema of {key} must be a {base.__module__}.{base.__name__}"
    missing = sorted(getattr(sections.task, "__abstractmethods__", ()))
    if missing:
        return f"{sections.task.__name__} lacks {', '.join(missing)}"
    if name not in get_args(sections.task.model_fields["type"].annotation):
        return f'{sections.task.__name__} must have `type: Literal["{name}"]`'
    for key, schema in {"train": sections.train, **sections.own}.items():
        if not (isinstance(schema, type) and issubclass(schema, Config)):
            return f"the schema of {key} must be a kerasft.config.base.Config"
        try:
            schema()
        except pydantic.ValidationError as error:
            return f"each key of {key} needs a default: {error.errors()[0]['loc'][0]} has none"
    return None
