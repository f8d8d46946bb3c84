"""How long a new language model learns where its config does not say: counted from its data, once."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import tiny_masked
from exactness import assert_same, read_everything

from kerasft.config.loading import load_config
from kerasft.experiment import ExperimentConfig
from kerasft.progress import Silent
from kerasft.runs.folder import RunFolder
from kerasft.stages import pipeline
from kerasft.training import length
from kerasft.training.length import count_epochs
from kerasft.training.resume.checkpoint_files import list_steps

STEPS = 50
"""In the place of 2,000."""


class Notes(Silent):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, message: str) -> None:
        self.told.append(message)


class Leaving(Silent):
    """Leaves when the table of what learns is shown: the epochs are settled, and no step is done."""

    def table(self, title: str, *arguments: Any) -> None:
        if title == "What learns":
            raise KeyboardInterrupt


def write_experiment(folder: Path, preset: Path | None) -> Path:
    """The tiny experiment without `train.epochs`."""
    path = tiny_masked.write_experiment(folder, preset, export=None)
    document = json.loads(path.read_text())
    del document["train"]["epochs"]
    path.write_text(json.dumps(document))
    return path


def load(path: Path, *overrides: str) -> ExperimentConfig:
    return load_config(ExperimentConfig, path, overrides).config


@pytest.mark.parametrize(
    ("steps_per_epoch", "epochs"), [(1, 2000), (7, 286), (400, 5), (667, 3), (668, 3), (100_000, 3)]
)
def test_a_new_net_learns_for_three_epochs_and_two_thousand_steps_at_least(steps_per_epoch, epochs) -> None:
    assert count_epochs(steps_per_epoch) == epochs


@pytest.mark.parametrize(
    ("new", "overrides", "epochs"),
    [
        (True, [], None),
        (True, ["train.epochs=7"], 7),
        (True, ["train.max_steps=5"], 3),
        (True, ["train.budget_minutes=5"], None),
        (False, [], 3),
        (False, ["train.epochs=7"], 7),
        (False, ["model.random_weights=true"], None),
        (False, ["model.random_weights=true", "model.adaptation=gradual"], 3),
    ],
)
def test_only_the_epochs_of_a_new_net_without_another_length_are_left_open(
    tmp_path: Path, tiny_preset: Path, new: bool, overrides: list[str], epochs: int | None
) -> None:
    path = write_experiment(tmp_path, None if new else tiny_preset)
    assert load(path, *overrides).train.epochs == epochs


def test_the_epochs_of_a_new_net_are_settled_once_told_and_written_to_its_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(length, "LEAST_STEPS", STEPS)
    monkeypatch.setattr(length, "MOST_VALIDATIONS", 4)
    path, run, notes = write_experiment(tmp_path / "experiment", None), RunFolder(tmp_path / "run"), Notes()
    pipeline.run(load(path), run, notes)
    epochs, interval = load(run.path).train.epochs, load(run.path).train.validate_every_steps
    steps = max(list_steps(run.checkpoints / "finetune"))
    validations = [row["step"] for row in run.read_history() if "validation_log_loss" in row]
    assert interval == math.ceil(steps / 4)
    assert validations == [*range(interval, steps, interval), steps]
    assert epochs > 3
    assert steps >= STEPS
    assert steps - STEPS < steps / epochs  # one epoch fewer would be too few
    assert any(
        f"{epochs} epochs of {steps // epochs} steps, {steps} steps in all" in line for line in notes.told
    )

    # the given config and the run's own both find all of it done
    for config in (load(path), load(run.path)):
        notes = Notes()
        pipeline.run(config, run, notes)
        done = [line.partition(":")[0] for line in notes.told if "done before, unchanged" in line]
        assert {"prepare", "finetune"} <= set(done)
        assert not any("A new net:" in line for line in notes.told)
        assert load(run.path).train.epochs == epochs

    # a run that was left before its first step goes on with its number, whatever the rule says by then
    left = RunFolder(tmp_path / "left")
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(load(path), left, Leaving())
    assert load(left.path).train.epochs == epochs
    monkeypatch.setattr(length, "LEAST_STEPS", 3 * STEPS)
    notes = Notes()
    pipeline.run(load(path), left, notes)
    assert load(left.path).train.epochs == epochs
    assert not any("A new net:" in line for line in notes.told)
    assert_same(read_everything(run.path), read_everything(left.path))

    # another length is another run's, or this one's from the start
    pipeline.finetune(load(path), left, notes := Notes(), restart=True)
    assert any("A new net:" in line for line in notes.told)
    assert load(left.path).train.epochs > epochs
