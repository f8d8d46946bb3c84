"""check: compares every file of a run, a preset or an export with its recorded hash."""

from __future__ import annotations

import shlex
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from kerasft.config.loading import CONFIG_NAME
from kerasft.damage import find_damage
from kerasft.errors import ConfigError, DamagedError, DataError, KerasftError
from kerasft.foreign import check_own_files
from kerasft.integrity import HASHES, Hashes, list_files, read_hashes
from kerasft.runs.folder import FIXES, RunFolder
from kerasft.runs.lock import LOCK
from kerasft.runs.shared_data import CACHE, DATASET, check_place
from kerasft.training.resume.checkpoint_files import MANIFEST, STATE, TENSORS
from kerasft.training.resume.checkpoint_files import find_damage as find_checkpoint_damage
from kerasft.untrusted import check_tree

CHECKPOINTS = "checkpoints"
NEEDED = ("config.yaml", "environment.json", "metrics.json", "model.keras", "stages.json", "task.json")
"""Of a run folder: what is damage where it is missing; the rest may have been removed to save room."""


@dataclass
class Part:
    """What a run's folder holds under one name: `model.keras`, `dataset`, `cache/train`, `export/1`, ….

    Attributes:
        name: its path.
        files: how many were compared.
        size_bytes: of these.
        damaged: path → what is wrong, in words.
        missing: files that are recorded and not there, and that nothing depends on.
        unrecorded: files of which nothing is known.
    """

    name: str
    files: int = 0
    size_bytes: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Checked:
    """What `check` found.

    Attributes:
        parts: in the order of their names.
        is_recorded: whether there are hashes at all: older versions wrote none.
    """

    parts: list[Part]
    is_recorded: bool

    @property
    def damaged(self) -> dict[str, str]:
        """Path in the folder → what is wrong with the file, in words."""
        return {name: damage for part in self.parts for name, damage in part.damaged.items()}


def check(folder: Path) -> Checked:
    """Compares all files with their hashes; writes nothing and needs no lock.

    Args:
        folder: a run's, or one that holds its own record: a preset, an export, a dataset, an adapter.

    Raises:
        ConfigError: it is neither, or something lies in it that is neither a file nor a folder.
    """
    if (folder / CONFIG_NAME).is_file():
        check_own_files(folder)
    else:
        check_tree(folder, ConfigError)
    names = list_files(folder)
    if not names and not (folder / HASHES).exists():
        raise ConfigError(
            "there is no such folder" if not folder.is_dir() else "the folder is empty",
            where=str(folder),
            fix="Name a run's folder, or a preset/ or export/<version>/ of one.",
        )
    parts: dict[str, Part] = {}
    known: set[str] = set()
    inner = [Path(name).parent.as_posix() for name in names if Path(name).name == HASHES]
    for place in (".", *inner, *_list_shared(folder, parts)):
        _check_record(folder, place, parts, known)
    _check_checkpoints(folder, parts, known)
    for name in names:
        if name not in known and Path(name).name not in (HASHES, LOCK):
            _find_part(parts, name, inner).unrecorded.append(name)
    is_recorded = any((folder / place / HASHES).exists() for place in (".", *inner))
    return Checked([parts[name] for name in sorted(parts)], is_recorded)


def _list_shared(folder: Path, parts: dict[str, Part]) -> list[str]:
    """The folders with a record among the data that a run shares with others; one that is gone is damage.

    Their paths are absolute, as they lie elsewhere.
    """
    with suppress(KerasftError):  # a record that is damaged is told as such
        place = RunFolder(folder).shared_data
        if place is None:
            return []
        dataset = place / DATASET
        try:
            check_place(place, "")
        except DataError as error:
            part = parts[str(dataset)] = Part(str(dataset))
            part.damaged[error.where or str(dataset)] = error.what
            return []
        return [str(path) for path in (dataset, *sorted((place / CACHE).glob("[!.]*"))) if path.is_dir()]
    return []


def _check_record(folder: Path, place: str, parts: dict[str, Part], known: set[str]) -> None:
    """Compares the files that one record tells of; `place` is the folder that holds it, `.` or below."""
    try:
        hashes: Hashes = read_hashes(folder / place) or {}
    except DamagedError as error:
        name = Path(place, HASHES).as_posix()
        _find_part(parts, name, [place]).damaged[name] = error.what
        return
    for inside in hashes:
        name = Path(place, inside).as_posix()
        part = _find_part(parts, name, [] if place == "." else [place])
        known.add(name)
        damage = find_damage(folder / place, inside, hashes)
        if damage is None:
            part.files += 1
            part.size_bytes += hashes[inside].now.size_bytes
        elif place == "." and name not in NEEDED and not (folder / name).exists():
            part.missing.append(name)
        else:
            part.damaged[name] = damage


def _check_checkpoints(folder: Path, parts: dict[str, Part], known: set[str]) -> None:
    for path in sorted((folder / CHECKPOINTS).glob("*/*")):
        if not (path.is_dir() and path.name.isdigit()):
            continue
        name = path.relative_to(folder).as_posix()
        part = parts.setdefault(name, Part(name))
        files = [path / file for file in (TENSORS, STATE, MANIFEST)]
        known.update(file.relative_to(folder).as_posix() for file in files)
        damage = find_checkpoint_damage(path)
        if damage is not None:
            part.damaged[name] = damage
            continue
        part.files += len(files)
        part.size_bytes += sum(file.stat().st_size for file in files)


def _find_part(parts: dict[str, Part], name: str, inner: list[str]) -> Part:
    """The part that a file belongs to: the folder with a record of its own, else the file or folder at the top."""
    around = [place for place in inner if place != "." and name.startswith(f"{place}/")]
    found = max(around, key=len) if around else name.partition("/")[0]
    return parts.setdefault(found, Part(found))


def advise(folder: Path, name: str) -> str:
    """What to do about a damaged file of a run.

    Args:
        folder: the run's.
        name: the file's path in it.
    """
    shared = RunFolder(folder).shared_data if Path(name).is_absolute() else None
    inside = Path(name).relative_to(shared).as_posix() if shared is not None else name
    top, place = inside.partition("/")[0], shlex.quote(str(folder))
    if Path(name).name == HASHES:
        return "Restore it from a copy; or remove it: the files next to it are then used without a check."
    if top == CHECKPOINTS:
        return (
            "Leave it: the checkpoint before it is used. If there is none: kerasft run CONFIG.yaml --restart."
        )
    if top == "cache":
        return "Leave it: it is rebuilt when it is needed."
    if top == "export":
        return f"kerasft export {place} writes the next version; remove this one."
    if top in ("model.keras", "preset", "adapter"):
        return f"kerasft finetune {place} rewrites it from the last checkpoint."
    if top == "dataset":
        return f"kerasft prepare {place} rewrites it."
    if top in ("predictions", "report.html"):
        return f"kerasft evaluate {place} rewrites it."
    if top in ("logs", "augmentation.png"):
        return "Restore it from a copy; no later step depends on it."
    return FIXES.get(name, "Restore it from a copy.")
