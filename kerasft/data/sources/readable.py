"""Looks whether what a config names can be read, so that no file or folder is passed over silently."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kerasft.errors import DataError

_NAME_OF_A_FILE = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,4}$")


def match_glob(path: Path) -> list[Path]:
    """What a glob matches, sorted.

    Raises:
        DataError: a match is a link that leads nowhere.
        OSError: a folder that the glob looks into cannot be read.
    """
    check_globbed(path)
    matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
    for match in matches:
        check_link(match)
    return matches


def check_globbed(path: Path) -> None:
    """Looks whether all folders that a glob looks into can be read: `glob` itself passes over those that cannot.

    Raises:
        OSError: one cannot.
    """
    for place in (path, *path.parents):
        if glob.has_magic(place.name):
            listed = place if "**" in place.name else place.parent
            for folder in glob.glob(os.path.join(listed, ""), recursive=True):
                os.scandir(folder).close()


def check_file(path: Path, pattern: str = "") -> None:
    """Looks whether something is a file, which can be read more than once.

    Raises:
        DataError: it is a link that leads nowhere, a pipe or a device.
    """
    check_link(path)
    if not path.is_file():
        raise DataError(
            describe_path(
                pattern or path.name, path, "is neither a file nor a folder, but a pipe or a device"
            ),
            where=str(path),
            fix=f"The data is read more than once: write it to a file first, for example cat {path} > data.jsonl",
        )


def describe_path(pattern: str, path: Path, what: str) -> str:
    """What is wrong with a path, which is not named again where the place of the error is just it."""
    return f"{what}." if pattern == str(path) else f"{pattern} {what}."


def check_folder_links(paths: Sequence[Path]) -> None:
    """Looks whether one of them is a link that leads nowhere, and has no ending, as folders have none.

    Raises:
        DataError: it is.
    """
    for path in paths:
        if not _NAME_OF_A_FILE.search(path.name):
            check_link(path)


@contextmanager
def refusing_unreadable(folder: Path) -> Iterator[None]:
    """Around looking into a folder and those below.

    Raises:
        DataError: one of them cannot be read.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"It cannot be read: {error.strerror or error}.",
            where=str(error.filename or folder),
            fix="Check its permissions and its disk, or move it elsewhere.",
        ) from error


def raise_error(error: OSError) -> None:
    """For `os.walk`, which by default passes over folders that it cannot read."""
    raise error


def check_link(path: Path) -> None:
    """Looks whether a path is a link that leads nowhere.

    Raises:
        DataError: it is.
    """
    if path.is_symlink() and not path.exists():
        raise DataError(
            f"{path.name} is a link to {os.readlink(path)}, which is not there.",
            where=str(path),
            fix="Make its target available, or remove the link.",
        )
