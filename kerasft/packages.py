"""Where installed packages lie: found without importing them, so that none of their code runs."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def find_module_folders(module: str) -> list[Path]:
    """The folders of an installed module; empty where it is not installed, or is a single file. Runs none of its code.

    Args:
        module: its name, which may be dotted.
    """
    first, *others = module.split(".")
    try:
        # `find_spec` imports the parents of a dotted name, so only the first part goes through it
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError, AttributeError):
        return []
    if spec is None or spec.submodule_search_locations is None:
        return []
    folders = [Path(location).joinpath(*others) for location in spec.submodule_search_locations]
    return [folder for folder in folders if folder.is_dir()]
