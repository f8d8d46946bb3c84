"""One owner a run folder: a lock that the system lets go of when its owner dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kerasft.errors import RunLockedError, storage_error
from kerasft.files import make_folder
from kerasft.json_values import parse_json
from kerasft.printable import format_json
from kerasft.untrusted import open_in_place

LOCK = ".lock"
_HELD = (errno.EWOULDBLOCK, errno.EACCES)
_PATIENCE_WITH_OTHER_HOSTS = 300.0
_UNSUPPORTED = (errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL)


class _PerhapsAbandoned(RunLockedError):
    """The lock is free, and its file names another host: its process died, or locks reach no further than a host."""


@contextmanager
def owned(
    folder: Path, report: Callable[[str], Any] = lambda message: None, *, patience_seconds: float = 0
) -> Iterator[None]:
    """Holds a run folder, so that no second process writes to it; makes the folder if need be.

    The lock is `flock`'s, on a file that also says who holds it: process, host, since when, doing what. The system
    frees it when the process ends, however that happens; what the dead one left in the file is overwritten. Where the
    file names another host, nobody here can tell whether that one still runs, and the folder is refused.

    Args:
        folder: the run's.
        report: told where a dead owner's lock was taken over, and where another owner is waited for.
        patience_seconds: how long to wait for another owner.

    Raises:
        RunLockedError: another process holds it, here or on another host.
        StorageError: the folder cannot be made or written to.
    """
    began = time.monotonic()
    until, waits = began + patience_seconds, False
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(_owned_at_once(folder, report))
                break
            except RunLockedError as error:
                if isinstance(error, _PerhapsAbandoned):
                    until = min(until, began + _PATIENCE_WITH_OTHER_HOSTS)
                left = until - time.monotonic()
                if left <= 0:
                    raise
                if not waits:
                    report(
                        f"Waiting up to {math.ceil(left)} s: {error.where}: {error.what}. {error.fix or ''}"
                    )
                    waits = True
            time.sleep(0.1)
        yield


@contextmanager
def _owned_at_once(folder: Path, report: Callable[[str], Any]) -> Iterator[None]:
    path, made = folder / LOCK, not folder.exists()
    try:
        make_folder(folder)
        descriptor = _open_locked(path)
    except OSError as error:
        failure = storage_error(error, folder, path)
        if failure is None:
            raise
        raise failure from error
    try:
        owner = _read_owner(descriptor)
        if owner:
            if owner.get("host") != socket.gethostname():
                raise _PerhapsAbandoned(
                    f"the folder is in use by {_describe(owner)}",
                    where=str(folder),
                    fix=f"If that process no longer exists, remove {path} and try again.",
                )
            report(f"The lock of {_describe(owner)}, which no longer exists, was taken over.")
        _write_owner(descriptor)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            if made:
                # where nothing came of it, nothing is left
                with contextlib.suppress(OSError):
                    folder.rmdir()
    finally:
        os.close(descriptor)


def _open_locked(path: Path) -> int:
    """A locked descriptor of the file that stands at `path` now, not of one that was removed meanwhile."""
    while True:
        with open_in_place(path) as file:
            descriptor = os.dup(file.fileno())
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = _read_owner(descriptor)
            os.close(descriptor)
            if error.errno in _HELD:
                raise _in_use(path, owner) from None
            if error.errno in _UNSUPPORTED:
                raise RunLockedError(
                    f"the file system cannot lock files ({error.strerror})",
                    where=str(path.parent),
                    fix="Put the run folder on another file system: --output DIR; copy it back at the end.",
                ) from error
            raise
        try:
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except FileNotFoundError:
            pass
        os.close(descriptor)


def _in_use(path: Path, owner: dict[str, Any]) -> RunLockedError:
    return RunLockedError(
        f"the folder is in use by {_describe(owner)}",
        where=str(path.parent),
        fix="Wait for it or stop it, or use another folder: --output DIR.",
    )


def _describe(owner: dict[str, Any]) -> str:
    if not owner:
        return "another process"
    return (
        f"process {owner.get('pid', '?')} on {owner.get('host', '?')} "
        f"(since {owner.get('since', '?')}: {owner.get('command', '?')})"
    )


def _read_owner(descriptor: int) -> dict[str, Any]:
    try:
        return parse_json(os.pread(descriptor, 1 << 16, 0) or b"{}")
    except ValueError:
        return {}


def _write_owner(descriptor: int) -> None:
    owner = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(sys.argv)[:1000],
    }
    os.ftruncate(descriptor, 0)
    # a disk without room for a line is told where something is to be written; the lock holds without it
    with contextlib.suppress(OSError):
        os.pwrite(descriptor, (format_json(owner) + "\n").encode(), 0)
