"""How a training begins: where it goes on from, what it computes in, and what is written down before its first step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from kerasft.data.prepared import PreparedDataset
from kerasft.errors import ConfigError
from kerasft.experiment import ExperimentConfig
from kerasft.models.sources import ModelSource
from kerasft.progress import Progress
from kerasft.runs.folder import BEGINNING, RunFolder
from kerasft.training.identity import compare_identities, find_beginning, refuse_changes
from kerasft.training.precision import Precision, check_precision, choose_precision
from kerasft.training.resume.checkpoint_files import Checkpoint


def find_start(
    run: RunFolder, config: ExperimentConfig, identity: dict[str, Any], progress: Progress
) -> Checkpoint | None:
    """The checkpoint to go on from; None where there is none.

    Raises:
        ConfigError: the folder holds another run.
    """
    checkpoint, before, stands = find_beginning(run, progress.warn)
    if before is None:
        return None
    changes = compare_identities(before, identity)
    state = checkpoint.load_training_state() if checkpoint else {}
    begun = _count_begun(checkpoint, state) if checkpoint and state["phase"] == "finetune" else 0
    # with blocks unfrozen one after another, the epochs decide what learns when
    too_few = config.train.epochs is not None and config.train.epochs < begun
    if too_few or config.model.adaptation.type == "gradual":
        changes.refused += [line for line in changes.allowed if line.startswith("train.epochs:")]
    if changes.refused:
        raise refuse_changes(run, changes.refused, stands)
    if checkpoint is None and changes.allowed and run.stage_record("finetune"):
        raise ConfigError(
            f"the training is finished and its checkpoints are gone, so it cannot be continued "
            f"({'; '.join(changes.allowed)})",
            where=str(run.checkpoints),
            fix="Use another folder (--output DIR), or train from the start: kerasft run … --restart.",
        )
    if checkpoint is not None:
        for change in changes.allowed:
            again = "; the schedule covers all of them" if change.startswith("train.epochs:") else ""
            progress.note(f"Changed since the start of the run, which is allowed: {change}{again}")
        if changes.doubtful:
            progress.warn(
                f"Different versions than at the start of the run ({', '.join(changes.doubtful)}): "
                "training continues, but the result will not be bit-identical."
            )
    return checkpoint


def begin(
    config: ExperimentConfig,
    run: RunFolder,
    dataset: PreparedDataset,
    source: ModelSource,
    checkpoint: Checkpoint | None,
) -> None:
    """Writes down what is about to be done, and removes what an unusable beginning has left."""
    run.check_trained()
    run.check_unchanged(run.config)
    run.mark_begun("finetune")
    run.forget_course()
    if checkpoint is None:
        run.discard(run.logs)
    run.write_config(config)
    run.write_environment(
        preset=str(source.path or source.name),
        dataset_fingerprint=dataset.fingerprint,
        shared_data=str(run.shared_data) if run.shared_data else None,
    )


def settle_precision(
    config: ExperimentConfig,
    run: RunFolder,
    fingerprint: str,
    checkpoint: Checkpoint | None,
    progress: Progress,
) -> Precision:
    """What a training computes in: what `auto` found on the first day holds for the whole run.

    It is written down before anything is computed in it, so that a run that is killed before its first checkpoint
    gives the same bits when it starts again.

    Args:
        config: the experiment.
        run: where it stands.
        fingerprint: changes when another training is begun.
        checkpoint: to go on from; None where there is none.
        progress: where to report.

    Raises:
        ConfigError: this process cannot compute in it.
    """
    if checkpoint is not None:
        precision = Precision(**checkpoint.load_training_state()["precision"])
        check_precision(precision.policy)
        progress.note(_describe_start(checkpoint))
        return precision
    record = run.stage_record(BEGINNING)
    if record.get("fingerprint") == fingerprint and record.get("precision"):
        precision = Precision(**record["precision"])
        check_precision(precision.policy)
        progress.note(f"Precision {precision.reason} (when this run was first started)")
        return precision
    precision = choose_precision(config.train.precision)
    run.mark_done(BEGINNING, fingerprint, precision=asdict(precision))
    progress.note(f"Precision {precision.reason}")
    return precision


def _count_begun(checkpoint: Checkpoint, state: Mapping[str, Any]) -> int:
    """The epochs that a training has begun."""
    if state.get("steps_per_epoch"):
        return math.ceil(checkpoint.step / state["steps_per_epoch"])
    return int(state["epoch"] + bool(state["steps_of_epoch"]))


def _describe_start(checkpoint: Checkpoint) -> str:
    state = checkpoint.load_training_state()
    if state.get("steps_per_epoch"):
        epoch = checkpoint.step // state["steps_per_epoch"] + 1
        return f"Resuming from step {checkpoint.step:,} (epoch {epoch}): {checkpoint.path}"
    place = f"epoch {state.get('first_epoch', 0) + state['epoch'] + 1}"
    if state["phase"] != "finetune" and not state["phase"].startswith("gradual-"):
        place += f" of the {state['phase']}"
    if state["steps_of_epoch"]:
        place += f", {state['steps_of_epoch']:,} of its steps done"
    return f"Resuming from step {state['steps_before'] + checkpoint.step:,} ({place}): {checkpoint.path}"
