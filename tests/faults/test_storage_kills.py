"""A process that is killed at any write, fsync or rename leaves the old content or the new one, never half of it."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from needs import lacks
from storage_makers import make_environment, read_tree

from kerasft.files import sweep_leftovers

CALLS = (
    "write",
    "fsync",
    "rename",
    "renameat",
    "renameat2",
    "mkdir",
    "mkdirat",
    "unlink",
    "unlinkat",
    "rmdir",
)

CHILD = """
import sys
from pathlib import Path
from kerasft.files import whole_file, whole_folder, write_text

kind, path = sys.argv[1], Path(sys.argv[2])
if kind == "file":
    with whole_file(path) as temporary, open(temporary, "wb", buffering=0) as file:
        for _ in range(3):
            file.write(b"new" * 1000)
else:
    with whole_folder(path) as folder:
        write_text(folder / "a.txt", "new")
        write_text(folder / "below" / "b.txt", "new")
print("done", flush=True)
"""
OLD = {
    "file": {"target": b"old"},
    "folder": {"target": None, "target/a.txt": b"old", "target/only_here": b"old"},
}
NEW = {
    "file": {"target": b"new" * 3000},
    "folder": {"target": None, "target/a.txt": b"new", "target/below": None, "target/below/b.txt": b"new"},
}

KILLS = "that a process killed at any of its writes leaves whole files"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("strace") is None, reason=lacks("strace", KILLS)),
]


@pytest.fixture(scope="module", autouse=True)
def may_trace() -> None:
    """Skips where a process must not be traced, as in some containers."""
    tried = subprocess.run(["strace", "-o", os.devnull, "-e", "inject=fsync:signal=SIGKILL", "true"])
    if tried.returncode:
        pytest.skip(lacks("the right to trace processes", KILLS))


def kill_at(call: str, count: int, *command: str) -> bool:
    """Runs a command that is killed as it enters a system call for the `count`-th time.

    Returns:
        Whether it came to that.
    """
    strace = ["strace", "-f", "-o", os.devnull, "-e", f"trace=?{call}"]
    strace += ["-e", f"inject=?{call}:signal=SIGKILL:when={count}"]
    done = subprocess.run([*strace, *command], capture_output=True, env=make_environment(), text=True)
    assert done.returncode in (0, 137, -9), done.stderr
    return done.returncode != 0


def write_tree(folder: Path, tree: dict[str, bytes | None]) -> None:
    folder.mkdir()
    for name, content in tree.items():
        if content is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(content)


def kill_everywhere(call: str, folder: Path, before: dict, kind: str) -> Iterator[tuple[str, dict]]:
    """What is in the folder after each kill at that call, once it was swept."""
    for count in itertools.count(1):
        place = folder / f"{call}-{count}"
        write_tree(place, before)
        killed = kill_at(call, count, sys.executable, "-c", CHILD, kind, str(place / "target"))
        sweep_leftovers(place)
        yield f"{call} {count}" if killed else "finished", read_tree(place)
        if not killed:
            return


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("there", [True, False], ids=["over an old one", "where nothing was"])
def test_a_kill_leaves_the_old_or_the_new_one_whole(tmp_path: Path, kind: str, there: bool) -> None:
    before = OLD[kind] if there else {}

    def collect(call: str) -> list[tuple[str, dict]]:
        return list(kill_everywhere(call, tmp_path, before, kind))

    with ThreadPoolExecutor(2) as pool:
        found = [moment for moments in pool.map(collect, CALLS) for moment in moments]
    for moment, tree in found:
        assert tree in ([NEW[kind]] if moment == "finished" else [before, NEW[kind]]), moment
    kills = [moment for moment, _ in found if moment != "finished"]
    assert {"write 3", "fsync 2"} <= set(kills)
    assert any(tree == before for moment, tree in found if moment != "finished")
