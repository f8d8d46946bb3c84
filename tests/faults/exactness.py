"""What two runs must share to the bit, and how one of them is killed again and again."""

from __future__ import annotations

import json
import random
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
from children import Child, read_last_step, read_rows, read_steps, run, running

from kerasft.training.resume.checkpoint_files import find_checkpoint, list_steps

EVERY, STEPS_PER_EPOCH = 4, 8
"""Of tiny experiments: steps from one checkpoint to the next, and in an epoch."""
TIMES = ("examples_per_second",)
GOING_ON = re.compile(r"Resuming from step ([\d,]+)")
MOMENTS = ("in a step", "in validation", "at an epoch's end", "in a step", "any time")


def read_everything(folder: Path) -> dict[str, Any]:
    """All that must be equal: the last checkpoint's tensors and state, history, published weights, predictions."""
    checkpoint = find_checkpoint(folder / "checkpoints" / "finetune")
    assert checkpoint is not None
    state = checkpoint.load_state()
    for name in ("seconds", "identity"):
        del state[name]
    for name, keys in {
        "throughput": ["examples", "seconds"],
        "history": ["bytes", "sha256"],
        "tensorboard": ["bytes"],
    }.items():
        for key in keys:
            del state["callbacks"][name][key]
    rows = [{k: v for k, v in row.items() if k not in TIMES} for row in read_rows(folder)]
    predictions = folder / "predictions" / "test.jsonl"
    return {
        "step": checkpoint.step,
        "tensors": checkpoint.load_tensors(),
        "state": state,
        "history": rows,
        "weights": read_published_weights(folder / "model.keras"),
        "predictions": predictions.read_text(encoding="utf-8") if predictions.exists() else None,
    }


def read_published_weights(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a `.keras` file by their places in it."""
    import io
    import zipfile

    import h5py

    weights: dict[str, np.ndarray] = {}
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        file.visititems(
            lambda name, item: weights.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
        )
    return weights


def assert_same(left: dict[str, Any], right: dict[str, Any]) -> None:
    """Every bit: arrays are compared as bytes, so that NaN and -0.0 count as well."""
    for key in ("tensors", "weights"):
        assert set(left[key]) == set(right[key])
        different = [n for n, v in left[key].items() if v.tobytes() != right[key][n].tobytes()]
        assert not different, f"{len(different)} of {len(left[key])} {key} differ: {different[:5]}"
    for key in ("step", "history", "predictions"):
        assert left[key] == right[key], key
    assert json.dumps(left["state"], sort_keys=True) == json.dumps(right["state"], sort_keys=True)


def run_with_kills(
    folder: Path,
    arguments: list[object],
    *,
    kills: int,
    every_steps: int,
    steps_per_epoch: int,
    seed: int,
    moments: tuple[str, ...] = MOMENTS,
) -> list[tuple[str, int, int]]:
    """Starts a command again and again, kills it `kills` times at random moments, then lets it end.

    Asserts from the log that each restart goes on from a step above 0, and repeats at most `every_steps` steps.

    Returns:
        Of each kill: the moment aimed at, the last step that was done, and the step the next process began with.
    """
    chance = random.Random(seed)
    log, told = folder.with_suffix(".log"), []
    for number in range(kills + 1):
        done = read_last_step(folder)
        with running(log, *arguments) as child:
            if number < kills:
                moment = moments[number % len(moments)]
                _wait_for(moment, child, folder, steps_per_epoch, chance, first=number == 0)
                assert child.is_running, f"the run was over before kill {number + 1}:\n{child.output}"
                child.kill()
            else:
                assert child.wait() == 0, child.output
            if number:
                found = GOING_ON.search(child.output)
                assert found, f"nothing was gone on from:\n{child.output}"
                start = int(found[1].replace(",", ""))
                told.append((moments[(number - 1) % len(moments)], done, start))
                assert start > 0
                assert done - start <= every_steps, told
    return told


def assert_kills_change_nothing(config: Path, folder: Path, *, kills: int, seed: int) -> tuple[Path, Path]:
    """Runs a tiny experiment straight through and killed so many times, and compares all that is left of both.

    Args:
        config: 8 steps an epoch, a checkpoint every 4.
        folder: where to.
        kills: SIGKILLs.
        seed: of their moments.

    Returns:
        The run folders.
    """
    straight, killed = folder / "straight", folder / "killed"
    child = run(folder / "straight.log", "run", config, "--output", straight)
    assert child.wait() == 0, child.output
    words = ["run", config, "--output", killed]
    told = run_with_kills(
        killed, words, kills=kills, every_steps=EVERY, steps_per_epoch=STEPS_PER_EPOCH, seed=seed
    )
    assert len(told) == kills
    assert_same(read_everything(straight), read_everything(killed))
    return straight, killed


def _wait_for(
    moment: str, child: Child, folder: Path, steps_per_epoch: int, chance: random.Random, *, first: bool
) -> None:
    checkpoints = folder / "checkpoints" / "finetune"
    if first:
        child.wait_until(lambda: bool(list_steps(checkpoints)))
    # where this process begins: what was logged after its checkpoint is taken away before the first step
    assert first or child.wait_until(lambda: "weights from" in child.output), child.output
    before = read_last_step(folder)
    if moment == "in validation":
        target = (before // steps_per_epoch + 1) * steps_per_epoch
        child.wait_until(lambda: target in read_steps(folder))
    elif moment == "at an epoch's end":
        epochs = _count_epochs(folder)
        child.wait_until(lambda: _count_epochs(folder) > epochs)
    else:
        target = max(list_steps(checkpoints), default=0) + chance.randint(1, 3)
        child.wait_until(lambda: target in read_steps(folder))
    time.sleep(chance.uniform(0, 0.02 if moment == "any time" else 0.004))


def _count_epochs(folder: Path) -> int:
    return sum("learning_rate" not in row for row in read_rows(folder))
