"""verify-resume: trains without and with SIGKILLs, and compares every bit."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kerasft.config.loading import dump_config
from kerasft.errors import ConfigError, TrainingError
from kerasft.experiment import ExperimentConfig
from kerasft.foreign import list_contents
from kerasft.progress import Progress, Silent
from kerasft.runs.folder import RunFolder
from kerasft.training.resume.checkpoint_files import Checkpoint, list_steps
from kerasft.untrusted import open_in_place

TRIALS = ("straight", "killed", "again")

TIMES = ("examples_per_second",)
"""Figures of metrics.jsonl that are times, and so never the same."""


@dataclass(frozen=True)
class Difference:
    """Where two runs part.

    Attributes:
        step: of the first checkpoint that differs.
        names: of its tensors that do.
        phase: whose checkpoint it is.
    """

    step: int
    names: tuple[str, ...]
    phase: str = "finetune"


def verify_resume(
    config: ExperimentConfig,
    run: RunFolder,
    progress: Progress = Silent(),  # noqa: B008 (has no state)
    *,
    steps: int = 60,
    kills: int = 5,
) -> None:
    """Trains `steps` steps straight, and again in processes that are killed, and compares all their checkpoints.

    Args:
        config: the experiment.
        run: its folder; the two runs go into its `verify-resume/`, which is made anew.
        progress: where to report.
        steps: how many are trained.
        kills: how often the second run is killed, at random.

    Raises:
        ConfigError: there are too few steps for so many kills.
        TrainingError: a bit differs: which, from which step on, and why that is likely; or a child failed.
    """
    if steps < 2 * (kills + 1):
        raise ConfigError(
            f"{steps} steps are too few for {kills} kills",
            where="verify-resume",
            fix=f"Set --steps to {2 * (kills + 1)} or more, or --kills lower.",
        )
    folder = run.path / "verify-resume"
    _clear(folder)
    trial = _Trial(config, folder, steps, progress)
    straight, _ = trial.train("straight")
    trial.steps = straight.read_last_step()
    trial.fix_precision(straight)
    killed, happened = trial.train("killed", kills)
    if not happened:
        raise TrainingError(
            "the run ended before it could be killed, so nothing was tested",
            where=str(folder),
            fix="Train for more steps: --steps.",
        )
    difference = find_difference(straight, killed)
    if difference is not None:
        raise trial.explain_difference(straight, difference)
    _compare_histories(straight.path, killed.path)
    compared = sum(len(steps) for _, steps in _list_common(straight, killed))
    tensors = len(straight.find_newest().load_tensors())
    progress.note(
        f"match: {compared} checkpoints of up to {tensors} tensors, and every figure, are bit-identical "
        f"after {happened} kills in {trial.steps} steps"
    )
    _clear(folder)


def _clear(folder: Path) -> None:
    """Removes what an earlier trial left.

    Raises:
        ConfigError: something else lies there.
    """
    known = [f"{name}{ending}" for name in TRIALS for ending in ("", ".yaml", ".log")]
    strange = [name for name in list_contents(folder) if name not in known]
    if strange:
        raise ConfigError(
            f"the folder would be removed, but contains files that kerasft did not write: {', '.join(strange[:3])}",
            where=str(folder),
            fix="Move these files elsewhere, or use another folder: --output DIR.",
        )
    shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class TrialRun:
    """One of the runs that are compared.

    Attributes:
        path: its folder.
    """

    path: Path

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def list_phases(self) -> list[str]:
        """In the order in which they were gone through, as far as checkpoints tell."""
        phases = RunFolder(self.path).list_phases()
        return sorted(phases, key=lambda phase: self._find_newest(phase).load_state()["steps_before"])

    def _find_newest(self, phase: str) -> Checkpoint:
        step = list_steps(self.checkpoints / phase)[-1]
        return Checkpoint(step, self.checkpoints / phase / str(step))

    def find_newest(self) -> Checkpoint:
        """The last phase's last one."""
        return self._find_newest(self.list_phases()[-1])

    def has_checkpoint(self) -> bool:
        return any(list_steps(self.checkpoints / phase) for phase in RunFolder(self.path).list_phases())

    def read_last_step(self) -> int:
        """All phases' steps, as metrics.jsonl tells; 0 before the first."""
        path = self.path / "metrics.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for line in reversed(lines):
            try:
                return int(json.loads(line)["step"])
            except ValueError:
                continue  # half a line: it is being written
        return 0


def find_difference(left: TrialRun, right: TrialRun) -> Difference | None:
    """The first checkpoint, of those that both have, whose tensors are not the same to the bit."""
    for phase, steps in _list_common(left, right):
        for step in steps:
            a, b = (
                Checkpoint(step, run.checkpoints / phase / str(step)).load_tensors() for run in (left, right)
            )
            names = [name for name in sorted({*a, *b}) if not _same(a.get(name), b.get(name))]
            if names:
                return Difference(step, tuple(names), phase)
    return None


def _list_common(left: TrialRun, right: TrialRun) -> list[tuple[str, list[int]]]:
    """Each phase, and the steps of which both runs have a checkpoint."""
    return [
        (
            phase,
            sorted(set(list_steps(left.checkpoints / phase)) & set(list_steps(right.checkpoints / phase))),
        )
        for phase in left.list_phases()
    ]


def _same(a: Any, b: Any) -> bool:
    return a is not None and b is not None and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def explain(difference: Difference, *, repeatable: bool) -> str:
    """Why two runs are likely to differ so.

    Args:
        difference: what was found.
        repeatable: whether two straight runs are the same.
    """
    if not repeatable:
        return (
            "Two runs without kills differ as well: an operation on this device is not deterministic, "
            "or something draws random numbers without a seed."
        )
    if any("seed_generator" in name for name in difference.names):
        return (
            "The states of random generators differ: something draws from a keras.random.SeedGenerator more "
            "or less often after a restart, such as a layer that is called while it is built."
        )
    if all(name.startswith("metrics/") for name in difference.names):
        return "Only metrics differ: one of them keeps state outside its variables."
    return (
        "Weights differ, but the seeds do not: the steps depend on something that is not a variable of the model, "
        "such as tf.random's own generators, a Python counter, or data that does not depend on the step alone."
    )


def _compare_histories(left: Path, right: Path) -> None:
    """Raises TrainingError unless both runs' metrics.jsonl hold the same figures, times apart."""
    rows = [
        [
            {k: v for k, v in json.loads(line).items() if k not in TIMES}
            for line in path.read_text().splitlines()
        ]
        for path in (left / "metrics.jsonl", right / "metrics.jsonl")
    ]
    for a, b in zip(*rows, strict=False):
        if a != b:
            raise TrainingError(f"the tensors match, but the figures do not: {a} and {b}", where=str(right))
    if len(rows[0]) != len(rows[1]):
        raise TrainingError(f"{len(rows[0])} lines of figures and {len(rows[1])}", where=str(right))


class _Trial:
    """Runs of one experiment, each in a folder of its own."""

    def __init__(self, config: ExperimentConfig, folder: Path, steps: int, progress: Progress):
        self._folder, self._progress = folder, progress
        self.steps = steps
        self._schema = type(config)
        document = config.model_dump(mode="json")
        document["export"] = None
        document["train"] |= {
            # enough epochs for the steps, none of which may be cut off; 0: the head alone learns
            "epochs": config.train.epochs and max(config.train.epochs, steps),
            "early_stopping": None,
            "max_steps": steps,
            "budget_minutes": None,
            "budget_steps_per_second": None,
            "checkpoint": {"every_steps": max(steps // 10, 1), "every_minutes": None, "keep": 1_000_000},
        }
        document["train"]["tensorboard"]["every_steps"] = 1
        if document["train"].get("head"):
            # an epoch shows as much as many do; where none comes after it, there must be enough of them
            document["train"]["head"]["epochs"] = 1 if config.train.epochs else steps
        self._document = document

    def explain_difference(self, straight: TrialRun, difference: Difference) -> TrainingError:
        """The error for a killed run that differs, once the straight one was repeated."""
        self._progress.note(
            "The runs differ; training without kills once more, to see whether the kills are the cause"
        )
        again, _ = self.train("again")
        names = difference.names
        return TrainingError(
            f"the killed run differs from step {difference.step:,} of {difference.phase} on, in "
            f"{len(names)} tensors: {', '.join(names[:5])}{', …' if len(names) > 5 else ''}",
            where=str(self._folder),
            fix=explain(difference, repeatable=find_difference(straight, again) is None),
        )

    def fix_precision(self, straight: TrialRun) -> None:
        """`auto` may choose otherwise the second time: that is not what is looked at here."""
        self._document["train"]["precision"] = straight.find_newest().load_state()["precision"]["policy"]

    def train(self, name: str, kills: int = 0) -> tuple[TrialRun, int]:
        """Trains in children; all but the last are killed.

        Returns:
            The run, and how many kills there were.
        """
        folder = self._folder / name
        folder.mkdir(parents=True)
        run = TrialRun(folder)
        config = self._folder / f"{name}.yaml"
        dump_config(self._schema.model_validate_json(json.dumps(self._document)), config)
        chance, done, happened = random.Random(0), 0, 0
        with self._progress.bar(f"Training {name}", self.steps, "steps") as bar:
            for left in range(kills, -1, -1):
                # each of those that are killed has its share of the steps that are left
                target = done + chance.randint(2, max((self.steps - done) // (left + 1), 2)) if left else None
                killed = self._run_child(config, run, target, chance)
                now, happened = run.read_last_step(), happened + killed
                bar.advance(max(now - done, 0), killed=happened)
                done = max(now, done)
                if not killed:
                    break
        return run, happened

    def _run_child(self, config: Path, run: TrialRun, target: int | None, chance: random.Random) -> bool:
        """One process, killed a random moment after it has done step `target`; False where it was over before."""
        folder = run.path
        command = [
            sys.executable,
            "-P",  # nothing of the working folder is imported
            "-m",
            "kerasft",
            "finetune",
            str(config),
            "--output",
            str(folder),
            "--quiet",
        ]
        output = folder.with_name(f"{folder.name}.log")
        with open_in_place(output) as log:
            log.seek(0, os.SEEK_END)
            child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            while child.poll() is None:
                if target is not None and run.has_checkpoint() and run.read_last_step() >= target:
                    time.sleep(chance.uniform(0, 0.2))
                    child.kill()
                    if child.wait() < 0:
                        return True
                time.sleep(0.002)
            if child.returncode:
                message = output.read_text(encoding="utf-8", errors="replace").strip()[-500:]
                raise TrainingError(
                    f"a child ended with code {child.returncode}: {message}", where=str(folder)
                )
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
        return False
