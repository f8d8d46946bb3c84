"""Protects the user's files: other people's folders are not run folders, and changed files are not overwritten."""

from __future__ import annotations

import os
from pathlib import Path

from kerasft.damage import find_damage
from kerasft.errors import ConfigError
from kerasft.files import is_left_out
from kerasft.integrity import HASHES, list_files, read_hashes, record_files
from kerasft.untrusted import check_tree

_STAGES = "stages.json"
_MARKS = ("config.yaml", "inputs/", _STAGES)
"""What is written into a run folder first; the record of its hashes, which is written before, names one of them."""
_LANDMARKS = ("manifest.json", "config.json", "cache.json", "adapter.json")
"""A dataset, a preset, a cache or an adapter from before there were records has one of these."""
_WRITTEN_ALONE = (
    "config.yaml", "environment.json", "metrics.json", _STAGES, "task.json", "model.keras", "report.html",
    "augmentation.png",
)  # fmt: skip
_OWN = frozenset((
    *_WRITTEN_ALONE, HASHES, "metrics.jsonl", "inputs", "dataset", "cache", "preset", "adapter", "predictions",
    "checkpoints", "logs", "export", "verify-resume",
))  # fmt: skip
"""What kerasft opens in a run folder; its hidden files besides."""
_OTHERS = ("lost+found",)
_GUARDED = "verify-resume"
"""What a trial leaves when it is killed; nobody but the next trial replaces that, and looks into it first."""
_MOST_NAMES = 3


def check_own_files(folder: Path) -> None:
    """Makes sure that what kerasft opens in a run folder is plain files and folders, at any depth.

    Other things that people put beside (a link to their notes, `latest`) are never opened, and may be what they are.

    Raises:
        ConfigError: a link, a pipe or a device stands for one of kerasft's files.
    """
    check_tree(folder, ConfigError, is_looked_at=lambda name: name in _OWN or name.startswith("."))


def check_run_folder(folder: Path) -> None:
    """Refuses a folder that holds something and is no run's, before anything is written into it.

    A run's folder has a record of what kerasft wrote there: hashes.json, or stages.json from before there was one.

    Raises:
        ConfigError: it holds something else.
    """
    found = [name for name in list_contents(folder) if name != _GUARDED]
    if not found or is_run_folder(folder):
        return
    shown = ", ".join(found[:_MOST_NAMES]) + (", …" if len(found) > _MOST_NAMES else "")
    raise ConfigError(
        f"the folder is not empty and is not a run folder: it contains {shown}. Nothing was written.",
        where=str(folder),
        fix="Name a new or empty folder: --output DIR.",
    )


def list_contents(folder: Path) -> list[str]:
    """What a folder holds, less hidden files and what file browsers and file systems put there; sorted."""
    if not folder.is_dir():
        return []
    names = sorted(os.listdir(folder))
    return [name for name in names if not is_left_out(name) and name not in _OTHERS]


def is_run_folder(folder: Path) -> bool:
    """Whether a folder has the record of a run.

    Raises:
        DamagedError: the record is damaged.
    """
    known = read_hashes(folder)
    return (folder / _STAGES).is_file() if known is None else any(name.startswith(_MARKS) for name in known)


def take_up_older(folder: Path) -> None:
    """Takes the files of a run from before there was a record of hashes up into one, as they are.

    Raises:
        DamagedError: the record is damaged.
    """
    if read_hashes(folder) is None and (folder / _STAGES).is_file():
        record_files(folder, [folder / name for name in _WRITTEN_ALONE if (folder / name).is_file()])


def check_unchanged(path: Path) -> None:
    """Refuses to replace one of a run folder's files that people change, where somebody has, or has put it there.

    (Of what only kerasft reads, another hash is damage, and told as that.)

    Args:
        path: the file, in a folder whose record is there, or which is new.

    Raises:
        ConfigError: it is not as kerasft wrote it.
        DamagedError: the record is damaged.
    """
    folder, name = path.parent, path.name
    known = read_hashes(folder)
    if known is None:
        return
    strange = name not in known and os.path.lexists(path)
    if strange or find_damage(folder, name, known) not in (None, "it is missing"):
        raise ConfigError(
            f"the file {'is not' if strange else 'was changed, and is no longer'} as kerasft wrote it, "
            "and would be overwritten",
            where=str(path),
            fix=f"Keep it under another name (mv {path} …), or use another folder: --output DIR.",
        )


def check_replaceable(folder: Path) -> None:
    """Refuses to replace a whole folder that holds something which kerasft did not write there.

    Args:
        folder: such as a run's dataset/, which has a record of its own, and is about to be made anew.

    Raises:
        ConfigError: it holds something else.
        DamagedError: its record is damaged.
    """
    known = read_hashes(folder)
    if known is None:
        strange = list_contents(folder)
        if any(name in strange for name in _LANDMARKS):
            return
    else:
        strange = [
            name
            for name in list_files(folder)
            if name not in known and not any(map(is_left_out, name.split("/")))
        ]
    if strange:
        raise ConfigError(
            "the folder would be overwritten, but contains files that kerasft did not write: "
            f"{', '.join(strange[:_MOST_NAMES])}",
            where=str(folder),
            fix="Move these files elsewhere, or use another folder: --output DIR.",
        )
