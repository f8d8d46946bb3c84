"""Errors a user can act on: what went wrong, where, and what to do about it.

Everything that kerasft raises on purpose derives from `KerasftError`; the command line prints these
without a traceback and leaves with the class's `exit_code`.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kerasft.printable import make_line


class KerasftError(Exception):
    """An error with a message for the user.

    Args:
        what: what went wrong, one or two sentences.
        where: file, `file:line`, key path or command it concerns.
        fix: what the user can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None):
        self.what = what
        self.where = where
        self.fix = fix
        super().__init__(self.__str__())

    def __str__(self) -> str:
        lines = [f"{make_line(self.where)}: {self.what}" if self.where else self.what]
        if self.fix:
            lines.append(f"  {self.fix}")
        return "\n".join(lines)

    def __reduce__(self):
        return _rebuild, (type(self), self.what, self.where, self.fix)


_IN_PYTHON = (
    (re.compile(r"kerasft (?:run|finetune)(?: \S+)? --restart"), "kerasft.finetune(…, restart=True)"),
    (re.compile(r"--restart\b"), "restart=True"),
    (re.compile(r"--output\b"), "output="),
    (re.compile(r"output= (\S+)"), r"output=\1"),
)
"""What messages say of the command line → what they say to a caller from Python."""


@contextmanager
def worded_for_python() -> Iterator[None]:
    """Errors that pass through name Python's arguments in place of the command line's options."""
    try:
        yield
    except KerasftError as error:
        for pattern, words in _IN_PYTHON:
            error.fix = pattern.sub(words, error.fix) if error.fix else error.fix
        raise


def _rebuild(cls, what, where, fix):
    return cls(what, where=where, fix=fix)


class ConfigError(KerasftError):
    """The config or the command's arguments cannot be used."""

    exit_code = 2


class DataError(KerasftError):
    """The user's data cannot be used."""

    exit_code = 3


class PresetError(KerasftError):
    """A pre-trained model cannot be found, read or fetched."""

    exit_code = 4


class TrainingError(KerasftError):
    """Training stopped and cannot go on (a loss that is not finite, say)."""

    exit_code = 5


class ExportError(KerasftError):
    """An export was refused: what was written does not answer as the model does."""

    exit_code = 6


READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
"""The system's numbers of storage errors where something may not be written to."""


class StorageError(KerasftError, OSError):
    """A file cannot be written or read: the disk is full, read-only or damaged, or the user may not.

    It is an `OSError` too, with the system's `errno` and `strerror`, for whoever handles those.
    """

    exit_code = 7


_MAKE_ROOM = "Free space on that disk."
_NAME_ANOTHER = "Name another file or folder."
_MAKE_WRITABLE = "Mount it with write access, or name another folder."
_ALLOW = "Change its permissions (chmod, chown), or name another file or folder."
_CHECK_THE_DISK = "Check that disk, or name a folder on another."
_ALLOW_MORE_FILES = "Allow more open files (ulimit -n 1024), or close other programs."
_FIXES = {
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
    errno.EFBIG: "Allow larger files there (ulimit -f), or name a folder on another disk.",
    errno.EROFS: _MAKE_WRITABLE,
    errno.EIO: _CHECK_THE_DISK,
    errno.ESTALE: _CHECK_THE_DISK,
    errno.EACCES: _ALLOW,
    errno.EPERM: _ALLOW,
    errno.ENOTDIR: _NAME_ANOTHER,
    errno.EISDIR: _NAME_ANOTHER,
    errno.ENAMETOOLONG: _NAME_ANOTHER,
    errno.ENOENT: _NAME_ANOTHER,
    errno.ELOOP: _NAME_ANOTHER,
    errno.EMFILE: _ALLOW_MORE_FILES,
    errno.ENFILE: _ALLOW_MORE_FILES,
}
_GOES_ON = "What was finished is kept; run the same command again to continue."
_UNMISTAKABLE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE),
    *(errno.EMFILE, errno.ENFILE),
)
"""Sockets and processes raise the others as well: those count where a file is named."""
_CUT_SHORT = re.compile(r"\d+ requested and \d+ written")
"""What NumPy says when a file took less than it was given; it does not look at the reason."""


def storage_error(
    error: BaseException, path: str | Path | None = None, temporary: str | Path | None = None
) -> StorageError | None:
    """What an error of the disk means to the user, whichever library raised it.

    Args:
        error: as it was caught.
        path: the file or folder that was being written, where the error names none.
        temporary: the name that it was written under, which messages replace by `path`.

    Returns:
        The error to raise or tell; None where the disk is not to blame.
    """
    found = _find_reason(error)
    if found is None:
        return None
    code, reason, name = found
    where = name or str(path or "a file")
    if temporary is not None:
        where = where.replace(str(temporary), str(path), 1)
    what = f"cannot be {_name_deed(code, name)}: {reason}."
    failure = StorageError(what, where=where, fix=f"{_FIXES[code]} {_GOES_ON}")
    failure.errno, failure.strerror = code, reason
    return failure


def _find_reason(error: BaseException) -> tuple[int, str, str | None] | None:
    """The system's number and words, and the file's name where it is told."""
    if isinstance(error, KerasftError) and not isinstance(error, StorageError):
        return None
    cause: BaseException | None = error
    seen: set[int] = set()
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        found = _read_number(cause) or _read_text(cause)
        # an error that came of another's handling may be a defect: there only the unmistakable counts
        if found and (cause is error or found[0] in _UNMISTAKABLE):
            return found
        cause = cause.__cause__ or cause.__context__
    return None


def _read_number(error: BaseException) -> tuple[int, str, str | None] | None:
    if not isinstance(error, OSError) or error.errno not in _FIXES:
        return None
    if isinstance(error, StorageError):
        name = error.where
    else:
        name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else None
    if name is None and error.errno not in _UNMISTAKABLE:
        return None
    return error.errno, error.strerror or os.strerror(error.errno), name


def _read_text(error: BaseException) -> tuple[int, str, str | None] | None:
    """Libraries in other languages hand the system's words on, without its number."""
    if isinstance(error, OSError) and error.errno is not None:
        return None
    text = str(error)
    if isinstance(error, OSError) and (cut := _CUT_SHORT.search(text)):
        return errno.ENOSPC, f"the disk wrote less than requested ({cut.group()})", None
    ours = type(error).__module__ == "builtins" and not isinstance(error, OSError)
    for code in _UNMISTAKABLE if ours else _FIXES:
        if os.strerror(code) in text:
            return code, os.strerror(code), None
    return None


def _name_deed(code: int, name: str | None) -> str:
    if code in (errno.EIO, errno.ESTALE, errno.ENOENT, errno.ELOOP):
        return "read or written"
    unreadable = code in (errno.EACCES, errno.EPERM) and name and os.path.exists(name)
    return "read" if unreadable and not os.access(name or "", os.R_OK) else "written"


class RunLockedError(KerasftError):
    """Another process is at work in the run folder."""

    exit_code = 8


class DamagedError(DataError):
    """A file of a run, a dataset or a preset is not what kerasft wrote."""

    exit_code = 9


class RefusedInputs(KerasftError):
    """Some of the inputs could not be used; all others were answered."""

    exit_code = 10


class Terminated(KeyboardInterrupt):
    """SIGTERM: whoever started this process wants it to end now, with what there is saved."""
