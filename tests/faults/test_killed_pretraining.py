"""A pre-training that is killed at any moment ends with the bits that it would have had: masks, packed rows, Muon."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_masked
from test_killed_picture_runs import Notes

from kerasft.config.loading import load_config
from kerasft.experiment import ExperimentConfig
from kerasft.runs.folder import RunFolder
from kerasft.stages.verify_resume import verify_resume

MUON = "train.optimizer={type: muon, learning_rate: 0.02, adamw: {learning_rate: 0.003}}"
ADAMW = "train.optimizer={type: adamw, learning_rate: 0.003, weight_decay: 0.1}"


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [ADAMW, MUON], ids=["adamw", "muon"])
def test_kills_change_no_bit_of_a_pre_training(optimizer: str, tmp_path: Path) -> None:
    path = tiny_masked.write_experiment(tmp_path / "experiment", None)
    config = load_config(ExperimentConfig, path, [optimizer, "train.batch_size=4"]).config
    notes = Notes()
    verify_resume(config, RunFolder(tmp_path / "run"), notes, steps=30, kills=3)
    assert notes.told[-1].startswith("match: ")
    assert "after 3 kills in 30 steps" in notes.told[-1]
