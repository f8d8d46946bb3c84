"""data.cache_folder: runs of the same data prepare and encode them once, and each finds them there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kerasft.config.loading import dump_config
from kerasft.data.prepared import load_prepared_dataset
from kerasft.errors import DataError
from kerasft.progress import Silent
from kerasft.runs.folder import RunFolder
from kerasft.runs.shared_data import locate
from kerasft.stages import pipeline, prepare
from kerasft.stages.check import advise, check
from kerasft.stages.export import export


class Notes(Silent):
    """What was noted, warned of, and worked through."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.bars: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def bar(self, description: str, total: int | None, unit: str = "rows") -> Any:
        self.bars.append(description)
        return super().bar(description, total, unit)


def flip(path: Path) -> None:
    """Turns one bit over, in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def list_changes(folder: Path) -> dict[str, tuple[int, int]]:
    """Each file with its inode and time of change."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in found}


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    return tmp_path / "shared"


@pytest.fixture
def place(tmp_path: Path, tiny_run: RunFolder, load_experiment: Any, shared: Path) -> Path:
    """The folder of the tiny experiment's data, prepared by a run of its own."""
    config = load_experiment(f"data.cache_folder={shared}")
    run = RunFolder(tmp_path / "first")
    prepare.prepare(config, run)
    return locate(str(shared), prepare.compute_prepare_fingerprint(config))


@pytest.fixture
def moved(tiny_run: RunFolder, load_experiment: Any, shared: Path, place: Path, tmp_path: Path) -> RunFolder:
    """A finished run whose data lie among the shared ones."""
    run = RunFolder(shutil.copytree(tiny_run.path, tmp_path / "moved"))
    pipeline.prepare(load_experiment(f"data.cache_folder={shared}"), run)
    shutil.rmtree(run.path / "dataset")
    shutil.rmtree(run.path / "cache")
    return run


def test_a_second_run_neither_prepares_nor_encodes(load_experiment, shared: Path, tmp_path: Path) -> None:
    first, second = RunFolder(tmp_path / "first"), RunFolder(tmp_path / "second")
    config = load_experiment("train.epochs=1", f"data.cache_folder={shared}")
    pipeline.finetune(config, first)
    before = list_changes(shared)
    progress = Notes()
    other = load_experiment(
        "train.epochs=1", f"data.cache_folder={shared}", "train.optimizer.learning_rate=0.002"
    )
    pipeline.finetune(other, second, progress)
    assert f"prepare: done before, unchanged ({second.dataset})" in progress.notes
    assert not [bar for bar in progress.bars if bar.startswith("Encoding")]
    assert list_changes(shared) == before
    for run in (first, second):
        assert not (run.path / "dataset").exists()
        assert not (run.path / "cache").exists()
        assert run.dataset.is_relative_to(shared)
        assert run.cache.is_relative_to(shared)
        assert Path(run.read_environment()["shared_data"]) == run.dataset.parent
    assert not check(second.path).damaged


def test_where_data_are_kept_is_in_no_fingerprint_and_no_manifest(
    tiny_run: RunFolder, load_experiment, shared: Path, place: Path
) -> None:
    plain, sharing = load_experiment(), load_experiment(f"data.cache_folder={shared}")
    assert prepare.compute_prepare_fingerprint(plain) == prepare.compute_prepare_fingerprint(sharing)
    there = load_prepared_dataset(place / "dataset").manifest
    assert there == load_prepared_dataset(tiny_run.dataset).manifest
    assert "cache_folder" not in json.dumps(there)


def test_a_finished_run_may_be_moved_to_shared_data_and_back(
    moved: RunFolder, load_experiment, place: Path
) -> None:
    assert moved.shared_data == place
    progress = Notes()
    pipeline.finetune(load_experiment(f"data.cache_folder={place.parent}"), moved, progress)
    assert [note.split(" (")[0] for note in progress.notes] == [
        "prepare: done before, unchanged",
        "finetune: done before, unchanged",
    ]
    pipeline.prepare(load_experiment(), moved)
    assert moved.shared_data is None
    assert moved.dataset == moved.path / "dataset"
    assert load_prepared_dataset(moved.dataset).splits


def test_every_command_on_the_run_finds_the_data(moved: RunFolder, load_experiment, replay_here) -> None:
    config = load_experiment("evaluate.bootstrap_samples=0", f"data.cache_folder={moved.dataset.parents[1]}")
    figures = pipeline.evaluate(config, moved)
    assert figures["test"]["examples"]["value"] == 24
    assert moved.report.exists()
    assert export(config, moved).name == "2"
    assert not check(moved.path).damaged


def test_data_that_are_gone_are_a_clear_error_and_prepared_again(
    moved: RunFolder, load_experiment, place: Path
) -> None:
    config = load_experiment(f"data.cache_folder={place.parent}")
    shutil.rmtree(place.parent)
    for command in (pipeline.evaluate, export):
        with pytest.raises(DataError, match="no longer exists") as error:
            command(config, moved)
        assert error.value.where == str(place / "dataset")
        assert f"kerasft prepare {moved.path}" in error.value.fix
    found = check(moved.path).damaged
    assert list(found) == [str(place / "dataset")]
    assert "kerasft prepare" in advise(moved.path, str(place / "dataset"))
    progress = Notes()
    pipeline.prepare(config, moved, progress)
    assert "no longer exists. The data is prepared again." in progress.warnings[0]
    assert moved.dataset.is_dir()
    assert not check(moved.path).damaged


def test_a_flipped_bit_in_the_dataset_is_told(moved: RunFolder, load_experiment, place: Path) -> None:
    config = load_experiment(f"data.cache_folder={place.parent}")
    damaged = place / "dataset" / "index" / "train.label.npy"
    flip(damaged)
    assert list(check(moved.path).damaged) == [str(damaged)]
    assert advise(moved.path, str(damaged)).startswith(f"kerasft prepare {moved.path}")
    progress, other = Notes(), RunFolder(moved.path.with_name("other"))
    pipeline.prepare(config, other, progress)
    (warning,) = [line for line in progress.warnings if "prepared again" in line]
    assert str(damaged) in warning
    assert not check(moved.path).damaged


def test_a_flipped_bit_in_the_encoded_examples_is_told(
    moved: RunFolder, load_experiment, place: Path
) -> None:
    config = load_experiment("evaluate.bootstrap_samples=0", f"data.cache_folder={place.parent}")
    pipeline.evaluate(config, moved)
    (damaged,) = (place / "cache").glob("test-*/token_ids.values")
    flip(damaged)
    assert list(check(moved.path).damaged) == [str(damaged)]
    assert "rebuilt when it is needed" in advise(moved.path, str(damaged))
    progress = Notes()
    pipeline.evaluate(config, moved, progress)
    assert any(str(damaged.parent) in line and "rebuilt" in line for line in progress.warnings)
    assert not check(moved.path).damaged


def test_a_folder_that_no_run_shares_is_not_used(moved: RunFolder, load_experiment, place: Path) -> None:
    (place / ".shared").unlink()
    with pytest.raises(DataError, match="no longer exists"):
        pipeline.evaluate(load_experiment(), moved)


def test_a_link_among_shared_data_is_refused(moved: RunFolder, place: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("mine")
    (place / "dataset" / "link").symlink_to(secret)
    with pytest.raises(DataError, match="is a link"):
        assert moved.dataset


@pytest.mark.slow
def test_two_processes_at_once_prepare_once(load_experiment, shared: Path, tmp_path: Path) -> None:
    config = tmp_path / "experiment.yaml"
    dump_config(load_experiment(f"data.cache_folder={shared}"), config)
    command = [sys.executable, "-m", "kerasft", "prepare", str(config), "--output"]
    children = [
        subprocess.Popen(
            [*command, str(tmp_path / name)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for name in ("a", "b", "c")
    ]
    said = [" ".join(child.communicate(timeout=300)[0].split()) for child in children]
    assert [child.returncode for child in children] == [0, 0, 0], said
    assert sum("The dataset takes" in text for text in said) == 1, said
    assert sum("prepare: done before, unchanged" in text for text in said) == 2, said
    for name in ("a", "b", "c"):
        run = RunFolder(tmp_path / name)
        assert load_prepared_dataset(run.dataset).splits == ("train", "validation", "test")
        assert not check(run.path).damaged
