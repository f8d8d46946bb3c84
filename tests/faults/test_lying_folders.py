"""A run folder and a working folder from someone else: nothing is written outside the run, no program is started."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_lying_writes import CALLS, find_changed, find_elsewhere, trace, traced

__all__ = ["traced"]

ALLOWED_PROGRAMS = {
    "fc-list": "Matplotlib asks it for the system's fonts, once in a home folder; its words come from no input"
}
COMMANDS = {
    "predict": ["predict", "{run}", "a text"],
    "evaluate": ["evaluate", "{run}"],
    "finetune": ["finetune", "{run}", "train.max_steps=20", "--restart", "--yes"],
}


def write_working_folder(work: Path) -> None:
    """Whatever programs and libraries might take from the folder that a command is given in."""
    touch = f"touch {work / 'executed'}"
    payload = f"open({str(work / 'executed')!r}, 'w')\n"
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    for key, value in {
        "core.fsmonitor": f"{touch}; false",
        "core.hooksPath": str(work / "hooks"),
        "core.pager": touch,
        "diff.external": touch,
    }.items():
        subprocess.run(["git", "-C", str(work), "config", key, value], check=True)
    (work / "hooks").mkdir()
    for name in ("fsmonitor-watchman", "post-index-change", "reference-transaction"):
        (work / "hooks" / name).write_text(f"#!/bin/sh\n{touch}\n")
        (work / "hooks" / name).chmod(0o755)
    for name in (
        "sitecustomize",
        "usercustomize",
        "json",
        "typing",
        "numpy",
        "keras",
        "tensorflow",
        "payload",
    ):
        (work / f"{name}.py").write_text(payload)
    (work / "kerasft").mkdir()
    (work / "kerasft" / "__init__.py").write_text(payload)
    (work / "matplotlibrc").write_text("text.usetex: True\nbackend: module://payload\n")
    (work / "keras.json").write_text('{"backend": "jax"}')
    (work / "uname").write_text(f"#!/bin/sh\n{touch}\n")
    (work / "uname").chmod(0o755)
    os.mkfifo(work / ".env")
    (work / "runs").mkdir()


def list_programs(root: Path) -> list[str]:
    """The programs that the traced command started, itself aside."""
    lines = [
        line for file in (root / "trace").iterdir() for line in file.read_text(errors="replace").splitlines()
    ]
    started = (line for line in lines if line.startswith(("execve(", "execveat(")))
    known = ('"-m", "kerasft"', *(f'["{program}"' for program in ALLOWED_PROGRAMS))
    return [line for line in started if not any(word in line for word in known)]


def run_traced(root: Path, *arguments: str) -> tuple[int, str, list[str], list[str]]:
    """See `trace`; and the programs that were started. As the command `kerasft` is: without the working folder's
    modules."""
    returned, said, changed = trace(root, *arguments, calls=f"{CALLS},execve,execveat", flags=("-P",))
    return returned, said, changed, list_programs(root)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_hostile_working_folder_starts_and_changes_nothing(
    command: str, traced: Path, tiny_run: Any
) -> None:
    write_working_folder(traced / "work")
    shutil.copytree(tiny_run.path, traced / "work" / "runs" / "tiny")
    arguments = [word.format(run="runs/tiny") for word in COMMANDS[command]]
    returned, said, changed, programs = run_traced(traced, *arguments)
    assert returned == 0, said
    assert programs == []
    assert find_elsewhere(traced, changed, "tiny") == []
    assert not (traced / "work" / "executed").exists()


def put_link(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(path.parents[2].parent / "mine")


def put_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def move_folder(path: Path) -> None:
    target = path.parents[2].parent / path.name
    path.rename(target)
    path.symlink_to(target)


def nest(path: Path) -> None:
    path.write_text('{"a": ' * 20_000 + "1" + "}" * 20_000)


HOSTILE: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a lock that is a link": (".lock", put_link),
    "figures that are a link": ("metrics.jsonl", put_link),
    "a report that is a link": ("report.html", put_link),
    "checkpoints elsewhere": ("checkpoints", move_folder),
    "a dataset elsewhere": ("dataset", move_folder),
    "logs elsewhere": ("logs", move_folder),
    "a pipe": ("stages.json", put_pipe),
    "a deep record": ("task.json", nest),
}


@pytest.mark.slow
def test_a_hostile_run_folder_is_refused_by_every_command_and_nothing_is_changed(
    traced: Path, tiny_run: Any
) -> None:
    (traced / "mine").write_text("mine")
    for number, (name, act) in enumerate(HOSTILE.values()):
        folder = traced / "work" / "runs" / f"run-{number}"
        shutil.copytree(tiny_run.path, folder)
        if name == "task.json":  # its hash is right
            (folder / "hashes.json").unlink()
        act(folder / name)
        command = list(COMMANDS)[number % len(COMMANDS)]
        arguments = [word.format(run=f"runs/{folder.name}") for word in COMMANDS[command]]
        returned, said, changed, programs = run_traced(traced, *arguments)
        assert returned in (2, 3, 9), said
        assert name in said
        assert "Traceback" not in said
        assert programs == []
        assert find_elsewhere(traced, changed, folder.name) == []
        assert (traced / "mine").read_text() == "mine"
        shutil.rmtree(folder)


def test_a_program_that_was_started_is_seen(traced: Path) -> None:
    command = [
        "strace",
        "-ff",
        "-qq",
        "-etrace=execve",
        "-o",
        traced / "trace" / "of",
        sys.executable,
        "-I",
        "-c",
    ]
    subprocess.run([*command, "import subprocess; subprocess.run(['true'])"], check=True)
    assert any('"true"' in line for line in list_programs(traced))
    assert find_changed('execve("/bin/true", ["true"], 0x1 /* 3 vars */) = 0', traced) == []
