"""Checkpoints on disk: whole or not there, and what is damaged is named and passed over."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from needs import lacks

from kerasft.errors import DataError, TrainingError
from kerasft.training.resume.checkpoint_files import (
    CheckpointWriter,
    find_checkpoint,
    find_damage,
    list_steps,
    prune_checkpoints,
    write_checkpoint,
)

FILES = ("state.safetensors", "state.json", "MANIFEST")


def make_tensors(step: int) -> dict[str, np.ndarray]:
    return {
        "model/kernel": np.full((40, 50), step, np.float32),
        "optimizer/iteration": np.array(step, np.int64),
        "model/seed": np.array([step, 7], np.uint32),
    }


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """A folder with checkpoints of steps 9, 10 and 100."""
    for step in (9, 10, 100):
        write_checkpoint(tmp_path, step, make_tensors(step), {"best_step": None, "told": "zażółć"})
    return tmp_path


def test_what_was_written_is_found_again_to_the_bit(three: Path) -> None:
    found = find_checkpoint(three)
    assert found is not None
    assert found.step == 100  # by step, and as a number
    assert found.load_state() == {"best_step": None, "told": "zażółć"}
    for name, value in found.load_tensors().items():
        assert value.dtype == make_tensors(100)[name].dtype
        assert value.tobytes() == make_tensors(100)[name].tobytes()
    assert set(found.load_tensors("model/")) == {"model/kernel", "model/seed"}
    assert {path.name for path in found.path.iterdir()} == set(FILES)


def test_the_newest_is_told_by_its_step_not_by_its_time(three: Path) -> None:
    os.utime(three / "9")
    os.utime(three / "100", (1, 1))
    found = find_checkpoint(three)
    assert found is not None
    assert found.step == 100


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [_cut, _empty, _flip, Path.unlink])
@pytest.mark.parametrize("name", FILES)
def test_each_damage_to_each_file_is_named_and_the_one_before_used(
    three: Path, name: str, damage: Callable[[Path], None]
) -> None:
    damage(three / "100" / name)
    told: list[str] = []
    found = find_checkpoint(three, told.append)
    assert found is not None
    assert found.step == 10
    assert len(told) == 1
    assert str(three / "100") in told[0]
    assert name in told[0] or "SHA-256" in told[0]


def test_every_bit_of_a_manifest_counts(three: Path) -> None:
    path = three / "100" / "MANIFEST"
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), 3):
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        assert find_damage(three / "100") is not None, (bit, bytes(content))
    path.write_bytes(whole)
    assert find_damage(three / "100") is None


def test_where_none_is_whole_that_is_an_error_and_no_new_beginning(three: Path) -> None:
    for step in (9, 10, 100):
        (three / str(step) / "MANIFEST").unlink()
    with pytest.raises(DataError, match="none of the 3 checkpoints"):
        find_checkpoint(three)
    assert find_checkpoint(three / "nowhere") is None


def test_a_checkpoint_whose_best_epoch_is_damaged_is_passed_over(three: Path) -> None:
    write_checkpoint(three, 200, make_tensors(200), {"best_step": 100})
    _flip(three / "100" / "state.safetensors")
    told: list[str] = []
    found = find_checkpoint(three, told.append)
    assert found is not None
    assert found.step == 10
    assert any("best epoch" in message for message in told)


def test_the_newest_and_the_best_are_kept(three: Path) -> None:
    for step in (101, 102):
        write_checkpoint(three, step, make_tensors(step), {})
    write_checkpoint(three, 102, make_tensors(102), {"best_step": 10})
    prune_checkpoints(three, keep=2, step=102)
    assert list_steps(three) == [10, 101, 102]
    assert not list(three.glob(".*"))


def test_what_a_kept_checkpoint_needs_is_kept_as_well(three: Path) -> None:
    """The newest epoch became the best; the one before it still hangs on the best one of then."""
    for step, best in ((50, 50), (75, 50), (120, 120)):
        write_checkpoint(three, step, make_tensors(step), {"best_step": best})
    prune_checkpoints(three, keep=3, step=120)
    assert list_steps(three) == [50, 75, 100, 120]
    _flip(three / "120" / "state.safetensors")
    _flip(three / "100" / "state.safetensors")
    found = find_checkpoint(three)
    assert found is not None
    assert found.step == 75


def test_after_falling_back_what_is_written_stays_and_the_damaged_one_goes(three: Path) -> None:
    _flip(three / "100" / "state.safetensors")
    write_checkpoint(three, 12, make_tensors(12), {"best_step": None})
    prune_checkpoints(three, keep=1, step=12)
    assert list_steps(three) == [12]


def test_the_writer_tells_its_error_where_it_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    writer = CheckpointWriter(tmp_path / "file" / "checkpoints", keep=1)
    writer.submit(1, make_tensors(1), {})
    with pytest.raises(OSError, match="file"):
        writer.wait()
    writer.wait()  # told once


def test_weights_that_are_not_finite_are_no_checkpoint(tmp_path: Path) -> None:
    writer = CheckpointWriter(tmp_path, keep=1)
    writer.submit(1, make_tensors(1), {})
    bad = make_tensors(2)
    bad["model/kernel"][3, 4] = np.nan
    writer.submit(2, bad, {})
    with pytest.raises(TrainingError, match="after step 2 the weight kernel is not finite"):
        writer.wait()
    assert list_steps(tmp_path) == [1]
    assert writer.written_step == 1


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from kerasft.training.resume.checkpoint_files import prune_checkpoints, write_checkpoint
folder = Path(sys.argv[1])
tensors = {f"model/{i}": np.full(3000, i, np.float32) for i in range(3)}
open("/dev/null", "wb", buffering=0).write(b"begun")
write_checkpoint(folder, 2, tensors, {"best_step": None, "from": "child"})
write_checkpoint(folder, 3, tensors, {"best_step": None, "from": "child"})
prune_checkpoints(folder, 1, 3)
"""
CALLS = "write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,mkdir,unlink,unlinkat,rmdir"


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("strace") is None,
    reason=lacks("strace", "that a process killed at any write leaves a good checkpoint"),
)
def test_killed_at_any_write_fsync_or_rename_a_good_checkpoint_is_left(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}

    def start(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
        command = [
            "strace",
            "-qq",
            "-e",
            f"trace={CALLS}",
            *options,
            sys.executable,
            "-c",
            SCRIPT,
            str(folder),
        ]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)

    def prepare(name: str) -> Path:
        write_checkpoint(tmp_path / name, 1, make_tensors(1), {"best_step": None})
        return tmp_path / name

    trace = start(prepare("whole"))
    calls = [line.split("(", 1)[0] for line in trace.stderr.splitlines() if "(" in line]
    begun = next(number for number, line in enumerate(trace.stderr.splitlines()) if "begun" in line)
    assert list_steps(tmp_path / "whole") == [3]
    assert calls.count("fsync") >= 12
    assert calls.count("rename") >= 4
    seen = []
    for position in range(begun, len(calls)):
        folder, name = prepare(f"killed-{position}"), calls[position]
        number = calls[: position + 1].count(name)  # strace counts each call by itself
        done = start(folder, "-e", f"inject={name}:signal=SIGKILL:when={number}")
        assert done.returncode != 0, (name, number)
        for step in list_steps(folder):
            assert find_damage(folder / str(step)) is None
        found = find_checkpoint(folder)
        assert found is not None
        seen.append(found.step)
        assert json.dumps(found.load_state())
        shutil.rmtree(folder)
    assert seen == sorted(seen)
    assert set(seen) == {1, 2, 3}
