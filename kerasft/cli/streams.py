"""The standard streams of a command: all output goes through here and is made safe for a terminal."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

from kerasft.errors import StorageError
from kerasft.printable import make_printable


class SafeStream:
    """A text stream on which no text from elsewhere can command the terminal.

    Args:
        direct: the stream itself, for text that was made safe before (colours, say) or that is data in a file.
        lenient: what cannot be written is dropped: nothing ends because its progress cannot be told.
    """

    def __init__(self, direct: TextIO, *, lenient: bool = False):
        self.direct = direct
        self._lenient = lenient

    def write(self, text: str) -> int:
        with self._tolerating():
            self.direct.write(make_printable(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self._tolerating():
            self.direct.flush()

    def _tolerating(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.suppress(OSError) if self._lenient else contextlib.nullcontext()

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # by which libraries would write past this
            raise AttributeError(name)
        return getattr(self.direct, name)


class ClosedOutput:
    """Stands for standard output where there is none: writing to it is an error that says so."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        error = StorageError(
            "it is closed.", where="standard output", fix="Redirect it to a file, or to /dev/null."
        )
        error.errno, error.strerror = errno.EBADF, os.strerror(errno.EBADF)
        raise error

    def flush(self) -> None:
        return None

    def isatty(self) -> bool:
        return False


def get_direct(stream: TextIO) -> TextIO:
    """The stream that a `SafeStream` stands before; any other as it is."""
    return stream.direct if isinstance(stream, SafeStream) else stream


@contextlib.contextmanager
def standard_streams() -> Iterator[None]:
    """Standard input, output and error as the commands need them, whatever the caller left of them.

    Output that the terminal's encoding lacks is escaped; messages that cannot be written are dropped.
    """
    before = sys.stdin, sys.stdout, sys.stderr
    if None in before:
        _occupy_descriptors()
    sys.stdin = before[0] or open(os.devnull, encoding="utf-8")  # noqa: SIM115
    output, errors = before[1] or ClosedOutput(), before[2] or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (output, errors):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout = cast(TextIO, SafeStream(cast(TextIO, output)))
    sys.stderr = cast(TextIO, SafeStream(errors, lenient=True))
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before


def _occupy_descriptors() -> None:
    """Opens /dev/null in the place of closed standard streams: else the next file would take their numbers, and
    libraries would write their messages into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free is this one


def give_up_output() -> None:
    """What could not be written to standard output is dropped: Python must not complain on its way out."""
    try:
        number = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
