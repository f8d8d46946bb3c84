"""Whether samples may be written into a folder, whether they stand there already, and writing files that come along."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from kerasft.errors import ConfigError
from kerasft.files import whole_folder


def is_written(folder: Path, what: str, holds: Callable[[], bool]) -> bool:
    """Whether a folder holds exactly what would be written; False where it is new or empty.

    Args:
        folder: where to.
        what: is written, in the plural.
        holds: whether the folder, which is not empty, has that and nothing else.

    Raises:
        ConfigError: something else stands there.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError("is a file.", where=str(folder), fix="Name a folder.")
    if not folder.is_dir() or not any(folder.iterdir()):
        return False
    if not holds():
        raise ConfigError(
            f"is not empty, and does not contain exactly these {what}.",
            where=str(folder),
            fix="Name a new or an empty folder.",
        )
    return True


def write_files(folder: Path, what: str, contents: Mapping[str, bytes]) -> bool:
    """Writes files into a folder; all of them or none.

    Args:
        folder: new or empty, or one that holds exactly these files.
        what: the files are, in the plural.
        contents: of the files, by name.

    Returns:
        Whether anything was written; False where all of it stood there.

    Raises:
        ConfigError: something else stands at `folder`.
        StorageError: it cannot be written; `folder` is as it was.
    """
    if is_written(folder, what, lambda: _holds(folder, contents)):
        return False
    with whole_folder(folder) as temporary:
        for name, content in contents.items():
            (temporary / name).write_bytes(content)
    return True


def _holds(folder: Path, contents: Mapping[str, bytes]) -> bool:
    """Whether the folder has these files, to the byte, and nothing else."""
    found = {path.name for path in folder.iterdir()}
    return found == set(contents) and all(
        (folder / name).is_file()
        and not (folder / name).is_symlink()
        and (folder / name).read_bytes() == content
        for name, content in contents.items()
    )
