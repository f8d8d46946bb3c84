"""The commit that the working folder stands at, read from git's files: git, which may run hooks, is not started."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from kerasft.untrusted import open_plain

_MAX_BYTES = 16 << 20
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REFERENCE = re.compile(r"refs/(?!.*\.\.)[^\s\\:?*\[~^\x00-\x1f\x7f]+")
_MAX_STEPS = 5


def read_git_revision(folder: Path) -> str | None:
    """The hash of the commit that is checked out in a folder, or in one above it.

    Whether files differ from it is not looked at: only git can tell.

    Returns:
        40 or 64 hexadecimal digits; None outside git, and where git's files hold something unexpected.
    """
    try:
        place = next(
            (parent / ".git" for parent in (folder, *folder.parents) if os.path.lexists(parent / ".git")),
            None,
        )
        return None if place is None else _read_head(_follow(place))
    except (OSError, ValueError):
        return None


def _follow(place: Path) -> Path:
    """Git's folder: the place itself, or the one that a file there names (worktrees, submodules)."""
    if place.is_dir() and not place.is_symlink():
        return place
    content = _read(place, 4096).strip()
    if not content.startswith("gitdir: "):
        raise ValueError("no gitdir")
    return place.parent / content.removeprefix("gitdir: ")


def _read_head(folder: Path) -> str | None:
    try:
        shared = folder / _read(folder / "commondir", 4096).strip()
    except FileNotFoundError:
        shared = folder
    value = _read(folder / "HEAD", 4096).strip()
    for _ in range(_MAX_STEPS):
        if _COMMIT.fullmatch(value):
            return value
        name = value.removeprefix("ref: ")
        if not _REFERENCE.fullmatch(name):
            return None
        value = next(_find_reference(name, (folder, shared)), "")
    return None


def _find_reference(name: str, folders: tuple[Path, Path]) -> Iterator[str]:
    for folder in folders:
        try:
            yield _read(folder / name, 4096).strip()
        except (FileNotFoundError, NotADirectoryError):
            continue
    for line in _read(folders[1] / "packed-refs", _MAX_BYTES).splitlines():
        commit, _, packed = line.partition(" ")
        if packed == name:
            yield commit


def _read(path: Path, limit: int) -> str:
    with open_plain(path) as file:
        return file.read(limit).decode("utf-8")
