"""Errors a user can act on: what went wrong, where, and what to do about it.

Everything that kerasft raises on purpose derives from `KerasftError`; the command line prints these
without a traceback and leaves with the class's `exit_code`.
"""

from __future__ import annotations


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
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.fix:
            lines.append(f"  {self.fix}")
        return "\n".join(lines)

    def __reduce__(self):
        return _rebuild, (type(self), self.what, self.where, self.fix)


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


class RunLockedError(KerasftError):
    """Another process is at work in the run folder."""

    exit_code = 8


class Terminated(KeyboardInterrupt):
    """SIGTERM: whoever started this process wants it to end now, with what there is saved."""
