"""Runs the phases of a training in order; finished phases are skipped."""

from __future__ import annotations

import time
from collections.abc import Callable

import keras

from kerasft.data.feed import Feed
from kerasft.progress import Progress
from kerasft.runs.folder import RunFolder
from kerasft.runs.records import PhaseRecord
from kerasft.tasks.base import Phase
from kerasft.training.context import TrainingContext
from kerasft.training.fit import train
from kerasft.training.result import TrainingResult
from kerasft.training.resume.checkpoint_files import (
    Checkpoint,
    CheckpointWriter,
    find_checkpoint,
    find_damage,
    list_steps,
)
from kerasft.training.resume.state import name_weights, restore_variables, take_snapshot

OVER = "{}.over"
"""The folder, beside a phase's checkpoints, of what came of it."""
_BEST = "best/"
"""In that folder, what the names of the best epoch's weights begin with, where the last epoch's are there as well."""
_KEPT = (
    "examples_per_second", "tokens_per_example", "padding_share", "best_epoch", "best_value", "best_step", "epochs",
    "steps", "seconds", "logs", "exhausted",
)  # fmt: skip


def train_phases(
    context: TrainingContext, model: keras.Model, open_feed: Callable[[str], Feed | None]
) -> tuple[TrainingResult, dict[str, TrainingResult]]:
    """Trains a task's model, phase by phase, from the beginning or from the newest checkpoint.

    Args:
        context: of the whole training.
        model: of `task.build_model`, with the weights that a training begins with.
        open_feed: split → its examples; None where there is no such split.

    Returns:
        What came of all phases, and of each that was a training of its own but the last, by name.

    Raises:
        DataError: there are checkpoints, and none can be used.
        Terminated: SIGTERM came; a checkpoint was written first.
        StorageError: a checkpoint or a log cannot be written.
    """
    before: TrainingResult | None = None
    earlier: dict[str, TrainingResult] = {}
    phases = context.task.open_phases(
        model, context.config, open_feed, seed=context.seed, matmul_dtype=context.precision.matmul_dtype
    )
    for phase in phases:
        result = _go_through(context, phase, before)
        if result.error is not None:
            break
        before = result
        if phase.total_epochs is not None:
            if result.exhausted:
                break
        elif not phase.final:
            earlier[phase.name] = result
    if result.best_weights is not None:
        restore_variables(name_weights(model), result.best_weights)
    result.model = model
    return result, earlier


def _go_through(context: TrainingContext, phase: Phase, before: TrainingResult | None) -> TrainingResult:
    """What comes of one phase; of one that is over, what came of it then."""
    run, progress = context.run, context.progress
    over = None if phase.final else _load_result(run, phase.name, phase.model, progress)
    if over is not None:
        return over
    started = context.started if before is None else time.perf_counter()
    result = train(
        context.enter_phase(phase, before.steps if before else 0, started),
        phase,
        checkpoint=find_checkpoint(run.checkpoints / phase.name, progress.warn),
        before=before,
    )
    if result.error is None and not phase.final:
        _save_result(run, phase.name, phase.model, result)
    return result


def _save_result(run: RunFolder, name: str, model: keras.Model, result: TrainingResult) -> None:
    writer = CheckpointWriter(run.checkpoints / OVER.format(name), keep=1)
    kept = {key: getattr(result, key) for key in _KEPT}
    tensors = take_snapshot(name_weights(model))
    tensors |= {f"{_BEST}{key}": value for key, value in (result.best_weights or {}).items()}
    writer.submit(result.steps, tensors, {"result": kept})
    writer.wait()


def _load_result(run: RunFolder, name: str, model: keras.Model, progress: Progress) -> TrainingResult | None:
    """What came of a phase that is over, its best weights put into the model; None where it is not."""
    folder = run.checkpoints / OVER.format(name)
    damages = {step: find_damage(folder / str(step)) for step in list_steps(folder)}
    for step, damage in damages.items():
        if damage is None:
            found = Checkpoint(step, folder / str(step))
            tensors = found.load_tensors()
            best = {
                key.removeprefix(_BEST): tensors.pop(key) for key in list(tensors) if key.startswith(_BEST)
            }
            restore_variables(name_weights(model), tensors)
            return TrainingResult(model, **found.load_state(PhaseRecord)["result"], best_weights=best or None)
        progress.warn(f"{folder / str(step)} is skipped, and the phase is completed again: {damage}.")
    return None
