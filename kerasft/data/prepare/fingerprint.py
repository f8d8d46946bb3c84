"""A cheap fingerprint that shows whether data has changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from kerasft.data.config import DataConfig, Source
from kerasft.data.prepare.box_splits import take_box_splits
from kerasft.data.prepare.split_folders import take_split_folders
from kerasft.data.sources import SourceFile, fetch_source, list_members, note_skipped_files, resolve_source
from kerasft.errors import DataError
from kerasft.files import compute_fingerprint, compute_sha256
from kerasft.progress import Progress, Silent

HASHED_BYTES = 64 << 20
"""Files up to this size are hashed whole."""
_PIECE_BYTES = 1 << 20
SPLITS = ("train", "validation", "test")


def resolve_sources(config: DataConfig, base: Path) -> dict[str, list[SourceFile]]:
    """The files of each split that the config names; none of what is yet to be fetched.

    Raises:
        DataError: a path matches nothing.
    """
    return {name: resolve_source(source, base) for name, source in _list_sources(config)}


def settle_sources(config: DataConfig, base: Path, progress: Progress) -> DataConfig:
    """The section with each split's own source, where it names folders that hold several splits, or any format.

    Raises:
        DataError: a folder lacks the split that is meant, or it is not clear what it holds.
    """
    return take_box_splits(take_split_folders(config, base, progress), base, progress)


def fetch_sources(config: DataConfig, base: Path, progress: Progress) -> None:
    """Downloads what the config names by name alone, and is not on this machine yet.

    Raises:
        DataError: it cannot be had.
    """
    for _, source in _list_sources(config):
        fetch_source(source, base, progress)


def note_skipped(config: DataConfig, base: Path, progress: Progress) -> None:
    """Says which files in the folders that the config names are not read."""
    for _, source in _list_sources(config):
        note_skipped_files(source, base, progress)


def _list_sources(config: DataConfig) -> list[tuple[str, Source]]:
    sources = [(name, getattr(config, name)) for name in SPLITS]
    # a part of train has no files of its own
    return [(name, source) for name, source in sources if source is not None and name not in config.parts]


def compute_data_fingerprint(config: DataConfig, base: Path) -> str:
    """16 hexadecimal digits that change when the `data` section or a file that it names does.

    Files above 64 MiB are known by size, times of change, and their first and last MiB; smaller ones by their SHA-256;
    those below a folder by name, size and time of change.

    Raises:
        DataError: a path matches nothing, or a file cannot be read.
    """
    files = {
        split: [(file.name, _identify(file)) for file in files]
        for split, files in resolve_sources(settle_sources(config, base, Silent()), base).items()
    }
    return compute_fingerprint({"config": config.describe(), "files": files})


def _identify(source: SourceFile) -> list[Any]:
    try:
        if source.path.is_dir():
            told = [compute_sha256(source.beside)] if source.beside and source.beside.is_file() else []
            return told + [_identify_member(source.path, member) for member in list_members(source)]
        status = source.path.stat()
        if status.st_size <= HASHED_BYTES:
            return [compute_sha256(source.path)]
        digest = hashlib.sha256()
        with open(source.path, "rb") as file:
            digest.update(file.read(_PIECE_BYTES))
            file.seek(-_PIECE_BYTES, os.SEEK_END)
            digest.update(file.read())
    except OSError as error:
        raise DataError(
            f"The file cannot be read: {error.strerror or error}.",
            where=source.name,
            fix="Check its permissions and its disk.",
        ) from error
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, digest.hexdigest()]


def _identify_member(folder: Path, member: Path) -> list[Any]:
    status = member.lstat() if not member.exists() else member.stat()
    return [member.relative_to(folder).as_posix(), status.st_size, status.st_mtime_ns]
