"""One owner a run folder, and a dead owner's lock is no obstacle."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kerasft.errors import RunLockedError, StorageError
from kerasft.runs.lock import owned

HOLDER = """
import sys, time
from pathlib import Path
from kerasft.runs.lock import owned
with owned(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path):
    """A process that holds `tmp_path / "run"`."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    yield child
    child.kill()
    child.wait()
    child.stdout.close()


def test_a_second_owner_is_refused_with_the_first_ones_process_and_host(holder, tmp_path: Path) -> None:
    with (
        pytest.raises(RunLockedError, match=f"process {holder.pid} on {socket.gethostname()}") as caught,
        owned(tmp_path / "run"),
    ):
        pass
    assert caught.value.exit_code == 8
    assert holder.poll() is None
    assert json.loads((tmp_path / "run" / ".lock").read_text())["pid"] == holder.pid


def test_a_dead_owners_lock_is_taken_over_and_that_is_told(holder, tmp_path: Path) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    told: list[str] = []
    with owned(tmp_path / "run", told.append):
        assert json.loads((tmp_path / "run" / ".lock").read_text())["pid"] == os.getpid()
    assert len(told) == 1
    assert f"process {holder.pid}" in told[0]


def test_a_lock_from_another_host_is_refused_and_the_way_out_is_told(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    lock.write_text(
        json.dumps({"pid": 4, "host": "elsewhere.example", "since": "2026", "command": "kerasft"})
    )
    with pytest.raises(RunLockedError, match=r"process 4 on elsewhere\.example") as caught, owned(tmp_path):
        pass
    assert f"remove {lock}" in str(caught.value.fix)
    assert "elsewhere" in lock.read_text()


@pytest.mark.parametrize("content", ["", "{", "[1]", "\0\0\0"])
def test_a_lock_file_that_says_nothing_is_free(content: str, tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text(content)
    with owned(tmp_path):
        pass


def test_it_is_free_again_afterwards_and_after_an_error(tmp_path: Path) -> None:
    told: list[str] = []
    for _ in range(2):
        with pytest.raises(ValueError, match="inside"), owned(tmp_path, told.append):
            raise ValueError("inside")
    assert told == []
    assert list(tmp_path.iterdir()) == []


def test_within_one_process_a_folder_has_one_owner_too(tmp_path: Path) -> None:
    with owned(tmp_path):
        with pytest.raises(RunLockedError), owned(tmp_path):
            pass
        with owned(tmp_path / "another"):
            pass


def test_two_commands_on_one_folder(holder, tmp_path: Path, tiny_preset: Path) -> None:
    import tiny_bert

    config = tiny_bert.write_experiment(tmp_path / "experiment", tiny_preset)
    done = subprocess.run(
        [sys.executable, "-m", "kerasft", "prepare", str(config), "--output", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 8
    assert f"process {holder.pid} on {socket.gethostname()}" in done.stderr
    assert "--output" in done.stderr
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


def test_a_file_in_the_folders_place_is_an_error_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with (
        pytest.raises(StorageError, match="run: cannot be written: Not a directory"),
        owned(tmp_path / "run"),
    ):
        pass
    assert (tmp_path / "run").read_text() == "mine"
