"""Checkpoints on disk: written whole or not at all, hashed, and checked before one is used.

    checkpoints/<stage>/<step>/
      state.safetensors   every tensor that the next step depends on
      state.json          everything else
      MANIFEST            size and SHA-256 of both, written last

A checkpoint comes into being by the rename of a finished folder. Nothing is pickled.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from kerasft.errors import DataError, TrainingError
from kerasft.files import compute_sha256, remove_folder, whole_folder, write_json
from kerasft.runs.records import BestStep, CheckpointManifest, TrainingState
from kerasft.untrusted import load_json, naming, read_json

TENSORS, STATE, MANIFEST = "state.safetensors", "state.json", "MANIFEST"
FORMAT = 1
"""Raised when what is written changes: older checkpoints are then refused by name."""
_START_AFRESH = "Restore it from a copy, or start over: --restart."


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint that was found whole.

    Attributes:
        step: training steps done, all epochs.
        path: its folder.
    """

    step: int
    path: Path

    def load_tensors(self, prefix: str = "") -> dict[str, np.ndarray]:
        """The tensors whose names begin with `prefix`."""
        path = self.path / TENSORS
        with naming(path, DataError, _START_AFRESH):
            try:
                with safetensors.safe_open(path, framework="numpy") as file:
                    return {name: file.get_tensor(name) for name in file.keys() if name.startswith(prefix)}  # noqa: SIM118
            except safetensors.SafetensorError as error:
                raise ValueError(error) from error

    def load_state(self, schema: Any = dict[str, Any]) -> dict[str, Any]:
        """What `state.json` holds.

        Raises:
            DataError: it is not of the schema's shape.
        """
        return read_json(self.path / STATE, schema, fix=_START_AFRESH)

    def load_training_state(self) -> dict[str, Any]:
        """What `state.json` holds in the middle of a training: see `kerasft.runs.records.TrainingState`.

        Raises:
            DataError: it holds something else.
        """
        return self.load_state(TrainingState)


def write_checkpoint(
    folder: Path, step: int, tensors: Mapping[str, np.ndarray], state: Mapping[str, Any]
) -> Checkpoint:
    """Writes `folder/<step>/`; one that stands there is replaced.

    Args:
        folder: of the stage's checkpoints.
        step: training steps done.
        tensors: contiguous arrays by name.
        state: JSON-able.
    """
    path = folder / str(step)
    with whole_folder(path) as temporary:
        safetensors.numpy.save_file(dict(tensors), temporary / TENSORS)
        write_json(temporary / STATE, state)
        files = {
            name: {"bytes": (temporary / name).stat().st_size, "sha256": compute_sha256(temporary / name)}
            for name in (TENSORS, STATE)
        }
        write_json(temporary / MANIFEST, {"format": FORMAT, "step": step, "files": files})
    return Checkpoint(step, path)


def find_damage(path: Path) -> str | None:
    """What is wrong with the checkpoint in `path`, in words; None where all of it is as it was written."""
    try:
        manifest = load_json(path / MANIFEST, CheckpointManifest)
        if manifest["format"] != FORMAT:
            return f"{MANIFEST} is of format {manifest['format']}, this version reads {FORMAT}"
        if str(manifest["step"]) != path.name:
            return f"{MANIFEST} is of step {manifest['step']}"
        facts = {name: manifest["files"][name] for name in (TENSORS, STATE)}
        for name, fact in facts.items():
            if not (path / name).is_file():
                return f"{name} is missing"
            size = (path / name).stat().st_size
            if size != fact["bytes"]:
                return f"{name} has {size:,} bytes, {fact['bytes']:,} were written"
            if compute_sha256(path / name) != fact["sha256"]:
                return f"{name} differs from what was written (SHA-256)"
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except (ValueError, KeyError, TypeError):
        return f"{MANIFEST} is damaged"
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    return None


def list_steps(folder: Path) -> list[int]:
    """The steps of which there is a checkpoint, whole or damaged, ascending."""
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit() and path.is_dir())


def find_checkpoint(folder: Path, report: Callable[[str], Any] = lambda message: None) -> Checkpoint | None:
    """The newest checkpoint, by step, that is whole, and so is the one of its best epoch.

    Args:
        folder: of the stage's checkpoints.
        report: told of each one passed over, with what is wrong with it.

    Returns:
        None where there is no checkpoint at all.

    Raises:
        DataError: there are some, and none can be used.
    """
    steps = list_steps(folder)
    damages: dict[int, str | None] = {}

    def damage_of(step: int) -> str | None:
        if step not in damages:
            damages[step] = find_damage(folder / str(step))
        return damages[step]

    for step in reversed(steps):
        damage = damage_of(step)
        if damage is None:
            checkpoint = Checkpoint(step, folder / str(step))
            best = _read_best_step(checkpoint.path)
            if best is None or best == step or damage_of(best) is None:
                return checkpoint
            damage = f"the best epoch's checkpoint {folder / str(best)}, which it needs, is damaged: {damages[best]}"
        report(f"The checkpoint {folder / str(step)} is skipped: {damage}.")
    if steps:
        raise DataError(
            f"none of the {len(steps)} checkpoints can be used; the newest: {damages[steps[-1]]}",
            where=str(folder),
            fix="Restore one from a copy, or start over: --restart.",
        )
    return None


def prune_checkpoints(folder: Path, keep: int, step: int) -> None:
    """Removes all but the newest `keep` checkpoints, and those of the best epochs that they need.

    Args:
        folder: of the stage's checkpoints.
        keep: at least 1.
        step: of the newest. Later ones are of a course that was given up (they were damaged, say): they go too.
    """
    steps = list_steps(folder)
    kept = [number for number in steps if number <= step][-keep:]
    needed = {*kept, *(_read_best_step(folder / str(number)) for number in kept)}
    for number in steps:
        if number not in needed:
            remove_folder(folder / str(number))


def _read_best_step(path: Path) -> int | None:
    try:
        return load_json(path / STATE, BestStep).get("best_step")
    except (OSError, ValueError):
        return None  # damaged: nothing can be gone on from there


class CheckpointWriter:
    """Writes checkpoints in the background, one at a time.

    Args:
        folder: of the stage's checkpoints.
        keep: how many of the newest are kept, besides the best epoch's.
    """

    def __init__(self, folder: Path, keep: int):
        self.folder, self.keep = folder, keep
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self.written_step = 0
        """Of the newest checkpoint that is on disk."""

    def submit(self, step: int, tensors: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
        """Begins to write; waits first for the one before.

        Args:
            step: training steps done.
            tensors: snapshots that training does not change any more.
            state: JSON-able; `best_step` names a checkpoint that must stay.

        Raises:
            TrainingError, OSError: the one before could not be written.
        """
        self.wait()
        self._thread = threading.Thread(
            target=self._write, args=(step, tensors, state), name="kerasft-checkpoint", daemon=True
        )
        self._thread.start()

    def wait(self) -> None:
        """Until nothing is being written.

        Raises:
            TrainingError, OSError: the last one could not be written.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _write(self, step: int, tensors: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
        try:
            check_finite(step, tensors)
            write_checkpoint(self.folder, step, tensors, state)
            self.written_step = step
            prune_checkpoints(self.folder, self.keep, step)
        except BaseException as error:  # raised where training waits for it
            self._error = error


def check_finite(step: int, tensors: Mapping[str, np.ndarray]) -> None:
    """Refuses weights that are not finite: a checkpoint is something to go back to.

    Raises:
        TrainingError: a tensor of the model holds NaN or infinity.
    """
    for name, value in tensors.items():
        if name.startswith("model/") and value.dtype.kind == "f" and not np.isfinite(np.sum(value)):
            raise TrainingError(
                f"after step {step} the weight {name.removeprefix('model/')} is not finite",
                fix="Lower train.optimizer.learning_rate or set global_clipnorm.",
            )
