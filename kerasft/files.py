"""Writing files and folders whole or not at all: temporary name, fsync, rename."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from kerasft.errors import StorageError, storage_error
from kerasft.printable import format_json


def fsync_folder(folder: Path) -> None:
    """Makes the folder's entries (names just created or renamed) durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fsync_file(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


@contextmanager
def whole_file(
    path: str | Path, *, before_replacing: Callable[[Path], None] = lambda temporary: None
) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on success it takes `path`'s place, on error it is removed.

    Args:
        path: the file.
        before_replacing: given the temporary file when it is finished, before it takes `path`'s place.

    Raises:
        StorageError: it cannot be written; `path` is as it was.
    """
    path = _name_itself(path)
    temporary = path.with_name(f".{path.name}.{_make_token()}.tmp{path.suffix}")
    with _told_as(path, temporary):
        _refuse_what_is_no_file(path)
        make_folder(path.parent)
        try:
            yield temporary
            _fsync_file(temporary)
            before_replacing(temporary)
            os.replace(temporary, path)
            fsync_folder(path.parent)
        finally:
            _remove(temporary)


def _name_itself(path: str | Path) -> Path:
    """The path with a name at its end, which `.` and `..` have not."""
    path = Path(path)
    return path if path.name not in ("", "..") else Path(os.path.abspath(path))


def _refuse_what_is_no_file(path: Path) -> None:
    """A folder has no file put in its place, nor has a device such as /dev/null."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise StorageError("is a device or a pipe, not a file.", where=str(path), fix="Name a file.")


def write_text(path: str | Path, text: str) -> None:
    """Writes UTF-8 text whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Writes indented JSON (NaN refused) whole or not at all."""
    write_text(path, format_json(value, indent=2, allow_nan=False) + "\n")


@contextmanager
def whole_folder(path: str | Path, *, replace: bool = True) -> Iterator[Path]:
    """Yields a temporary folder beside `path`; on success it becomes `path`, on error it is removed.

    What stands at `path` is moved aside first and deleted after the new one is in place. A process that is killed
    between the two leaves nothing at `path`; `sweep_leftovers` puts the old one back.

    Args:
        path: the folder.
        replace: whether to put it in the place of what stands there; else a folder with anything in it, or a
            file, stays.

    Raises:
        FileExistsError: something stands at `path`, and is not to be replaced.
        StorageError: it cannot be written; `path` is as it was.
    """
    path = _name_itself(path)
    token = _make_token()
    temporary = path.with_name(f".{path.name}.{token}.tmp")
    with _told_as(path, temporary):
        make_folder(path.parent)
        temporary.mkdir()
        try:
            yield temporary
            for folder, _, names in os.walk(temporary):
                for name in names:
                    _fsync_file(Path(folder) / name)
                fsync_folder(Path(folder))
            if replace and os.path.lexists(path):
                _swap(temporary, path, path.with_name(f".{path.name}.{token}.old"))
            else:
                _move(temporary, path)
        finally:
            _remove(temporary)


def _swap(temporary: Path, path: Path, old: Path) -> None:
    """Puts `temporary` in the place of `path`, whose old content then is `temporary`."""
    try:
        os.replace(path, old)
        os.replace(temporary, path)
    except BaseException:
        if os.path.lexists(old) and not os.path.lexists(path):
            os.replace(old, path)
        raise
    fsync_folder(path.parent)
    # `.old` is always whole: one that is being deleted has the temporary's name
    os.replace(old, temporary)


def _move(temporary: Path, path: Path) -> None:
    try:
        os.rename(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        raise
    fsync_folder(path.parent)


@contextmanager
def _told_as(path: Path, temporary: Path) -> Iterator[None]:
    """Makes a `StorageError` of what the disk refuses, in which `path` is named and not its temporary."""
    try:
        yield
    except Exception as error:
        failure = storage_error(error, path, temporary)
        if failure is None:
            raise
        raise failure from error


def _make_token() -> str:
    return uuid.uuid4().hex[:8]


def make_folder(path: Path) -> None:
    """Makes a folder and those it lies in, where they are not there.

    Raises:
        NotADirectoryError: a file stands there, or in the place of one of them.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from error


def _remove(path: Path) -> None:
    """Deletes a file, a link or a folder, as far as that can be done."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


_LEFTOVER = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.(?P<kind>tmp|old)(?P<suffix>\.[^.]+)?", re.DOTALL)


_SYSTEM_NAMES = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx"))
"""What file browsers and archivers leave in folders, besides hidden files."""


def is_left_out(name: str) -> bool:
    """Whether a file or folder of this name is nobody's own: hidden, or left by a file browser, such as Thumbs.db."""
    return name.startswith(".") or name.casefold() in _SYSTEM_NAMES


def remove_folder(path: Path) -> None:
    """Deletes a folder; it is out of sight first, so that no half of it is ever seen."""
    hidden = path.with_name(f".{path.name}.{_make_token()}.tmp")
    os.replace(path, hidden)
    _remove(hidden)


def sweep_leftovers(folder: str | Path) -> None:
    """Clears away what killed processes left in a folder that nobody else writes to now.

    The temporaries of `whole_file` and `whole_folder` are deleted; a folder that was moved aside, and whose
    successor never came, is put back. Nothing else is touched, and folders below are not looked into.

    Args:
        folder: as it was named to them, less the last part; it need not exist.
    """
    folder = Path(folder)
    if not folder.is_dir():
        return
    moved: list[tuple[int, Path, Path]] = []
    for entry in list(folder.iterdir()):
        found = _LEFTOVER.fullmatch(entry.name)
        if found is None or (found["suffix"] and found["suffix"] != Path(found["name"]).suffix):
            continue
        if found["kind"] == "tmp":
            _remove(entry)
        elif not found["suffix"]:
            moved.append((entry.lstat().st_ctime_ns, entry, folder / found["name"]))
    for _, old, path in sorted(moved, reverse=True):
        if os.path.lexists(path):
            rubbish = old.with_suffix(".tmp")
            os.replace(old, rubbish)
            _remove(rubbish)
        else:
            os.replace(old, path)
    fsync_folder(folder)


def measure_folder(folder: str | Path) -> int:
    """Bytes of all files in and below a folder; 0 where there is none."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            # another process may remove or rename what lies there
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def compute_sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compute_fingerprint(value: Any) -> str:
    """16 hexadecimal digits that change when the JSON-able `value` does."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
