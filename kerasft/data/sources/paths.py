"""Finds the files that a config names."""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from kerasft.data.sources.readable import (
    check_file,
    check_folder_links,
    check_link,
    describe_path,
    match_glob,
    raise_error,
    refusing_unreadable,
)
from kerasft.errors import DataError
from kerasft.files import compute_sha256, is_left_out
from kerasft.packages import find_module_folders

PACKAGE = "package:"


class SourceFile(NamedTuple):
    """A file with examples, or a folder of files that are one each."""

    path: Path
    name: str
    """How messages call it: relative to the config's folder where it lies below, else in full."""
    beside: Path | None = None
    """What belongs to it and lies elsewhere, where the source says so: the folder of its pictures, or the file that
    describes it."""


MAX_LINKS = 10_000
"""To folders, below one: links to folders of links can multiply without end."""


def locate(text: str, folder: Path) -> str:
    """The file that an entry of a list means: relative paths start from the list's folder; empty where it is blank.

    Blanks and line ends around an entry are left out; other spaces may be part of the file's name.
    """
    path = text.strip(" \t\r\n")
    return str(folder / path) if path else ""


def list_folders(folder: Path) -> list[Path]:
    """The folders in a folder, links to folders among them, sorted; hidden ones are left out.

    Raises:
        DataError: a link leads nowhere, and its name is not that of a file; or the folder cannot be read.
    """
    with refusing_unreadable(folder):
        inside = [path for path in folder.iterdir() if not is_left_out(path.name)]
        check_folder_links(inside)
        return sorted(path for path in inside if path.is_dir())


def list_members(file: SourceFile) -> list[Path]:
    """The files below a folder, sorted; links are followed.

    Hidden files and folders are left out, and what file browsers leave, such as Thumbs.db.

    Raises:
        DataError: a link leads to a folder that contains it, there are too many, or a folder cannot be read.
    """
    with refusing_unreadable(file.path):
        return _walk(file.path)


def _walk(top: Path) -> list[Path]:
    found = []
    links = 0
    for folder, folders, names in os.walk(top, onerror=raise_error, followlinks=True):
        folders[:] = sorted(name for name in folders if not is_left_out(name))
        for name in folders:
            path = Path(folder, name)
            if not path.is_symlink():
                continue
            links += 1
            is_loop = path.resolve() in [parent.resolve() for parent in path.parents]
            if is_loop or links > MAX_LINKS:
                what = (
                    "leads to a folder that contains it" if is_loop else f"comes after {MAX_LINKS:,} others"
                )
                raise DataError(f"The link {what}.", where=str(path), fix="Remove the link.")
        found += [Path(folder, name) for name in names if not is_left_out(name)]
    return sorted(found)


def measure(file: SourceFile) -> int:
    """Bytes of a file, or of all files below a folder."""
    if file.path.is_dir():
        return sum(member.stat().st_size for member in list_members(file) if member.is_file())
    return file.path.stat().st_size


def compute_source_sha256(file: SourceFile) -> str:
    """Of a file's bytes, or of the names and bytes of all files below a folder, and of the file that describes it."""
    if not file.path.is_dir():
        return compute_sha256(file.path)
    digest = hashlib.sha256()
    if file.beside is not None and file.beside.is_file():
        digest.update(compute_sha256(file.beside).encode())
    for member in list_members(file):
        if member.is_file():
            relative = member.relative_to(file.path).as_posix()
            digest.update(f"{relative}\0{compute_sha256(member)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def name_member(path: Path, file: SourceFile) -> str:
    """What messages call a file of a source: as the source is called, where it lies in its folder or beside it."""
    for folder, name in ((file.path, file.name), (file.path.parent, Path(file.name).parent.as_posix())):
        if path.is_relative_to(folder):
            return (Path(name) / path.relative_to(folder)).as_posix()
    return path.as_posix()


def resolve_files(
    patterns: str | Sequence[str], base: Path, *, folders: bool = False, endings: Sequence[str] = ()
) -> list[SourceFile]:
    """The files that a config's `path` means, in the order given, each glob sorted by name.

    Args:
        patterns: a file, a glob, `package:module/file`, or several of them.
        base: the folder that relative ones start from.
        folders: whether folders are meant, and not files.
        endings: where folders mean the files below them whose names end so, in small or capital letters.

    Raises:
        DataError: there is none, nothing matches one of them, or something in the way cannot be read.
    """
    if not patterns:
        raise DataError("No file is named.", where="data", fix="Name at least one under `path`.")
    found: dict[Path, SourceFile] = {}
    resolved_base = base.resolve()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        with refusing_unreadable(base):
            paths = _find_paths(pattern, base, folders, endings)
        for path in paths:
            resolved = path.resolve()
            found.setdefault(resolved, SourceFile(path, _compute_name(path, resolved, resolved_base)))
    return list(found.values())


def _find_paths(pattern: str, base: Path, folders: bool, endings: Sequence[str]) -> list[Path]:
    if pattern.startswith(PACKAGE):
        root, relative = _locate_package(pattern)
    else:
        root, relative = base, pattern
    if folders:
        return _match_folders(root, relative, pattern)
    if endings and (root / relative).is_dir():
        return _list_files(root / relative, endings)
    return _match(root, relative, pattern)


def _list_files(folder: Path, endings: Sequence[str]) -> list[Path]:
    """The files below a folder whose names end so, sorted.

    Raises:
        DataError: there is none; or a link that may be one of them, or a folder of them, leads nowhere.
    """
    members = list_members(SourceFile(folder, str(folder)))
    check_folder_links(members)
    found = [path for path in members if has_ending(path, endings)]
    for path in found:
        check_file(path)
    if not found:
        holds = f"; it holds {', '.join(path.name for path in members[:5])}" if members else ""
        raise DataError(
            f"No file below the folder ends in {' or '.join(endings)}{holds}.",
            where=str(folder),
            fix=f"Name the files themselves, with a glob: {folder.name}/**/*.ENDING",
        )
    return found


def count_skipped(patterns: str | Sequence[str], base: Path, endings: Sequence[str]) -> Counter[str]:
    """Ending → how many files with it are below the folders named, and are not among those that are read."""
    skipped: Counter[str] = Counter()
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        folder = base / pattern
        if not pattern.startswith(PACKAGE) and folder.is_dir():
            members = list_members(SourceFile(folder, pattern))
            skipped.update(path.suffix or path.name for path in members if not has_ending(path, endings))
    return skipped


def has_ending(path: Path, endings: Sequence[str]) -> bool:
    """Whether a file's name ends in one of several endings, in small or capital letters."""
    return path.name.casefold().endswith(tuple(endings))


def _match_folders(root: Path, relative: str, pattern: str) -> list[Path]:
    path = root / relative
    check_link(path)
    matches = [path] if path.exists() else match_glob(path)
    found = [match for match in matches if match.is_dir()]
    if not found:
        what = "is a file, not a folder" if matches else "matches no folder"
        fix = "Name the folder that holds a folder for each class." if matches else _suggest(path)
        raise DataError(describe_path(pattern, path, what), where=str(path), fix=fix)
    return found


def _match(root: Path, relative: str, pattern: str) -> list[Path]:
    path = root / relative
    if path.is_file():
        return [path]
    check_link(path)
    if path.is_dir():
        raise DataError(
            describe_path(pattern, path, "is a folder"),
            where=str(path),
            fix=f"Name its files, for example {pattern.rstrip('/')}/*.csv",
        )
    if path.exists():
        check_file(path, pattern)
    files = [match for match in match_glob(path) if not match.is_dir()]
    for match in files:
        check_file(match)
    if not files:
        named = "it" if pattern == str(path) else pattern
        raise DataError(f"No file matches {named}.", where=str(path), fix=_suggest(path))
    return files


def _suggest(path: Path) -> str:
    folder = path.parent
    while not folder.is_dir():
        folder = folder.parent
    names = sorted(
        entry.name + "/" * entry.is_dir() for entry in folder.iterdir() if not entry.name.startswith(".")
    )
    if not names:
        return f"{folder} is empty."
    wanted = path.relative_to(folder).parts[0]
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.4)
    if near:
        return f"Nearest names in {folder}: {', '.join(near)}"
    return f"{folder} holds {', '.join(names[:5])}{', …' if len(names) > 5 else ''}"


def _locate_package(pattern: str) -> tuple[Path, str]:
    module, _, relative = pattern[len(PACKAGE) :].partition("/")
    fix = "Write package:module/file, and install the package that holds it."
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", module) or not relative:
        raise DataError(f"{pattern} names no file in a package.", fix=fix)
    roots = find_module_folders(module)
    if not roots:
        raise DataError(f"There is no installed package {module}.", where=pattern, fix=fix)
    found = next((root for root in roots if (root / relative).exists()), roots[0])
    return found, relative


def name_source(path: Path, base: Path) -> SourceFile:
    """A file or folder as a source; `base` is the folder that relative paths start from."""
    return SourceFile(path, _compute_name(path, path.resolve(), base.resolve()))


def _compute_name(path: Path, resolved: Path, base: Path) -> str:
    try:
        return resolved.relative_to(base).as_posix()
    except ValueError:
        return path.as_posix()
