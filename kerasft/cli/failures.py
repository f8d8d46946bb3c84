"""What a command leaves behind when it fails: a message, an exit code, and a traceback where it is a defect."""

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
from kerasft.config.problems import InvalidConfig
from kerasft.errors import KerasftError, Terminated, storage_error

INTERRUPTED = 130
TERMINATED = 143
BROKEN_PIPE = 141
DEFECT = 70
"""Exit codes: of Ctrl-C, of SIGTERM, of a reader that went away, and of a defect in kerasft itself."""

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
        except typer.Abort:  # Ctrl-C or the end of the input at a question
            _say("\nstopped: nothing was changed.")
            raise typer.Exit(INTERRUPTED) from None
        except KeyboardInterrupt as stop:
            _say(f"\nstopped: {str(stop) or 'nothing was changed.'}")
            raise typer.Exit(TERMINATED if isinstance(stop, Terminated) else INTERRUPTED) from None
        except BrokenPipeError:
            _give_up_output()  # whoever read it has seen enough
            raise typer.Exit(BROKEN_PIPE) from None
        except Exception as error:
            told = _find_user_error(error)
            if told is None:
                _say(_describe_defect(error))
                raise typer.Exit(DEFECT) from None
            if _shows_tracebacks():
                traceback.print_exc()
            _say(str(told) if isinstance(told, InvalidConfig) else f"error: {told}")
            raise typer.Exit(told.exit_code) from None

    return run


def _find_user_error(error: Exception) -> KerasftError | None:
    """What the user can act on; None where it is a defect."""
    if isinstance(error, KerasftError):
        return error
    try:
        sys.stdout.flush()
    except OSError:
        _give_up_output()
    # files that kerasft writes are named by those who write them
    return storage_error(error, "standard output or a file")


def _give_up_output() -> None:
    """What could not be written to standard output is dropped: Python must not complain on its way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
        traceback.print_exc()
    else:
        try:
            name = _keep_traceback(error)
            kept = f"\n  The traceback is in {name}; please report it. --traceback shows it here."
        except OSError:  # no room for temporary files
            kept = "\n  Please report it, with what --traceback shows."
    return f"this is a defect in kerasft: {summary}{kept}"


def _keep_traceback(error: Exception) -> str:
    descriptor, name = tempfile.mkstemp(prefix="kerasft-defect-", suffix=".txt")
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(f"kerasft {__version__}, Python {sys.version}\n{' '.join(sys.argv)}\n\n")
        file.write("".join(traceback.format_exception(error)))
    return name
