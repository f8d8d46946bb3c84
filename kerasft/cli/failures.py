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
from kerasft.errors import KerasftError, Terminated

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
        except KeyboardInterrupt as stop:
            _say(f"\nstopped: {str(stop) or 'nothing was changed.'}")
            raise typer.Exit(TERMINATED if isinstance(stop, Terminated) else INTERRUPTED) from None
        except BrokenPipeError:
            # Whoever read our output has seen enough; Python must not complain about it on its way out.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(BROKEN_PIPE) from None
        except KerasftError as error:
            if _shows_tracebacks():
                traceback.print_exc()
            _say(str(error) if "\n" in error.what else f"error: {error}")
            raise typer.Exit(error.exit_code) from None
        except Exception as error:
            _say(_describe_defect(error))
            raise typer.Exit(DEFECT) from None

    return run


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _shows_tracebacks() -> bool:
    return bool(os.environ.get(SHOW_TRACEBACKS))


def _describe_defect(error: Exception) -> str:
    summary = " ".join(f"{type(error).__name__}: {error}".split())
    if len(summary) > 300:
        summary = summary[:299] + "…"
    if _shows_tracebacks():
        traceback.print_exc()
        kept = ""
    else:
        descriptor, name = tempfile.mkstemp(prefix="kerasft-defect-", suffix=".txt")
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(f"kerasft {__version__}, Python {sys.version}\n{' '.join(sys.argv)}\n\n")
            file.write("".join(traceback.format_exception(error)))
        kept = f"\n  The traceback is in {name}; please report it. --traceback shows it here."
    return f"this is a defect in kerasft: {summary}{kept}"
