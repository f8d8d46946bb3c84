"""A run whose net is adapted in part and killed at any moment ends with the bits that it would have had."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_bert
from children import run
from exactness import assert_same, read_everything, run_with_kills
from test_killed_picture_runs import Notes

from kerasft.config.loading import load_config
from kerasft.experiment import ExperimentConfig
from kerasft.stages.verify_resume import verify_resume
from kerasft.training.run_folder import RunFolder

EVERY, STEPS_PER_EPOCH = 4, 8
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
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    child = run(tmp_path / "straight.log", "run", config, "--output", straight)
    assert child.wait() == 0, child.output
    told = run_with_kills(
        killed,
        ["run", config, "--output", killed],
        kills=5,
        every_steps=EVERY,
        steps_per_epoch=STEPS_PER_EPOCH,
        seed=0,
    )
    assert len(told) == 5
    assert_same(read_everything(straight), read_everything(killed))
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
