"""SIGTERM and Ctrl-C end a training with a checkpoint, soon, however often they come at once."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import tiny_bert
from children import Child, read_last_step, run, running
from exactness import assert_same, read_everything

from kerasft.training.resume.checkpoint_files import find_checkpoint

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tiny_preset: Path, tmp_path: Path) -> Path:
    """Some 400 steps, no checkpoint before the first epoch's end but by signal."""
    train = {"epochs": 50, "checkpoint": {"every_steps": None, "every_minutes": 60.0}}
    return tiny_bert.write_experiment(tmp_path / "experiment", tiny_preset, train=train, export=None)


def signal_at(child: Child, folder: Path, step: int, *numbers: int) -> None:
    """Sends the signals once `step` is done, and waits for the end."""
    assert child.wait_until(lambda: read_last_step(folder) >= step), child.output
    for number in numbers:
        child.send(number)
    child.wait()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_it_with_a_checkpoint_that_it_goes_on_from(
    number: int, code: int, config: Path, tmp_path: Path
) -> None:
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    overrides = ["train.epochs=4"]
    assert run(tmp_path / "straight.log", "run", config, *overrides, "--output", straight).wait() == 0
    arguments = ["run", config, *overrides, "--output", stopped]
    with running(tmp_path / "stopped.log", *arguments) as child:
        signal_at(child, stopped, 5, number)
        assert child.wait() == code, child.output
    last = read_last_step(stopped)
    checkpoint = find_checkpoint(stopped / "checkpoints" / "finetune")
    assert checkpoint is not None
    assert checkpoint.step == last
    assert "run the same command again to continue" in child.output
    assert (stopped / "model.keras").exists() == (number == signal.SIGINT)
    again = run(tmp_path / "stopped.log", *arguments)
    assert again.wait() == 0, again.output
    assert f"Resuming from step {last}" in again.output
    assert_same(read_everything(straight), read_everything(stopped))


def test_sigterm_that_comes_twice_at_once_is_one_and_a_checkpoint_is_written(
    config: Path, tmp_path: Path
) -> None:
    """`timeout` signals a process, and then its group."""
    folder = tmp_path / "run"
    with running(tmp_path / "log", "finetune", config, "--output", folder) as child:
        signal_at(child, folder, 10, signal.SIGTERM, signal.SIGTERM)
        assert child.wait() == 143, child.output
    last = read_last_step(folder)
    checkpoint = find_checkpoint(folder / "checkpoints" / "finetune")
    assert checkpoint is not None
    assert checkpoint.step == last >= 10
    assert f"saved after step {last}" in child.output


def test_a_signal_at_the_very_last_step_loses_nothing_of_its_epoch(config: Path, tmp_path: Path) -> None:
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    overrides = ["train.max_steps=20"]
    assert run(tmp_path / "straight.log", "run", config, *overrides, "--output", straight).wait() == 0
    arguments = ["run", config, *overrides, "--output", stopped]
    with running(tmp_path / "stopped.log", *arguments) as child:
        signal_at(child, stopped, 20, signal.SIGTERM)
        assert child.wait() in (143, -signal.SIGTERM), child.output
    again = run(tmp_path / "stopped.log", *arguments)
    assert again.wait() == 0, again.output
    assert read_last_step(stopped) == 20
    assert_same(read_everything(straight), read_everything(stopped))


def test_sigterm_before_training_is_no_traceback(config: Path, tmp_path: Path) -> None:
    with running(tmp_path / "log", "finetune", config, "--output", tmp_path / "run") as child:
        assert child.wait_until(lambda: "Prepared dataset" in child.output), child.output
        child.send(signal.SIGTERM)
        assert child.wait(120) == 143
    assert "stopped" in child.output
    assert "Traceback" not in child.output


def test_a_step_that_does_not_return_cannot_hold_sigterm_up() -> None:
    import subprocess
    import sys

    script = """
import signal, sys
from kerasft.cli import signals
from kerasft.training.resume.interruption import StopRequest
signals.PATIENCE_SECONDS = 1.0
with signals.ending_in_order(), StopRequest() as stop:
    stop.has_news = True
    print("ready", flush=True)
    sys.stdin.buffer.raw.read(1)  # as deep in C as a long step, so that no Python runs
    import ctypes
    ctypes.CDLL(None).sleep(3600)
    ctypes.CDLL(None).sleep(3600)
"""
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    child.send_signal(signal.SIGTERM)
    _, told = child.communicate(timeout=300)
    assert child.returncode == 143
    assert b"finished results are kept" in told
