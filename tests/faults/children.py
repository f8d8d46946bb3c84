"""Commands in processes that are killed for real, and what they leave behind.

A child is forked from a server that has imported what every command needs, so that sixty of them take minutes; it
computes nothing before it is forked.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PRELOADED = ["tensorflow", "keras_hub", "tensorflow_datasets", "kerasft.cli.main", "kerasft.training.fit"]
LIMIT_SECONDS = 240


def _main(arguments: list[str], log: str, errors: str | None = None) -> None:
    for stream, path in ((1, log), (2, errors or log)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), stream)
    sys.argv = ["kerasft", *arguments]
    from kerasft.cli.main import main

    code = main(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class Child:
    """One command, `kerasft ARGUMENTS`.

    Args:
        log: the file that its output is added to.
        arguments: of the command line.
        errors: another file for what goes to standard error.
    """

    def __init__(self, log: Path, *arguments: object, errors: Path | None = None):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self.log = log
        self._start = log.stat().st_size if log.exists() else 0
        words = [str(word) for word in arguments]
        self.process: Any = context.Process(
            target=_main, args=(words, str(log), errors and str(errors)), daemon=True
        )
        self.process.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_running(self) -> bool:
        return self.process.is_alive()

    @property
    def output(self) -> str:
        """What it has written so far."""
        if not self.log.exists():
            return ""
        return self.log.read_bytes()[self._start :].decode("utf-8", "replace")

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and waits until it is gone."""
        self.send(signal.SIGKILL)
        self.wait()

    def wait(self, seconds: float = LIMIT_SECONDS) -> int:
        """Its exit code; minus the signal's number where one ended it."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.send(signal.SIGKILL)
            self.process.join()
            raise AssertionError(f"the child did not end within {seconds} s:\n{self.output}")
        return self.process.exitcode

    def wait_until(self, condition: Callable[[], bool], seconds: float = LIMIT_SECONDS) -> bool:
        """Polls until the condition holds; False where the child ended before."""
        end = time.monotonic() + seconds
        while self.is_running:
            if condition():
                return True
            if time.monotonic() > end:
                self.kill()
                raise AssertionError(f"nothing came within {seconds} s:\n{self.output}")
            time.sleep(0.0005)
        return False


@contextlib.contextmanager
def running(log: Path, *arguments: object) -> Iterator[Child]:
    """A child that does not outlive the block."""
    child = Child(log, *arguments)
    try:
        yield child
    finally:
        if child.is_running:
            child.kill()


def run(log: Path, *arguments: object) -> Child:
    """A command that is let run to its end."""
    child = Child(log, *arguments)
    child.wait()
    return child


def run_command(*arguments: object) -> subprocess.CompletedProcess[str]:
    """A command that is let run to its end, as `subprocess.run` tells of it; it reads nothing from standard input."""
    with tempfile.TemporaryDirectory() as folder:
        out, errors = Path(folder, "out"), Path(folder, "errors")
        child = Child(out, *arguments, errors=errors)
        code = child.wait()
        told = [path.read_text("utf-8", "replace") for path in (out, errors)]
    return subprocess.CompletedProcess(["kerasft", *map(str, arguments)], code, *told)


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """The whole lines of a run's metrics.jsonl."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def read_steps(folder: Path) -> list[int]:
    """The steps of metrics.jsonl's lines that are a step's."""
    return [row["step"] for row in read_rows(folder) if "learning_rate" in row]


def read_last_step(folder: Path) -> int:
    """The last step that was done."""
    return max(read_steps(folder), default=0)
