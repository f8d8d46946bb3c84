"""What a failing command prints and returns: a message, an exit code, and a traceback if it is a bug."""

from __future__ import annotations

import functools
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import Any

import typer

from kerasft import __version__
from kerasft.cli.streams import give_up_output
from kerasft.config.problems import InvalidConfig
from kerasft.errors import KerasftError, Terminated, storage_error

INTERRUPTED = 130
TERMINATED = 143
BROKEN_PIPE = 141
DEFECT = 70
"""Exit codes: of Ctrl-C, of SIGTERM, of a reader that went away, and of a bug in kerasft itself."""

SHOW_TRACEBACKS = "KERASFT_TRACEBACK"


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """A command that ends with a message and an exit code instead of a traceback."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
            sys.stdout.flush()
        except typer.Exit:
            raise
        except (Exception, KeyboardInterrupt) as error:
            raise typer.Exit(end_with(error)) from None

    return run


def end_with(error: Exception | KeyboardInterrupt) -> int:
    """Says what ended a command; returns the exit code."""
    if isinstance(error, typer.Abort):  # Ctrl-C or the end of the input at a question
        _say("\nstopped; nothing was changed.")
        return INTERRUPTED
    if isinstance(error, KeyboardInterrupt):
        _say(f"\nstopped: {str(error) or 'nothing was changed.'}")
        return TERMINATED if isinstance(error, Terminated) else INTERRUPTED
    if isinstance(error, BrokenPipeError):
        give_up_output()  # whoever read it has seen enough
        return BROKEN_PIPE
    user_error = _find_user_error(error)
    if user_error is None:
        _say(_describe_defect(error))
        return DEFECT
    if _shows_tracebacks():
        _say(traceback.format_exc())
    _say(str(user_error) if isinstance(user_error, InvalidConfig) else f"error: {user_error}")
    return user_error.exit_code


def _find_user_error(error: Exception) -> KerasftError | None:
    """What the user can act on; None where it is a defect."""
    try:
        sys.stdout.flush()
    except OSError:
        give_up_output()
    if isinstance(error, KerasftError):
        return error
    # files that kerasft writes are named by those who write them
    return storage_error(error, "standard output or a file")


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _shows_tracebacks() -> bool:
    return bool(os.environ.get(SHOW_TRACEBACKS))


def _describe_defect(error: Exception) -> str:
    summary = " ".join(f"{type(error).__name__}: {error}".split())
    if len(summary) > 300:
        summary = summary[:299] + "…"
    kept = ""
    if _shows_tracebacks():
        _say(traceback.format_exc())
    else:
        try:
            name = _keep_traceback(error)
            kept = f"\n  The traceback is in {name}; please report it. --traceback shows it here."
        except OSError:  # no room for temporary files
            kept = "\n  Please report it, with what --traceback shows."
    return f"this is a bug in kerasft: {summary}{kept}"


def _keep_traceback(error: Exception) -> str:
    descriptor, name = tempfile.mkstemp(prefix="kerasft-defect-", suffix=".txt")
    with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"kerasft {__version__}, Python {sys.version}\n{' '.join(sys.argv)}\n\n")
        file.write("".join(traceback.format_exception(error)))
    return name
