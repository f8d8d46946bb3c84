"""Whether samples may be written into a folder, and whether they stand there already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kerasft.errors import ConfigError


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
