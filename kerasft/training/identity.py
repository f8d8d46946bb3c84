"""What identifies a run, and which settings may change when it is resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kerasft.data.prepared import PreparedDataset
from kerasft.errors import ConfigError
from kerasft.experiment import ExperimentConfig
from kerasft.runs.environment import describe_environment
from kerasft.runs.folder import RunFolder
from kerasft.training.resume.checkpoint_files import Checkpoint, find_checkpoint

UNIMPORTANT = ("name", "evaluate", "export")
"""Of the config: what a trained model does not depend on; nor does it on where prepared data lie."""
MAY_CHANGE = ("train.epochs", "train.checkpoint", "train.tensorboard", "train.workers")
"""Keys that a run may be resumed with other values of."""


@dataclass
class Changes:
    """Differences between a run's beginning and now, a line each."""

    refused: list[str] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)


def describe_identity(
    config: ExperimentConfig, dataset: PreparedDataset, preset: str, encoder: str
) -> dict[str, Any]:
    """What the bits of a training follow from, JSON-able.

    Args:
        config: the experiment.
        dataset: what it learns from.
        preset: the fingerprint of what it begins with.
        encoder: that of how the task turns an example into inputs.
    """
    return {
        "config": {**config.model_dump(mode="json", exclude={*UNIMPORTANT}), "data": config.data.describe()},
        "data": dataset.fingerprint,
        "preset": preset,
        "vocabulary": encoder,
        "versions": describe_environment()["versions"],
    }


def compare_identities(before: Mapping[str, Any], now: Mapping[str, Any]) -> Changes:
    """What has changed since a run began."""
    changes = Changes()
    for key, old, new in compare_values(before["config"], now["config"]):
        allowed = any(key == name or key.startswith(f"{name}.") for name in MAY_CHANGE)
        (changes.allowed if allowed else changes.refused).append(f"{key}: {_show(old)} → {_show(new)}")
    for name, message in (
        ("data", "data: the prepared examples have changed"),
        ("preset", "model.preset: its files have changed"),
        ("vocabulary", "the vocabulary, or the encoding of examples, has changed"),
    ):
        if before[name] != now[name]:
            changes.refused.append(message)
    for key, old, new in compare_values(before["versions"], now["versions"]):
        changes.doubtful.append(f"{key} {_show(old)} → {_show(new)}")
    return changes


def compare_values(before: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(dotted key, old, new) of each leaf that differs; None where it is missing."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in [*before, *(name for name in now if name not in before)]:
            yield from compare_values(before.get(name), now.get(name), f"{key}.{name}" if key else name)
    elif before != now:
        yield key, before, now


def _show(value: Any) -> str:
    return "none" if value is None else f"{value}"


def find_beginning(
    run: RunFolder, report: Callable[[str], Any] = lambda message: None
) -> tuple[Checkpoint | None, dict[str, Any] | None, str]:
    """What a run folder's training began with.

    Args:
        run: the folder.
        report: told of each checkpoint that is passed over.

    Returns:
        The checkpoint to go on from, the training's identity (None for either that there is not), and how far it has
        come, in words.

    Raises:
        DataError: there are checkpoints, and none can be used.
    """
    found = [find_checkpoint(run.checkpoints / phase, report) for phase in run.list_phases()]
    states = [
        (checkpoint, checkpoint.load_training_state()) for checkpoint in found if checkpoint is not None
    ]
    if not states:
        return None, run.read_identity(), "trained"
    checkpoint, state = max(states, key=lambda pair: (pair[1]["steps_before"], pair[0].step))
    return checkpoint, state["identity"], f"{state['steps_before'] + checkpoint.step:,} steps done"


def refuse_changes(run: RunFolder, changes: list[str], stands: str) -> ConfigError:
    """The error for a folder that holds another run.

    Args:
        run: the folder.
        changes: a line each.
        stands: how far that run has come.
    """
    return ConfigError(
        f"this folder holds a run started with different settings ({stands}):\n"
        + "\n".join(f"    {change}" for change in changes),
        where=str(run.path),
        fix="Use the original settings, use another folder (--output DIR), or train from the start: "
        "kerasft run … --restart.",
    )
