"""A training on pictures that is killed in either of its phases ends with the bits of one that was not."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_boxes
import tiny_images

from kerasft.config.loading import load_config
from kerasft.experiment import ExperimentConfig
from kerasft.progress import Silent
from kerasft.runs.folder import RunFolder
from kerasft.stages.verify_resume import verify_resume


class Notes(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def note(self, message: str) -> None:
        self.told.append(message)


@pytest.mark.slow
def test_augmentation_and_mixing_survive_kills_in_both_phases_bit_for_bit(tmp_path: Path) -> None:
    path = tiny_images.write_experiment(tmp_path / "experiment")
    overrides = ["task.augmentation={policy: medium, mixup: 0.4, cutmix: 1.0}", "train.head.cache=false"]
    config = load_config(ExperimentConfig, path, overrides).config
    notes = Notes()
    verify_resume(config, RunFolder(tmp_path / "run"), notes, steps=16, kills=3)
    assert notes.told[-1].startswith("match: ")
    assert "after 3 kills" in notes.told[-1]


@pytest.mark.slow
def test_detectors_survive_kills_in_both_phases_bit_for_bit(tmp_path: Path) -> None:
    path = tiny_boxes.write_experiment(tmp_path / "experiment")
    overrides = ["train.head.epochs=1", "train.optimizer={type: adamw, learning_rate: 1.0e-3, use_ema: true}"]
    config = load_config(ExperimentConfig, path, overrides).config
    notes = Notes()
    verify_resume(config, RunFolder(tmp_path / "run"), notes, steps=12, kills=3)
    assert notes.told[-1].startswith("match: ")
    assert "after 3 kills" in notes.told[-1]
