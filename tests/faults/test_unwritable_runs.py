"""Run folders that cannot be written to, or that another process holds: read all the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from flipped_bits import Heard
from storage_makers import mount_small_disk, read_tree

from kerasft.cli.main import main
from kerasft.config.loading import load_config
from kerasft.errors import RunLockedError
from kerasft.experiment import ExperimentConfig
from kerasft.runs.folder import RunFolder
from kerasft.stages import evaluate as evaluate_stage
from kerasft.stages import pipeline as stage
from kerasft.stages.predict import Predictor


def test_a_folder_in_use_is_read_and_the_figures_shown(
    tiny_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = RunFolder(shutil.copytree(tiny_run.path, tmp_path / "run"))
    config = load_config(ExperimentConfig, copied.path).config
    figures = copied.read_metrics()["evaluate"]
    shutil.rmtree(copied.cache)
    monkeypatch.setattr(evaluate_stage, "PATIENCE_SECONDS", 0)
    other, heard = RunFolder(copied.path), Heard()
    with other.owned():
        before = read_tree(copied.path)
        assert stage.evaluate(config, copied, heard) == figures
        assert len(list(Predictor(copied).predict([{"text": "the film was good"}]))) == 1
        assert read_tree(copied.path) == before
    (line,) = [line for line in heard.lines if "not saved" in line]
    assert "in use by process" in line


def test_whoever_holds_a_folder_goes_on_holding_it(tmp_path: Path) -> None:
    run, other = RunFolder(tmp_path / "run"), RunFolder(tmp_path / "run")
    with run.owned():
        with run.owned():
            assert (run.path / ".lock").exists()
        assert (run.path / ".lock").exists()
        with pytest.raises(RunLockedError), other.owned():
            pass
    with other.owned():
        pass


@pytest.mark.slow
def test_a_read_only_folder_is_predicted_and_evaluated_from(
    tiny_run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with mount_small_disk(tmp_path / "disk", 64 << 20) as disk:
        other_test = tmp_path / "other.jsonl"
        shutil.copyfile(load_config(ExperimentConfig, tiny_run.path).config.data.train.path, other_test)
        run = Path(shutil.copytree(tiny_run.path, disk.path / "run"))
        disk.remount("ro")
        assert main(["predict", str(run), "the film was good", "--quiet"]) == 0
        assert json.loads(capsys.readouterr().out)["label"] == "liked"
        for words in ([], [f"data.test.path={other_test}"]):
            assert main(["evaluate", str(run), *words]) == 0
            told = capsys.readouterr()
            assert "accuracy" in told.out
            assert "not saved" in told.err
        assert main(["check", str(run), "--quiet"]) == 0
        assert main(["export", str(run), "--to", str(tmp_path / "served" / "1"), "--quiet"]) == 0
        disk.remount("rw")
