"""`train.budget_minutes`: steps are measured once, kept in config.yaml, and the probe leaves no trace."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_bert
from children import Child, read_last_step, run, running
from exactness import EVERY, assert_same, read_everything

from kerasft.config.loading import load_config
from kerasft.data.batching import BatchPlan
from kerasft.errors import ConfigError
from kerasft.experiment import ExperimentConfig
from kerasft.progress import Silent
from kerasft.runs.folder import RunFolder
from kerasft.stages import pipeline
from kerasft.training.budget import settle_steps, take_up_budget
from kerasft.training.config import count_budget_steps
from kerasft.training.probe import choose_steps
from kerasft.training.resume.checkpoint_files import list_steps

STEPS_PER_EPOCH = 8


class Notes(Silent):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, message: str) -> None:
        self.told.append(message)


def write_experiment(folder: Path, preset: Path, train: dict[str, Any]) -> Path:
    """The tiny experiment without `train.epochs`."""
    path = tiny_bert.write_experiment(folder, preset, train=train, export=None)
    document = json.loads(path.read_text())
    del document["train"]["epochs"]
    path.write_text(json.dumps(document))
    return path


def load(path: Path, *overrides: str) -> ExperimentConfig:
    return load_config(ExperimentConfig, path, overrides).config


@pytest.fixture
def experiment(tmp_path: Path, tiny_preset: Path) -> Path:
    train = {"budget_minutes": 0.005, "checkpoint": {"every_steps": EVERY}}
    return write_experiment(tmp_path / "experiment", tiny_preset, train)


def test_steps_are_measured_once_kept_in_the_config_and_leave_no_trace(
    experiment: Path, tmp_path: Path
) -> None:
    folder, notes = RunFolder(tmp_path / "run"), Notes()
    config = load(experiment, "train.budget_minutes=0.01")
    pipeline.finetune(config, folder, notes)
    train = load(folder.path).train
    assert train.budget_minutes == 0.01
    assert train.max_steps == count_budget_steps(0.01, train.budget_steps_per_second)
    assert train.epochs == math.ceil(train.max_steps / STEPS_PER_EPOCH)
    (told,) = (line for line in notes.told if line.startswith("About"))
    assert told.startswith(f"About {train.max_steps:,} steps in 0.01 minutes at ")
    assert f"from a probe of 12: {train.epochs:,} epoch" in told

    # the same steps, asked for as such, give the same bits
    again = RunFolder(tmp_path / "again")
    steps = [
        "train.budget_minutes=null",
        f"train.max_steps={train.max_steps}",
        f"train.epochs={train.epochs}",
    ]
    pipeline.finetune(load(experiment, *steps), again)
    assert_same(read_everything(folder.path), read_everything(again.path))

    # the given config and the run's own both find it done; the steps stay
    for path in (experiment, folder.path):
        notes = Notes()
        pipeline.finetune(
            load(path, *(["train.budget_minutes=0.01"] if path == experiment else [])), folder, notes
        )
        assert any("done before, unchanged" in line for line in notes.told)
        assert load(folder.path).train == train
    with pytest.raises(ConfigError, match=r"train\.budget_minutes: 0\.01 → 0\.07"):
        pipeline.finetune(load(experiment, "train.budget_minutes=0.07"), folder)


def test_a_run_that_began_goes_on_with_its_steps_and_another_config_is_measured_anew(
    experiment: Path, tmp_path: Path
) -> None:
    folder, config = RunFolder(tmp_path / "run"), load(experiment)
    assert take_up_budget(config, folder) is config
    # what a process leaves that is killed between the probe and its first checkpoint
    settled = settle_steps(config, steps_per_second=70.0, steps_per_epoch=STEPS_PER_EPOCH)
    with folder.owned():
        folder.write_config(settled)
    assert (settled.train.max_steps, settled.train.epochs) == (21, 3)
    assert take_up_budget(config, folder) == settled
    assert take_up_budget(load(experiment, "train.workers=1", "name=other"), folder).train.max_steps == 21
    for change in ("train.batch_size=16", "train.budget_minutes=0.01", "seed=3"):
        changed = load(experiment, change)
        assert take_up_budget(changed, folder) is changed
    # a run's config takes the same steps wherever it is run
    assert take_up_budget(load(folder.path), RunFolder(tmp_path / "elsewhere")) == settled


@pytest.mark.slow
def test_kills_before_and_after_the_probe_change_no_bit(experiment: Path, tmp_path: Path) -> None:
    log, folder = tmp_path / "log", tmp_path / "killed"
    muon = "{type: muon, learning_rate: 0.01, use_ema: true, gradient_accumulation_steps: 3}"
    words = ("run", experiment, "train.budget_minutes=0.05", f"train.optimizer={muon}", "--output", folder)
    checkpoints = folder / "checkpoints" / "finetune"

    def kill_once(moment: Callable[[Child], bool]) -> str:
        with running(log, *words) as child:
            assert child.wait_until(lambda: moment(child)), child.output
            child.kill()
            return child.output

    kill_once(lambda child: "Measuring how many steps" in child.output)
    assert load(folder).train.max_steps is None
    assert "About" in kill_once(lambda child: "What learns" in child.output)
    steps = load(folder).train.max_steps
    assert steps is not None
    assert "About" not in kill_once(lambda child: bool(list_steps(checkpoints)))
    last = run(log, *words)
    assert last.wait() == 0, last.output
    assert "Resuming from step" in last.output
    assert load(folder).train.max_steps == steps == read_last_step(folder)
    straight = tmp_path / "straight"
    child = run(log, "run", folder / "config.yaml", "--output", straight)
    assert child.wait() == 0, child.output
    assert_same(read_everything(folder), read_everything(straight))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["train.max_steps=5"], "budget_minutes and max_steps both say how long to train"),
        (["train.epochs=7"], "budget_minutes and epochs both say how long to train"),
        (["train.budget_minutes=0"], "greater than 0|> 0"),
        (["train.budget_minutes=null", "train.budget_steps_per_second=3"], "belongs to budget_minutes"),
        (
            ["train.budget_steps_per_second=100", "train.max_steps=29"],
            "comes to 30 steps, and max_steps is 29",
        ),
        (["model.adaptation=gradual"], "gradual goes by epochs"),
    ],
)
def test_a_second_length_beside_the_budget_is_refused(experiment: Path, overrides, words) -> None:
    with pytest.raises(ConfigError, match=words):
        load(experiment, *overrides)


def test_head_alone_and_budget_contradict_each_other(load_image_experiment) -> None:
    epochs = "train.epochs=25"  # the default
    assert load_image_experiment(epochs, "train.budget_minutes=1").train.budget_minutes == 1
    with pytest.raises(ConfigError, match="head goes by epochs"):
        load_image_experiment(epochs, "train.budget_minutes=1", "model.adaptation=head")


def test_steps_of_a_probe_are_of_all_widths_in_their_shares() -> None:
    widths = np.random.default_rng(0).permutation(np.repeat([4, 8, 16, 64], [50, 30, 15, 5]))
    plan = BatchPlan(tuple(np.array([step]) for step in range(100)), widths, 0.0)
    chosen = widths[choose_steps(plan, 5, 12)]
    assert chosen[:5].tolist() == [64] * 5
    assert chosen[5:].tolist() == [4] * 6 + [8] * 3 + [16] * 2 + [64]
    few = BatchPlan(plan.batches[:3], np.array([4, 64, 8]), 0.0)
    assert few.widths[choose_steps(few, 2, 6)].tolist() == [64, 8, 4, 8, 64, 4, 8, 64]


def test_a_budget_is_one_step_at_least_and_whole_steps() -> None:
    assert count_budget_steps(30, 0.69) == 1242
    assert count_budget_steps(0.001, 0.001) == 1


def test_a_budget_that_is_too_short_for_one_update_is_refused(experiment) -> None:
    accumulating = "train.optimizer={type: adamw, learning_rate: 0.001, gradient_accumulation_steps: 40}"
    with pytest.raises(ConfigError, match="comes to 30 steps on this machine, and one update takes 40"):
        settle_steps(load(experiment, accumulating, "train.budget_minutes=0.5"), 1.0, 8)
