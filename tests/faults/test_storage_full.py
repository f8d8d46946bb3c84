"""Commands on a disk that is full or read-only: what is said, what stays, and that the same command then succeeds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_bert
from children import run_command, running
from storage_makers import KIB, SmallDisk, list_hidden, mount_small_disk, read_tree

from kerasft.data.prepared import load_prepared_dataset
from kerasft.runs.folder import RunFolder
from kerasft.stages.check import check
from kerasft.training.resume.checkpoint_files import find_damage, list_steps

pytestmark = pytest.mark.slow

RECORDS = ("config.yaml", "stages.json", "metrics.json", "hashes.json")
"""Files of the run folder that a stage writes anew before its own work, each whole."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with mount_small_disk(tmp_path / "disk", 4096 * KIB) as disk:
        yield disk


def read_results(run: Path) -> dict[str, bytes | None]:
    """All of a run folder but the records."""
    return {name: content for name, content in read_tree(run).items() if name not in RECORDS}


def assert_storage_error(done, reason: str, *names: str) -> None:
    """Exit code 7, and a message of two lines with the reason and one of the files' names."""
    assert done.returncode == 7, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(told) == 1, done.stderr
    assert reason in told[0]
    assert any(name in told[0] for name in names), told[0]
    assert "/." not in told[0], "a hidden temporary is named"
    assert done.stderr.splitlines()[-1].endswith("run the same command again to continue.")


def test_prepare_on_a_full_disk(tmp_path: Path, disk: SmallDisk) -> None:
    config = tiny_bert.write_experiment(tmp_path / "experiment", tmp_path / "no-preset")
    run = disk.path / "run"
    command = ("prepare", config, "--output", run)
    assert run_command(*command).returncode == 0
    before = read_results(run)
    other = (*command, "seed=1", "data.near_duplicates=false")
    for leave in (0, 24 * KIB, 240 * KIB, 400 * KIB):
        disk.fill(leave)
        assert_storage_error(run_command(*other), "No space left on device", "run/dataset", *RECORDS)
        assert read_results(run) == before
        assert check(run).damaged == {}
        assert list_hidden(run) == []
    disk.make_room()
    done = run_command(*other)
    assert done.returncode == 0, done.stderr
    splits = load_prepared_dataset(run / "dataset").splits
    assert splits == ("train", "validation", "test")


@pytest.fixture
def run(disk: SmallDisk, tiny_run: RunFolder) -> Path:
    """The tiny experiment's run folder, copied to the small disk."""
    return shutil.copytree(tiny_run.path, disk.path / "run")


def test_evaluate_on_a_full_disk(disk: SmallDisk, run: Path) -> None:
    (run / "report.html").unlink()
    before = read_results(run)
    command = ("evaluate", run, "evaluate.bootstrap_samples=20")
    # the lock that says whose the folder is takes 4 KiB of it
    for leave, name in ((8 * KIB, "predictions/validation.jsonl"), (44 * KIB, "report.html")):
        disk.fill(leave)
        assert_storage_error(run_command(*command), "No space left on device", name, *RECORDS)
        assert read_results(run) == before
        assert check(run).damaged == {}
        assert list_hidden(run) == []
    disk.make_room()
    done = run_command(*command)
    assert done.returncode == 0, done.stderr
    assert (run / "report.html").exists()


def test_export_on_a_full_disk_and_on_a_read_only_one(disk: SmallDisk, run: Path) -> None:
    before = read_tree(run)
    disk.fill(64 * KIB)
    done = run_command("export", run)
    assert_storage_error(done, "No space left on device", "run/export/2")
    assert read_tree(run) == before
    disk.make_room()
    disk.remount("ro")
    assert_storage_error(run_command("export", run), "Read-only file system", "disk/run")
    assert read_tree(run) == before
    disk.remount("rw")
    done = run_command("export", run)
    assert done.returncode == 0, done.stderr
    after = read_results(run)
    assert {name: content for name, content in after.items() if not name.startswith("export/2")} == {
        name: content for name, content in before.items() if name not in RECORDS
    }
    assert (run / "export" / "2" / "parity.json").exists()


def test_training_on_a_disk_that_fills_up(tmp_path: Path, disk: SmallDisk, tiny_preset: Path) -> None:
    config = tiny_bert.write_experiment(
        tmp_path / "experiment",
        tiny_preset,
        train={
            "epochs": 200,
            "checkpoint": {"every_steps": 4},
            "tensorboard": {"every_steps": 5, "examples": 0},
        },
        export=None,
    )
    run, log = disk.path / "run", tmp_path / "log"
    checkpoints = run / "checkpoints" / "finetune"
    with running(log, "finetune", config, "--output", run) as child:
        assert child.wait_until(lambda: len(list_steps(checkpoints)) > 1), child.output
        disk.fill(100 * KIB)
        assert child.wait() == 7, child.output
    assert "No space left on device" in child.output
    assert "run the same command again to continue" in child.output
    assert "Traceback" not in child.output
    assert list_hidden(run) == []
    for step in list_steps(checkpoints):
        assert find_damage(checkpoints / str(step)) is None
    newest = list_steps(checkpoints)[-1]
    disk.make_room()
    with running(log, "finetune", config, "--output", run) as child:
        assert child.wait_until(lambda: max(list_steps(checkpoints), default=0) > newest), child.output
        assert f"Resuming from step {newest}" in child.output


def test_training_on_a_read_only_disk(disk: SmallDisk, run: Path) -> None:
    before = read_tree(run)
    disk.remount("ro")
    done = run_command("finetune", run, "train.epochs=9")
    assert_storage_error(done, "Read-only file system", "disk/run")
    disk.remount("rw")
    assert read_tree(run) == before


def test_prepare_on_a_read_only_disk(tmp_path: Path, disk: SmallDisk) -> None:
    config = tiny_bert.write_experiment(tmp_path / "experiment", tmp_path / "no-preset")
    disk.remount("ro")
    done = run_command("prepare", config, "--output", disk.path / "run")
    assert_storage_error(done, "Read-only file system", "disk/run")


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_prepare_in_a_folder_that_the_user_may_not_write_to(tmp_path: Path) -> None:
    config = tiny_bert.write_experiment(tmp_path / "experiment", tmp_path / "no-preset")
    (tmp_path / "theirs").mkdir(mode=0o500)
    done = run_command("prepare", config, "--output", tmp_path / "theirs" / "run")
    assert_storage_error(done, "Permission denied", "theirs/run")
