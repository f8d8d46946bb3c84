"""A run folder from someone else: records of odd sizes, depths and shapes are told by name; links lead nowhere."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kerasft.config.loading import load_config
from kerasft.errors import ConfigError, DamagedError, DataError, KerasftError, RunLockedError
from kerasft.experiment import ExperimentConfig
from kerasft.integrity import read_hashes
from kerasft.runs.folder import RunFolder
from kerasft.training.history import cut_back
from kerasft.training.resume.checkpoint_files import find_checkpoint, write_checkpoint

IDENTITY = {
    "config": {"seed": 0, "task": {}, "data": {}, "model": {}, "train": {}},
    "data": "d",
    "preset": "p",
    "vocabulary": "v",
    "versions": {"keras": "3"},
}
TASK = {
    "task": {"type": "text_classification"},
    "model": {},
    "label_names": ["bad", "good"],
    "fingerprint": "f",
    "dataset_fingerprint": "d",
    "identity": IDENTITY,
}
RECORDS: dict[str, Any] = {
    "stages.json": {"prepare": {"fingerprint": "f"}},
    "metrics.json": {"evaluate": {"test": {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}}}},
    "environment.json": {"versions": {"keras": "3"}},
    "task.json": TASK,
    "metrics.jsonl": {"step": 1, "loss": 0.5},
}
SHAPES: dict[str, list[Any]] = {
    "stages.json": [[], {"x": []}, {"x": {"fingerprint": 3}}, {"x": {"fingerprint": "", "version": "../1"}}],
    "metrics.json": [[], {"evaluate": 3}, {"evaluate": {"test": {"f1": 0.5}}}, {"evaluate": {"../x": {}}}],
    "environment.json": [[], {"versions": []}, {"versions": {"keras": 3}}],
    "task.json": [[], {}, {**TASK, "label_names": "ab"}, {**TASK, "task": {}}, {**TASK, "identity": {"config": []}}],
    "metrics.jsonl": [[], 3, "x"],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    for name, value in RECORDS.items():
        (folder / name).write_text(json.dumps(value))
    (folder / "model.keras").touch()
    return folder


def read_all(folder: Path) -> list[Any]:
    run = RunFolder(folder)
    return [
        run.stage_record("prepare"), run.read_metrics(), run.read_environment(), run.read_task(),
        run.read_identity(), run.read_history(),
    ]  # fmt: skip


def check_told(folder: Path, name: str) -> str:
    with pytest.raises(KerasftError) as caught:
        read_all(folder)
    assert caught.value.where is not None
    assert caught.value.where.startswith(str(folder / name))
    assert caught.value.fix
    assert caught.value.exit_code in (2, 3)
    return str(caught.value)


def test_records_that_are_as_they_should_be_are_read(folder: Path) -> None:
    assert read_all(folder)[3] == TASK


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in SHAPES.items() for value in values]
)
def test_a_record_of_another_shape_is_told_by_name(folder: Path, name: str, value: Any) -> None:
    (folder / name).write_text(json.dumps(value))
    check_told(folder, name)


CONTENTS = {
    "deep": b'{"a": ' * 5000 + b"1" + b"}" * 5000,
    "rather deep": b'{"a": ' * 70 + b"1" + b"}" * 70,
    "no UTF-8": b'{"a": "\xff"}',
    "half a pair": b'{"a": "\\udc00"}',
    "cut": b'{"a": ',
}


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("name", RECORDS)
def test_a_record_that_is_no_json_object_is_told_by_name(folder: Path, name: str, content: str) -> None:
    (folder / name).write_bytes(CONTENTS[content])
    check_told(folder, name)


LYING_HASHES = {
    "no hash": b'{"format": 1, "sha256": "", "files": {"task.json": null}}',
    "infinite": b'{"format": 1, "sha256": "", "files": {"task.json": {"bytes": Infinity, "sha256": ""}}}',
}


@pytest.mark.parametrize("content", LYING_HASHES)
def test_a_lying_record_of_hashes_is_told_by_name(folder: Path, content: str) -> None:
    (folder / "hashes.json").write_bytes(LYING_HASHES[content])
    for act in (read_all, lambda folder: RunFolder(folder).owned().__enter__()):
        with pytest.raises(DamagedError, match="is not as it was written") as caught:
            act(folder)
        assert caught.value.where == str(folder / "hashes.json")


STRANGE: dict[str, Callable[[Path], Any]] = {
    "link": lambda path: path.symlink_to(path.parent.with_name("mine")),
    "broken link": lambda path: path.symlink_to("nowhere"),
    "pipe": os.mkfifo,
}
PLACES = [
    *RECORDS, ".lock", "hashes.json", "config.yaml", "report.html", "dataset", "checkpoints", "logs/train", "cache/x",
]  # fmt: skip


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize("name", PLACES)
def test_links_and_pipes_anywhere_are_refused_before_anything_is_written(
    folder: Path, name: str, kind: str
) -> None:
    (folder.parent / "mine").mkdir()
    (folder.parent / "mine" / ".x.0123abcd.tmp").write_text("mine")
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    STRANGE[kind](path)
    for act in (read_all, lambda folder: RunFolder(folder).owned().__enter__()):
        with pytest.raises(ConfigError, match=rf"{path.name}: is a (link|pipe)"):
            act(folder)
    with pytest.raises(ConfigError, match=rf"{path.name}: is a (link|pipe)"):
        load_config(ExperimentConfig, folder)
    assert sorted(p.name for p in (folder.parent / "mine").iterdir()) == [".x.0123abcd.tmp"]


@pytest.mark.parametrize("kind", STRANGE)
def test_what_people_put_beside_is_never_opened_and_may_be_a_link(folder: Path, kind: str) -> None:
    STRANGE[kind](folder / "notes")
    assert read_all(folder)[3] == TASK
    with RunFolder(folder).owned():
        assert os.path.lexists(folder / "notes")


def test_a_link_among_the_logs_ends_no_finished_training(folder: Path) -> None:
    run = RunFolder(folder)
    (run.logs / "train").mkdir(parents=True)
    (run.logs / "train" / "events").write_text("x")
    (run.logs / "latest").symlink_to("train/events")
    run.record_course()
    assert "logs/train/events" in (read_hashes(folder) or {})
    assert "logs/latest" not in (read_hashes(folder) or {})


def test_a_folder_in_use_is_waited_for_and_that_is_told_once(folder: Path) -> None:
    said: list[str] = []
    with (
        RunFolder(folder).owned(),
        pytest.raises(RunLockedError, match="in use"),
        RunFolder(folder).owned(said.append, patience_seconds=0.3),
    ):
        pass
    assert len(said) == 1
    assert "Waiting up to 1 s" in said[0]


def test_what_is_cut_back_is_not_cut_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine, all of it")
    (tmp_path / "metrics.jsonl").symlink_to("mine")
    with pytest.raises(DataError, match="is a link"):
        cut_back(tmp_path / "metrics.jsonl", 3)
    assert (tmp_path / "mine").read_text() == "mine, all of it"


STATE: dict[str, Any] = {
    "epoch": 1,
    "steps_of_epoch": 0,
    "best_step": None,
    "stopped_early": False,
    "seconds": 1.0,
    "plan": "x",
    "callbacks": {},
    "generators": {},
    "precision": {"policy": "float32", "matmul_dtype": "float32", "reason": "as configured"},
    "identity": IDENTITY,
    "phase": "finetune",
    "steps_before": 0,
}
STATES = [
    {},
    {**STATE, "epoch": "1"},
    {**STATE, "epoch": -1},
    {**STATE, "seconds": None},
    {**STATE, "callbacks": {"history": {"step": 1, "epoch": 1, "bytes": "all"}}},
    {**STATE, "callbacks": {"tensorboard": {"step": 1, "bytes": {"x": [1]}}}},
    {**STATE, "precision": {"policy": "float8", "matmul_dtype": "float32", "reason": "x"}},
    {**STATE, "identity": None},
    {**STATE, "best_step": "../../../elsewhere"},
]


@pytest.mark.parametrize("state", STATES)
def test_a_checkpoint_whose_state_has_another_shape_is_told_by_name(tmp_path: Path, state: Any) -> None:
    import numpy as np

    write_checkpoint(tmp_path, 3, {"model/x": np.zeros(1, np.float32)}, state)
    found = find_checkpoint(tmp_path)
    assert found is not None
    with pytest.raises(DataError, match=r"state\.json: is damaged") as caught:
        found.load_training_state()
    assert "--restart" in str(caught.value.fix)
    shutil.rmtree(tmp_path / "3")
    write_checkpoint(tmp_path, 3, {"model/x": np.zeros(1, np.float32)}, STATE)
    assert found.load_training_state() == STATE
