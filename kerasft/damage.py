"""Compares files with the hashes that `kerasft.integrity` recorded when they were written."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kerasft.errors import DamagedError
from kerasft.integrity import Hashes, hash_bytes, hash_file, read_hashes
from kerasft.untrusted import read_bytes


def find_damage(
    folder: Path, name: str, hashes: Hashes | None = None, *, follow_links: bool = False
) -> str | None:
    """What is wrong with one file, in words; None where it is as it was written, or nothing is recorded of it.

    Args:
        folder: with the record.
        name: the file's path in it, with `/`.
        hashes: the folder's record, where it was read already.
        follow_links: whether links are followed: only in a folder that the user named.

    Raises:
        DamagedError: the record is.
    """
    recorded = (read_hashes(folder, follow_links=follow_links) if hashes is None else hashes) or {}
    if name not in recorded:
        return None
    try:
        return recorded[name].find_damage(hash_file(folder / name, follow_links=follow_links))
    except FileNotFoundError:
        return None if recorded[name].is_new else "it is missing"
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    except ValueError as error:
        return str(error)


def check_file(path: Path, fix: str, folder: Path | None = None, *, follow_links: bool = False) -> None:
    """Refuses a file that is not as it was written; one of which nothing is recorded is let pass.

    Args:
        path: the file.
        fix: how it is made anew.
        folder: with the record; the file's own by default.
        follow_links: whether links are followed: only in a folder that the user named.

    Raises:
        DamagedError: it is damaged, or the record is.
    """
    folder = folder or path.parent
    name = path.relative_to(folder).as_posix()
    damage = find_damage(folder, name, follow_links=follow_links)
    if (
        damage is not None and find_damage(folder, name, follow_links=follow_links) is not None
    ):  # it was not replaced meanwhile
        raise DamagedError(f"the file is damaged: {damage}", where=str(path), fix=fix)


def check_folder(
    folder: Path, fix: str, *, besides: tuple[str, ...] = (), follow_links: bool = False
) -> None:
    """Refuses a folder with a recorded file that is not as it was written.

    Args:
        folder: with the record.
        fix: how it is made anew.
        besides: ends of the names of files that are not opened, and not looked at.
        follow_links: whether a link to a plain file stands for it (stores of data keep a folder's files elsewhere,
            and links in it): only in a folder that the user named.

    Raises:
        DamagedError: a file is damaged or missing, or the record is.
    """
    hashes = read_hashes(folder, follow_links=follow_links) or {}
    for name in hashes:
        if name.endswith(besides or "\0"):
            continue
        if find_damage(folder, name, hashes, follow_links=follow_links):
            check_file(folder / name, fix, folder, follow_links=follow_links)


def read_checked(path: Path, fix: str, folder: Path | None = None) -> bytes:
    """A small file's bytes, once they are found to be those that were written; see `check_file`.

    Raises:
        FileNotFoundError: it is not there.
        DamagedError: it is damaged or no plain file, or the record is damaged.
    """
    folder = folder or path.parent
    name = path.relative_to(folder).as_posix()
    for attempt in (1, 2):  # it may be replaced between the two readings
        content = read_bytes(path, error=DamagedError, fix=fix)
        recorded = (read_hashes(folder) or {}).get(name)
        damage = recorded.find_damage(hash_bytes(content)) if recorded else None
        if damage is None:
            break
        if attempt == 2:
            raise DamagedError(f"the file is damaged: {damage}", where=str(path), fix=fix)
    return content


def find_damage_below(folder: Path, places: Iterable[Path]) -> str | None:
    """What is wrong with the first of some files and folders that is not as it was written, in words.

    Args:
        folder: the one that they lie in, with a record of those that have none of their own.
        places: files, and folders with a record of their own or without.

    Raises:
        DamagedError: a record of hashes is damaged.
    """
    known = read_hashes(folder) or {}
    for place in places:
        inside = read_hashes(place) if place.is_dir() else None
        if inside is None:  # it holds no record of its own
            part = place.relative_to(folder)
            around, hashes = folder, {n: one for n, one in known.items() if Path(n).is_relative_to(part)}
        else:
            around, hashes = place, inside
        for name in hashes:
            damage = find_damage(around, name, hashes)
            if damage is not None:
                return f"{around / name} is damaged: {damage}."
    return None
