"""The run folder's records."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from kerasft.errors import ConfigError
from kerasft.runs.folder import RunFolder
from kerasft.untrusted import read_json


def test_a_new_run_folder_makes_nothing_and_knows_nothing(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    assert run.read_metrics() == {}
    assert run.read_history() == []
    assert run.read_environment() == {}
    assert not run.is_done("finetune", "f")
    assert not run.path.exists()
    with pytest.raises(ConfigError, match="no trained model here yet") as caught:
        run.read_task()
    assert "kerasft finetune" in str(caught.value.fix)


def test_figures_of_stages_stand_beside_each_other(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_figures("finetune", {"train": {"seconds": {"value": 1.5}}})
    run.write_figures("evaluate", {"test": {"accuracy": {"value": 0.5, "low": 0.25, "high": 0.75}}})
    run.write_figures("evaluate", {"validation": {"accuracy": {"value": 1.0}}})
    assert json.loads((tmp_path / "metrics.json").read_text()) == {
        "finetune": {"train": {"seconds": {"value": 1.5}}},
        "evaluate": {"validation": {"accuracy": {"value": 1.0}}},
    }
    with pytest.raises(ValueError, match="Out of range float"):
        run.write_figures("evaluate", {"test": {"accuracy": {"value": float("nan")}}})
    assert run.read_metrics()["evaluate"] == {"validation": {"accuracy": {"value": 1.0}}}


def test_a_stage_is_done_with_its_fingerprint_alone_until_it_begins_again(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.mark_done("export", "f", version="3")
    assert run.is_done("export", "f")
    assert not run.is_done("export", "g")
    assert run.stage_record("export")["version"] == "3"
    run.mark_begun("export")
    assert not run.is_done("export", "f")


def test_training_anew_takes_along_what_was_made_of_the_old_model(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for stage in ("prepare", "finetune", "evaluate", "export"):
        run.mark_done(stage, "f")
        run.write_figures(stage, {"train": {}})
    run.mark_begun("evaluate")
    assert run.is_done("finetune", "f")
    assert run.is_done("export", "f")
    run.mark_begun("finetune")
    assert run.is_done("prepare", "f")
    assert not any(run.is_done(stage, "f") for stage in ("finetune", "evaluate", "export"))
    assert set(run.read_metrics()) == {"prepare"}


def test_the_environment_tells_versions_and_machine_and_keeps_what_was_added(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.write_environment(dataset_fingerprint="abc")
    run.write_environment(preset="tiny")
    found = run.read_environment()
    assert found["dataset_fingerprint"] == "abc"
    assert found["preset"] == "tiny"
    assert {"tensorflow", "keras", "keras-hub", "numpy", "kerasft"} <= set(found["versions"])
    assert "not installed" not in found["versions"].values()
    assert found["cores"] >= 1


def test_a_command_line_that_is_no_utf_8_is_noted_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["kerasft", "caf\udce9.yaml"])
    run = RunFolder(tmp_path)
    with run.owned():
        assert read_json(tmp_path / ".lock")["command"] == r"kerasft caf\udce9.yaml"
        for _ in range(2):
            run.write_environment(preset="caf\udce9")
    found = run.read_environment()
    assert (found["command"], found["preset"]) == (r"kerasft caf\udce9.yaml", r"caf\udce9")
