"""Files that may come from someone else: never through a link, plain files only, within bounds, checked for shape.

A run folder can be a download, an archive or a colleague's copy. What kerasft reads back from one, and what it writes
into one under a name that stands there already, goes through here:

* `check_tree` looks through a folder once, before anything in it is used: no links, pipes or devices at any depth
  (of a run folder, among the files that kerasft opens: `kerasft.foreign.check_own_files`);
* `open_plain`, `read_bytes`, `read_text`, `read_json` and `iterate_json_lines` read (`load_json` leaves the naming of
  the file to its caller);
* `open_in_place` opens a file that is appended to or cut back.

What is wrong with a file becomes a `KerasftError` that names it. A file that is not there stays a `FileNotFoundError`.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

import pydantic

from kerasft.errors import DataError, KerasftError, storage_error
from kerasft.files import whole_file
from kerasft.json_values import describe_mismatch, parse_json

MAX_BYTES = 256 << 20
MAX_LINE_BYTES = 64 << 20
REMOVE_IT = "Remove it, or replace it by a copy of the file."

_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def name_kind(mode: int) -> str:
    """What a file's mode says it is, in words: `a file`, `a link`, `a pipe`, …"""
    return _KINDS.get(stat.S_IFMT(mode), "a file")


def check_tree(
    root: str | Path,
    error: type[KerasftError] = DataError,
    *,
    is_looked_at: Callable[[str], bool] = lambda name: True,
) -> None:
    """Makes sure that in and below a folder there are plain files and folders alone.

    Nothing is opened, so that a pipe is not waited for. The folder itself may be reached through a link: its name came
    from the user, what lies in it perhaps did not. One that is not there is in order.

    Args:
        root: the folder.
        error: what is raised.
        is_looked_at: name of what lies right in the folder → whether it, and what is below it, must be so.

    Raises:
        `error`: something else lies there, or a folder may not be read; it is named.
    """
    top = os.fspath(root)
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                found = [
                    (entry.path, _read_mode(entry))
                    for entry in entries
                    if folder != top or is_looked_at(entry.name)
                ]
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as refused:
            raise error(
                "cannot be read: permission denied.",
                where=folder,
                fix="Change its permissions (chmod), or remove it.",
            ) from refused
        for path, mode in found:
            if stat.S_ISDIR(mode):
                folders.append(path)
            elif not stat.S_ISREG(mode):
                raise error(_refuse(path, mode), where=path, fix=REMOVE_IT)


def _read_mode(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_mode
    except FileNotFoundError:  # somebody is at work there
        return stat.S_IFREG


def _refuse(path: str | Path, mode: int) -> str:
    noun = name_kind(mode)
    if stat.S_ISLNK(mode):
        with suppress(OSError):
            noun += f" to {os.readlink(path)}"
        return f"is {noun}: links in a run folder are not followed."
    return f"is {noun}, not a plain file."


def open_plain(path: str | Path, *, follow_links: bool = False) -> BufferedReader:
    """Opens a plain file for reading, and waits for nobody.

    Args:
        path: the file.
        follow_links: whether a link in its place to a plain file is followed: only where the user named the file.

    Raises:
        OSError: it is not there, or cannot be read.
        ValueError: it is no plain file.
    """
    try:
        # looked at before it is opened: opening a device may do something
        _check_plain(os.stat(path, follow_symlinks=follow_links).st_mode)
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_links else os.O_NOFOLLOW)
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError("it is a link, which is not followed") from None
        raise
    return _take(descriptor, "rb")


def open_in_place(path: str | Path, *, create: bool = True) -> BinaryIO:
    """Opens a file for writing what is there already: not emptied; does not follow a link.

    One with a second name elsewhere (a hard link, as backups make them) gets a copy in its place first: what stands
    under the other name stays as it is.

    Args:
        path: the file; its folder exists.
        create: whether it is made where it is not there.

    Returns:
        Readable and writable, at the file's beginning; to be flushed where others look.

    Raises:
        StorageError: the disk is full or read-only, say.
        DataError: it is no plain file.
        FileNotFoundError: it is not there, and is not to be made.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_CREAT if create else 0)
    with naming(path):
        with suppress(FileNotFoundError):  # it may have gone meanwhile: a lock is removed by its owner
            _check_plain(os.lstat(path).st_mode)
        file = _open_again(path, flags)
        if os.fstat(file.fileno()).st_nlink > 1:
            with file, whole_file(path) as temporary, open(temporary, "wb") as copy:
                shutil.copyfileobj(file, copy)
            file = _open_again(path, flags)
    return file


def _open_again(path: str | Path, flags: int) -> BinaryIO:
    try:
        return _take(os.open(path, flags, 0o644), "r+b")
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ValueError("it is a link, which is not followed") from None
        raise


def _take(descriptor: int, mode: str) -> Any:
    try:
        _check_plain(os.fstat(descriptor).st_mode)
    except ValueError:
        os.close(descriptor)
        raise
    return open(descriptor, mode)


def _check_plain(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise ValueError(f"it is {name_kind(mode)}, not a plain file")


@contextmanager
def naming(path: str | Path, error: type[KerasftError] = DataError, fix: str = REMOVE_IT) -> Iterator[None]:
    """Makes an `error` that names the file of whatever a file of the wrong kind, size, shape or depth leads to.

    A file that is not there stays a `FileNotFoundError`, a `KerasftError` what it is, and what the disk refuses becomes
    a `StorageError`.
    """
    try:
        yield
    except (KerasftError, FileNotFoundError):
        raise
    except pydantic.ValidationError as found:
        raise error(f"is damaged: {describe_mismatch(found)}", where=str(path), fix=fix) from found
    except OSError as found:
        failure = storage_error(found, path)
        raise failure or error(
            f"cannot be read: {found.strerror or found}", where=str(path), fix=fix
        ) from found
    except RecursionError as found:
        raise error("is damaged: it is nested too deeply", where=str(path), fix=fix) from found
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as found:
        told_so = " ".join(str(found).split())[:300] or type(found).__name__
        if isinstance(found, KeyError):
            told_so = f"it lacks {told_so}"
        raise error(f"is damaged: {told_so}", where=str(path), fix=fix) from found


def read_bytes(
    path: str | Path,
    *,
    max_bytes: int = MAX_BYTES,
    error: type[KerasftError] = DataError,
    fix: str = REMOVE_IT,
    follow_links: bool = False,
) -> bytes:
    """A plain file's bytes; for `follow_links` see `open_plain`.

    Raises:
        FileNotFoundError: it is not there.
        `error`: it is no plain file, has more than `max_bytes`, or cannot be read.
    """
    with naming(path, error, fix):
        return _load_bytes(path, max_bytes, follow_links)


def _load_bytes(path: str | Path, max_bytes: int, follow_links: bool = False) -> bytes:
    with open_plain(path, follow_links=follow_links) as file:
        content = file.read(max_bytes + 1)
        if len(content) > max_bytes:
            size = max(os.fstat(file.fileno()).st_size, len(content))
            raise ValueError(f"it has {size:,} bytes, and may have {max_bytes:,}")
    return content


def read_text(
    path: str | Path,
    *,
    max_bytes: int = MAX_BYTES,
    error: type[KerasftError] = DataError,
    fix: str = REMOVE_IT,
) -> str:
    """A plain file's UTF-8 text; raises as `read_bytes` does, also where it is no UTF-8."""
    with naming(path, error, fix):
        return _load_bytes(path, max_bytes).decode("utf-8")


def load_json(
    path: str | Path,
    schema: Any = dict[str, Any],
    *,
    max_bytes: int = MAX_BYTES,
    follow_links: bool = False,
) -> Any:
    """A plain file's JSON value, for callers who name the file themselves; see `read_json`.

    Raises:
        OSError: it is not there, or cannot be read.
        ValueError: it is no plain file, too large, no JSON, nested too deeply, or of another shape.
    """
    return parse_json(_load_bytes(path, max_bytes, follow_links), schema)


def read_json(
    path: str | Path,
    schema: Any = dict[str, Any],
    *,
    max_bytes: int = MAX_BYTES,
    error: type[KerasftError] = DataError,
    fix: str = REMOVE_IT,
) -> Any:
    """A plain file's JSON value.

    Args:
        path: the file.
        schema: what it must hold: a type that pydantic checks, strictly (a text is no number); an object by default.
            Keys that a model does not name may be there.
        max_bytes: how large it may be.
        error, fix: what is raised, and what it advises.

    Returns:
        The plain value, as JSON has it (not the model).

    Raises:
        FileNotFoundError: it is not there.
        `error`: it is no plain file, too large, no JSON, nested too deeply, or of another shape.
    """
    with naming(path, error, fix):
        return load_json(path, schema, max_bytes=max_bytes)


def iterate_json_lines(
    path: str | Path,
    schema: Any = dict[str, Any],
    *,
    error: type[KerasftError] = DataError,
    fix: str = REMOVE_IT,
) -> Iterator[Any]:
    """The values of a file with one on each line, one after the other; empty lines are passed over.

    Raises:
        as `read_json`; the line is named.
    """
    with naming(path, error, fix):
        file = open_plain(path)
    with file:
        for number in range(1, 1 << 62):
            with naming(f"{path}:{number}", error, fix):
                line = file.readline(MAX_LINE_BYTES + 1)
                if not line:
                    return
                if len(line) > MAX_LINE_BYTES:
                    raise ValueError(f"the line has more than {MAX_LINE_BYTES:,} bytes")
                value = parse_json(line, schema) if line.strip() else None
            if value is not None:
                yield value
