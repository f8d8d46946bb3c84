"""Disks that are full or read-only, commands in processes of their own, and what stands in a folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from needs import lacks

import kerasft

KIB = 1024


class SmallDisk:
    """A mounted file system of a few hundred KiB."""

    def __init__(self, path: Path):
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, leave: int) -> None:
        """Takes all room but `leave` bytes."""
        self.make_room()
        state = os.statvfs(self.path)
        size = state.f_bavail * state.f_frsize - leave
        with open(self._ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)

    def make_room(self) -> None:
        """Takes the ballast away."""
        self._ballast.unlink(missing_ok=True)

    def remount(self, mode: str) -> None:
        """Makes it read-only (`ro`) or writable (`rw`)."""
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.path)], check=True)


@contextmanager
def mount_small_disk(path: Path, size_bytes: int) -> Iterator[SmallDisk]:
    """A file system in memory, mounted at `path`; skips the test where that is not allowed."""
    path.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(path)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip(lacks("the right to mount a file system", "what becomes of full and read-only disks"))
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def make_environment() -> dict[str, str]:
    """Variables for a child that takes kerasft from where this process did, and writes no byte code."""
    root = str(Path(kerasft.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": "1"}


def read_tree(folder: Path) -> dict[str, bytes | None]:
    """All that is below a folder, by path: files' bytes, None for folders; hidden ones as well."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def list_hidden(folder: Path) -> list[str]:
    """The hidden entries below a folder, at any depth."""
    return [name for name in read_tree(folder) if any(part.startswith(".") for part in name.split("/"))]
