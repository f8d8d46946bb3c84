"""A run whose net is adapted in part and killed at any moment ends with the bits that it would have had."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_bert
from exactness import EVERY, assert_kills_change_nothing
from test_killed_picture_runs import Notes

from kerasft.config.loading import load_config
from kerasft.experiment import ExperimentConfig
from kerasft.runs.folder import RunFolder
from kerasft.stages.verify_resume import verify_resume

LORA = {"type": "lora", "rank": 4, "dropout": 0.1, "targets": ["query", "value", "feedforward_output"]}


@pytest.mark.slow
def test_kills_change_no_bit_of_an_adapter(tiny_preset: Path, tmp_path: Path) -> None:
    config = tiny_bert.write_experiment(
        tmp_path / "experiment",
        tiny_preset,
        model={"adaptation": LORA},
        train={"epochs": 8, "checkpoint": {"every_steps": EVERY}},
        export=None,
    )
    straight, killed = assert_kills_change_nothing(config, tmp_path, kills=5, seed=0)
    for name in ("adapter.json", "adapter.safetensors"):
        assert (straight / "adapter" / name).read_bytes() == (killed / "adapter" / name).read_bytes()


@pytest.mark.slow
def test_kills_change_no_bit_while_blocks_are_unfrozen(tiny_preset: Path, tmp_path: Path) -> None:
    path = tiny_bert.write_experiment(tmp_path / "experiment", tiny_preset)
    config = load_config(ExperimentConfig, path, ["model.adaptation=gradual"]).config
    notes = Notes()
    verify_resume(config, RunFolder(tmp_path / "run"), notes, steps=30, kills=3)
    assert notes.told[-1].startswith("match: ")
    assert "after 3 kills in 30 steps" in notes.told[-1]
