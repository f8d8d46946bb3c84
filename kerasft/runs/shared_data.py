"""Prepared data that several runs share: one folder for the same data, which one process at a time writes to.

Under `data.cache_folder` it is named by the fingerprint of the prepare stage, and holds:

    <fingerprint>/
      .shared                         marks it: without it nothing is read from here, nor written to
      dataset/                        the prepared dataset
      cache/<split>-<fingerprint>/    arrays made of it; each encoder, or frozen net, has its own

What lies in it is written whole or not at all and is never replaced unless it is damaged, so reading needs no lock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kerasft.errors import DataError
from kerasft.files import sweep_leftovers, write_text
from kerasft.progress import Progress
from kerasft.runs.lock import owned
from kerasft.untrusted import check_tree

DATASET = "dataset"
CACHE = "cache"
PATIENCE_SECONDS = 6 * 3600.0
"""How long another process is waited for, which is preparing or encoding the same data."""
_MARK = ".shared"
_MARKED = (
    "Prepared data that runs of kerasft share (data.cache_folder). Remove the folder when no run needs it.\n"
)
_NAME = re.compile("[0-9a-f]{16}")


def locate(cache_folder: str, fingerprint: str) -> Path:
    """The folder of the data that the prepare stage has this fingerprint of."""
    return Path(cache_folder).absolute() / fingerprint


def is_shared(place: Path) -> bool:
    """Whether a folder is one of shared data; its name may come from a record that is not ours."""
    return place.is_absolute() and bool(_NAME.fullmatch(place.name)) and (place / _MARK).is_file()


def find_place(folder: Path) -> Path | None:
    """The folder of shared data that a cache's folder lies in; None where it is a run's own."""
    place = folder.parent.parent
    return place if folder.parent.name == CACHE and is_shared(place) else None


def check_place(place: Path, fix: str) -> None:
    """Makes sure that shared data are there, and that they are plain files and folders.

    Raises:
        DataError: they are not; `fix` is what to do about it.
    """
    if not is_shared(place) or not (place / DATASET).is_dir():
        raise DataError("the prepared data no longer exists", where=str(place / DATASET), fix=fix)
    check_tree(place)


@contextmanager
def written_by_one(place: Path, progress: Progress) -> Iterator[None]:
    """Holds a folder of shared data against other processes, and clears away what killed ones left.

    Raises:
        RunLockedError: another process holds it, for longer than one waits.
        StorageError: it cannot be written to.
    """
    with owned(place, progress.note, patience_seconds=PATIENCE_SECONDS):
        if not (place / _MARK).is_file():
            write_text(place / _MARK, _MARKED)
        for folder in (place, place / CACHE):
            sweep_leftovers(folder)
        yield
