"""A run goes on as it began, or says what is different; a finished one is left alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tiny_bert
from children import read_last_step, read_rows, read_steps, run, run_command, running
from exactness import assert_same, read_everything

from kerasft.config.loading import load_config
from kerasft.errors import ConfigError
from kerasft.experiment import ExperimentConfig
from kerasft.runs.folder import RunFolder
from kerasft.stages import pipeline as stage
from kerasft.training.resume.checkpoint_files import find_checkpoint, list_steps, write_checkpoint


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory, tiny_preset: Path) -> tuple[Path, Path]:
    """(config, run folder) of a run that was killed after its first epoch."""
    base = tmp_path_factory.mktemp("unfinished")
    train = {"checkpoint": {"every_steps": 4}}
    config = tiny_bert.write_experiment(base / "experiment", tiny_preset, train=train, export=None)
    folder = base / "run"
    with running(base / "log", "finetune", config, "--output", folder) as child:
        assert child.wait_until(lambda: len(list_steps(folder / "checkpoints" / "finetune")) > 1), (
            child.output
        )
        child.kill()
    return config, folder


@pytest.fixture
def copied(unfinished: tuple[Path, Path], tmp_path: Path) -> tuple[Path, RunFolder]:
    config, folder = unfinished
    return config, RunFolder(shutil.copytree(folder, tmp_path / "run"))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("train.optimizer.learning_rate=0.001", "train.optimizer.learning_rate: 0.005 → 0.001"),
        ("train.batch_size=16", "train.batch_size: 8 → 16"),
        ("model.max_length=16", "model.max_length: 32 → 16"),
        ("seed=7", "seed: 0 → 7"),
        ("data.leaks=drop", "data.leaks: warn → drop"),
        ("task.pooling=mean", "task.pooling: auto → mean"),
    ],
)
def test_another_config_is_refused_with_what_differs_and_nothing_is_touched(copied, override, told) -> None:
    path, folder = copied
    before = snapshot(folder.path)
    with pytest.raises(ConfigError) as caught:
        stage.run(load_config(ExperimentConfig, path, [override]).config, folder)
    assert told in str(caught.value)
    assert "--restart" in str(caught.value)
    assert snapshot(folder.path) == before


def test_prepare_alone_does_not_take_the_data_away_from_under_a_training(copied) -> None:
    path, folder = copied
    before = snapshot(folder.path)
    with pytest.raises(ConfigError, match=r"data\.leaks: warn → drop"):
        stage.prepare(load_config(ExperimentConfig, path, ["data.leaks=drop"]).config, folder)
    stage.prepare(load_config(ExperimentConfig, path).config, folder)
    assert snapshot(folder.path) == before


def test_a_finished_run_without_checkpoints_is_not_trained_over(
    tiny_run: RunFolder, load_experiment, tmp_path: Path
) -> None:
    folder = RunFolder(shutil.copytree(tiny_run.path, tmp_path / "run"))
    shutil.rmtree(folder.checkpoints)
    before = snapshot(folder.path)
    with pytest.raises(ConfigError, match="its checkpoints are gone"):
        stage.run(load_experiment("train.epochs=6"), folder)
    assert snapshot(folder.path) == before


def test_other_data_in_the_same_file_are_refused_before_the_dataset_is_replaced(
    unfinished, tmp_path: Path
) -> None:
    path, folder = unfinished
    run_folder = RunFolder(shutil.copytree(folder, tmp_path / "run"))
    train = path.with_name("train.jsonl")
    kept = train.read_bytes()
    try:
        train.write_bytes(kept.replace(b"film", b"play"))
        before = snapshot(run_folder.path)
        with pytest.raises(ConfigError, match="the files have changed"):
            stage.run(load_config(ExperimentConfig, path).config, run_folder)
        assert snapshot(run_folder.path) == before
    finally:
        train.write_bytes(kept)


def test_another_vocabulary_is_refused(copied, tiny_preset: Path, tmp_path: Path) -> None:
    path, folder = copied
    preset = Path(shutil.copytree(tiny_preset, tmp_path / "preset"))
    vocabulary = preset / "assets" / "tokenizer" / "vocabulary.txt"
    words = vocabulary.read_text().split("\n")
    i, j = words.index("film"), words.index("meal")
    words[i], words[j] = words[j], words[i]
    vocabulary.write_text("\n".join(words))
    # the same path as before is what a user has: the preset behind it was exchanged
    checkpoints = folder.checkpoints / "finetune"
    for step in list_steps(checkpoints):
        found = find_checkpoint(checkpoints)
        assert found is not None
        state = json.loads((checkpoints / str(step) / "state.json").read_text())
        state["identity"]["config"]["model"]["preset"] = str(preset)
        tensors = type(found)(step, checkpoints / str(step)).load_tensors()
        write_checkpoint(checkpoints, step, tensors, state)
    with pytest.raises(ConfigError) as caught:
        stage.run(load_config(ExperimentConfig, path, [f"model.preset={preset}"]).config, folder)
    assert "model.preset: its files have changed" in str(caught.value)
    assert "vocabulary" in str(caught.value)


@pytest.mark.slow
def test_more_epochs_go_on_and_are_told_whether_it_was_finished_or_not(copied, tmp_path: Path) -> None:
    path, folder = copied
    log = tmp_path / "log"
    first = run(log, "finetune", path, "train.epochs=5", "--output", folder.path)
    assert first.wait() == 0, first.output
    assert "allowed: train.epochs: 4 → 5" in first.output
    assert read_last_step(folder.path) == 40
    more = run(log, "finetune", path, "train.epochs=6", "--output", folder.path)
    assert more.wait() == 0, more.output
    assert "Resuming from step 40 (epoch 6)" in more.output
    assert read_steps(folder.path) == list(range(1, 49))
    assert [row["epoch"] for row in read_rows(folder.path) if "learning_rate" not in row] == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]
    fewer = run(log, "finetune", path, "train.epochs=2", "--output", folder.path)
    assert fewer.wait() == 2
    assert "train.epochs: 6 → 2" in fewer.output


@pytest.mark.slow
def test_a_finished_run_is_left_alone_and_restart_asks_before_it_deletes(copied, tmp_path: Path) -> None:
    path, folder = copied
    start = partial(run_command, "finetune", path, "--output", folder.path)
    assert start().returncode == 0
    before = snapshot(folder.path)
    again = start()
    assert again.returncode == 0
    assert "done before, unchanged" in again.stderr
    assert {k: v for k, v in snapshot(folder.path).items() if k != "environment.json"} == {
        k: v for k, v in before.items() if k != "environment.json"
    }
    refused = start("--restart")
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert "checkpoints/" in refused.stderr
    assert folder.model.exists()
    afresh = start("--restart", "--yes", "train.optimizer.learning_rate=0.004")
    assert afresh.returncode == 0, afresh.stderr
    assert "Resuming" not in afresh.stderr
    assert read_steps(folder.path) == list(range(1, 33))


@pytest.mark.slow
def test_curves_go_on_without_overlap_or_gap(copied, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    path, folder = copied
    child = run(tmp_path / "log", "finetune", path, "--output", folder.path)
    assert child.wait() == 0, child.output
    steps = list(range(1, 33))
    assert read_steps(folder.path) == steps
    assert len(list((folder.logs / "train").iterdir())) == 2  # a file a process
    accumulator = EventAccumulator(str(folder.logs / "train"), size_guidance={"tensors": 0})
    accumulator.Reload()
    assert [event.step for event in accumulator.Tensors("step/loss")] == steps
    assert [event.step for event in accumulator.Tensors("epoch/loss")] == [8, 16, 24, 32]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["state.safetensors", "state.json", "MANIFEST"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_used(copied, name: str, tmp_path: Path) -> None:
    path, folder = copied
    steps = list_steps(folder.checkpoints / "finetune")
    damaged = folder.checkpoints / "finetune" / str(steps[-1])
    os.truncate(damaged / name, (damaged / name).stat().st_size - 3)
    child = run(tmp_path / "log", "finetune", path, "--output", folder.path)
    assert child.wait() == 0, child.output
    assert f"{damaged} is skipped: {name}" in child.output
    assert f"Resuming from step {steps[-2]}" in child.output


@pytest.mark.slow
def test_a_loss_that_is_not_finite_at_a_chosen_step(copied, tmp_path: Path) -> None:
    """Weights that overflow are put into a checkpoint: the step after it is the one."""
    path, folder = copied
    checkpoints = folder.checkpoints / "finetune"
    found = find_checkpoint(checkpoints)
    assert found is not None
    tensors, state = found.load_tensors(), found.load_state()
    tensors["model/logits/kernel"] = np.full_like(tensors["model/logits/kernel"], 3e38)
    tensors["model/logits/kernel"][::2] *= -1
    write_checkpoint(checkpoints, found.step, tensors, state)
    child = run(tmp_path / "log", "finetune", path, "--output", folder.path)
    assert child.wait() == 5, child.output
    assert f"step {found.step % 8 + 1}" in child.output
    assert "train.jsonl:" in child.output
    assert find_checkpoint(checkpoints) == found
    assert read_last_step(folder.path) == found.step


def compare_runs(
    runs: list[dict[str, str]], words: Callable[[int], list[str]], config: Path, base: Path
) -> None:
    found = []
    for number, environment in enumerate(runs):
        folder = base / f"run-{number}"
        done = subprocess.run(
            [sys.executable, "-m", "kerasft", "run", str(config), *words(number), "--output", str(folder)],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        found.append(read_everything(folder))
    for other in found[1:]:
        assert_same(found[0], other)


@pytest.mark.slow
def test_the_hash_seed_and_the_number_of_data_workers_change_no_bit(
    tiny_preset: Path, tmp_path: Path
) -> None:
    config = tiny_bert.write_experiment(tmp_path / "experiment", tiny_preset, export=None)
    compare_runs(
        [{"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2"}, {"PYTHONHASHSEED": "random"}],
        lambda number: [f"train.workers={(1, 2, 8)[number]}"],
        config,
        tmp_path,
    )
