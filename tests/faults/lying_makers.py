"""What the tests of lying input share: `kerasft` as a process with its peak memory, and folders compared."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]

_MEASURE = """
import json, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
with open(sys.argv[1], "w") as file:
    json.dump({"code": code, "peak_mb": peak / (2**20 if sys.platform == "darwin" else 1024)}, file)
"""
"""A process's peak begins with that of the one that started it: a small one between gives its own."""


class Done(NamedTuple):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str
    peak_mb: float


def run_kerasft(
    *arguments: object, folder: Path, environment: Mapping[str, str] | None = None, seconds: float = 300
) -> Done:
    """Runs `python -m kerasft ARGUMENTS` in `folder`; killed, and -9 returned, after so many seconds."""
    measured = folder.parent / f".{folder.name}.measured.json"
    command = [sys.executable, "-m", "kerasft", *map(str, arguments)]
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", _MEASURE, str(measured), *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    killer = threading.Timer(seconds, os.killpg, (process.pid, 9))
    killer.start()
    try:
        stdout, stderr = process.communicate()
    finally:
        killer.cancel()
    if process.returncode:
        return Done(process.returncode, stdout, stderr, 0.0)
    found = json.loads(measured.read_text())
    measured.unlink()
    return Done(found["code"], stdout, stderr, found["peak_mb"])


def list_tree(folder: Path) -> dict[str, tuple[int, int]]:
    """Every name below `folder` with, where it is no folder, its size and time of change."""
    return {
        path.relative_to(folder).as_posix(): (0, 0)
        if path.is_dir()
        else (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


def make_sparse(path: Path, size_bytes: int, start: bytes = b"") -> Path:
    """A file of `start` and then NULs up to a size, which takes no room on most disks."""
    with open(path, "wb") as file:
        file.write(start)
        file.truncate(size_bytes)
    return path


def make_lambda(marker: Path) -> dict[str, Any]:
    """A Lambda layer as Keras writes it, whose code would create the file `marker`."""
    import keras

    layer = keras.layers.Lambda(eval(f"lambda x: (open({str(marker)!r}, 'w'), x)[1]"), name="lie")
    return keras.saving.serialize_keras_object(layer)
