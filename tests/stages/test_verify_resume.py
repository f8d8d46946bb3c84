"""verify-resume: says match where all bits do, and otherwise where they part and why."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_bert

from kerasft.stages.verify_resume import Difference, TrialRun, explain, find_difference
from kerasft.training.resume.checkpoint_files import write_checkpoint


def write(folder: Path, **changes: dict[str, float]) -> TrialRun:
    """A run with checkpoints of steps 3, 6 and 9; `step_6={"model/seed_generator": 1.0}` changes a tensor there."""
    for step in (3, 6, 9):
        tensors = {
            name: np.full(4, step, np.float32) for name in ("metrics/loss", "model/a", "model/seed_generator")
        }
        for name, value in changes.get(f"step_{step}", {}).items():
            tensors[name][2] = value
        write_checkpoint(folder / "checkpoints" / "finetune", step, tensors, {"steps_before": 0})
    return TrialRun(folder)


def test_the_first_step_that_differs_is_found_with_its_tensors(tmp_path: Path) -> None:
    left = write(tmp_path / "left")
    assert find_difference(left, write(tmp_path / "same")) is None
    right = write(
        tmp_path / "right", step_6={"model/a": 6.0000005}, step_9={"model/a": 0.0, "metrics/loss": 1.0}
    )
    assert find_difference(left, right) == Difference(6, ("model/a",))
    # not equal to itself as a number, equal as bits
    nan = {"step_3": {"model/a": np.nan}}
    assert find_difference(write(tmp_path / "nan", **nan), write(tmp_path / "nan-2", **nan)) is None
    zeros = [write(tmp_path / name, step_3={"model/a": value}) for name, value in (("+", 0.0), ("-", -0.0))]
    assert find_difference(*zeros) == Difference(3, ("model/a",))


def test_steps_that_only_one_run_has_are_left_out(tmp_path: Path) -> None:
    left, right = write(tmp_path / "left"), write(tmp_path / "right")
    write_checkpoint(right.checkpoints / "finetune", 7, {"model/a": np.zeros(1, np.float32)}, {})
    assert find_difference(left, right) is None


def test_phases_are_compared_in_the_order_in_which_they_were_gone_through(tmp_path: Path) -> None:
    runs = [write(tmp_path / name, step_9={"model/a": value}) for name, value in (("a", 1.0), ("b", 2.0))]
    for run, value in zip(runs, (3.0, 4.0), strict=True):
        tensors = {"model/a": np.full(1, value, np.float32)}
        write_checkpoint(run.checkpoints / "aaa", 5, tensors, {"steps_before": 9})
    assert runs[0].list_phases() == ["finetune", "aaa"]
    assert find_difference(*runs) == Difference(9, ("model/a",), "finetune")
    assert runs[0].find_newest().path == runs[0].checkpoints / "aaa" / "5"


@pytest.mark.parametrize(
    ("names", "repeatable", "word"),
    [
        (("model/a",), False, "without kills"),
        (("model/a", "model/x/seed_generator/seed"), True, "random generators differ"),
        (("metrics/auc/bins",), True, "Only metrics"),
        (("model/a", "optimizer/iteration"), True, "the seeds do not"),
    ],
)
def test_the_reason_follows_from_what_differs(names, repeatable, word) -> None:
    assert word in explain(Difference(5, names), repeatable=repeatable)


@pytest.mark.slow
def test_the_command_says_match_and_leaves_nothing_behind(tmp_path: Path, tiny_preset: Path) -> None:
    # how long the training itself is does not matter: its --steps are trained
    train = {"epochs": 3, "budget_minutes": 60}
    config = tiny_bert.write_experiment(tmp_path / "experiment", tiny_preset, train=train)
    command = [
        sys.executable,
        "-m",
        "kerasft",
        "verify-resume",
        str(config),
        "--output",
        str(tmp_path / "run"),
    ]
    done = subprocess.run(
        [*command, "--steps", "20", "--kills", "2"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"match: \d+ checkpoints of up to \d+ tensors.*after 2 kills in 20 steps", done.stderr)
    assert not (tmp_path / "run").exists()
    few = subprocess.run([*command, "--steps", "5"], capture_output=True, text=True, timeout=300)
    assert few.returncode == 2
    assert "too few for 5 kills" in few.stderr
