"""What is settled before the first checkpoint is settled once: a run that is killed before it starts the same again."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_bert

from kerasft.config.loading import load_config
from kerasft.data.prepared import load_prepared_dataset
from kerasft.experiment import ExperimentConfig
from kerasft.progress import Silent
from kerasft.runs.folder import BEGINNING, RunFolder
from kerasft.stages import pipeline
from kerasft.stages.finetune import compute_beginning_fingerprint
from kerasft.training.beginning import settle_precision
from kerasft.training.resume.checkpoint_files import find_checkpoint

ANOTHER_DAY = "float32: as it was found on another day"


class Notes(Silent):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, message: str) -> None:
        self.told.append(message)


def load(path: Path, *overrides: str) -> ExperimentConfig:
    return load_config(ExperimentConfig, path, overrides).config


@pytest.fixture
def experiment(tmp_path: Path, tiny_preset: Path) -> Path:
    train = {"epochs": 1, "batch_size": 8, "precision": "auto"}
    return tiny_bert.write_experiment(tmp_path / "experiment", tiny_preset, train=train, export=None)


def test_the_first_choice_of_a_precision_is_written_down_and_holds(
    experiment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, config, notes = RunFolder(tmp_path / "run"), load(experiment), Notes()
    with run.owned():
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
        monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
        first = settle_precision(config, run, "f", None, notes)
        assert "ONEDNN_MAX_CPU_ISA=AVX2" in first.reason

        # by itself the choice would have another reason now
        monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
        assert settle_precision(config, RunFolder(run.path), "f", None, notes) == first
        assert notes.told[-1] == f"Precision {first.reason} (when this run was first started)"
        other = settle_precision(config, run, "another training", None, notes)
        assert "ONEDNN_MAX_CPU_ISA" not in other.reason
        assert run.stage_record(BEGINNING)["precision"]["reason"] == other.reason
        run.clear_training()
        assert run.stage_record(BEGINNING) == {}


def test_a_run_that_was_killed_before_its_first_checkpoint_trains_in_the_precision_it_began_with(
    experiment: Path, tmp_path: Path
) -> None:
    run, config = RunFolder(tmp_path / "run"), load(experiment)
    pipeline.prepare(config, run)
    dataset, source = load_prepared_dataset(run.dataset), config.model.resolve()
    began = {"policy": "float32", "matmul_dtype": "float32", "reason": ANOTHER_DAY}
    with run.owned():
        run.mark_done(BEGINNING, compute_beginning_fingerprint(config, dataset, source), precision=began)
    # however long it is to train
    pipeline.finetune(load(experiment, "train.epochs=2"), run)
    checkpoint = find_checkpoint(run.checkpoints / "finetune")
    assert checkpoint is not None
    assert checkpoint.load_training_state()["precision"] == began

    notes = Notes()
    pipeline.finetune(config, run, notes, restart=True)
    assert any(line.startswith("Precision ") and ANOTHER_DAY not in line for line in notes.told)
    assert run.stage_record(BEGINNING)["precision"]["reason"] != ANOTHER_DAY
