"""Loads a trained model and its task from a run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from kerasft.damage import check_file, check_folder
from kerasft.data.feed import Feed, Output
from kerasft.data.prepared import PreparedDataset
from kerasft.data.streams import Step, collect_outputs
from kerasft.errors import READ_ONLY, ConfigError, StorageError
from kerasft.experiment import ExperimentConfig
from kerasft.files import compute_fingerprint
from kerasft.models.blank import blank_weights
from kerasft.progress import Progress
from kerasft.runs.folder import RETRAIN, RunFolder
from kerasft.tasks import load_sections, load_task_class
from kerasft.tasks.base import Task
from kerasft.untrusted import naming

_UNREAD = (".weights.h5",)
"""Of the preset: a trained model has weights of its own."""


def build_task(config: ExperimentConfig, label_names: tuple[str, ...], preset: Path | None) -> Task:
    """The experiment's task, on a local preset folder or file of weights; None for random weights."""
    task_class = load_task_class(config.task.type)
    return task_class(config.task, config.model, label_names, preset, **config.own_sections)


def write_task(run: RunFolder, config: ExperimentConfig, task: Task, **facts: Any) -> None:
    """Notes in task.json what `load_trained` needs."""
    run.write_json(
        run.task,
        {
            "task": config.task.model_dump(mode="json"),
            "model": config.model.model_dump(mode="json"),
            "own": {name: own.model_dump(mode="json") for name, own in config.own_sections.items()},
            "label_names": list(task.label_names),
            **facts,
        },
    )


@dataclass
class Trained:
    """A run's trained model.

    Attributes:
        run: where it was found.
        task: as it was trained.
        facts: what task.json holds.
    """

    run: RunFolder
    task: Task
    facts: dict[str, Any]

    @cached_property
    def model(self) -> Any:
        """The Keras model of `model.keras`, loaded on first use.

        Raises:
            DamagedError: the file is not as it was written.
        """
        check_file(self.run.model, RETRAIN)
        with blank_weights():
            return self.task.load_published(self.run.path)

    @cached_property
    def step(self) -> Step:
        """What it says of a batch."""
        return self.task.build_step(self.model)

    def answer(self, examples: Sequence[Mapping[str, Any]], batch_size: int = 64) -> list[Output]:
        """Its outputs on some raw examples, in their order."""
        return collect_outputs(self.task.make_feed(examples), self.step, batch_size)


def load_trained(run: RunFolder, config: ExperimentConfig | None = None) -> Trained:
    """Opens a run folder's trained model.

    Args:
        run: where it is.
        config: what is asked for now; None: as it was trained.

    Raises:
        ConfigError: nothing was trained there, or otherwise than the config's `task` and `model` say; or its task is
            another package's, and nothing but the folder names it.
        DamagedError: a file that is needed is not as it was written.
    """
    facts = run.read_task()
    check_folder(run.preset, RETRAIN, besides=_UNREAD)
    if config is not None:
        facts = {**facts, "task": _settle_task(facts, config)}
    with naming(
        run.task, ConfigError, "Restore it from a copy, or train again: kerasft run CONFIG.yaml --restart."
    ):
        name = facts["task"]["type"]
        task_class, sections = load_task_class(name), load_sections(name)
        task = sections.task.model_validate(facts["task"])
        model = sections.model.model_validate(facts["model"])
        own = {key: schema.model_validate(facts.get("own", {})[key]) for key, schema in sections.own.items()}
    return Trained(run, task_class(task, model, facts["label_names"], run.preset, **own), facts)


def _settle_task(facts: Mapping[str, Any], config: ExperimentConfig) -> dict[str, Any]:
    """The `task` section as it was trained, with what may differ afterwards as the config has it."""
    free = config.task.after_training
    names = list(facts["label_names"])
    sections = {**facts.get("own", {}), "task": facts["task"], "model": facts["model"]}
    for section in ("task", "model", *config.own_sections):
        for key, asked in getattr(config, section).model_dump(mode="json").items():
            trained = sections.get(section, {}).get(key)
            if section == "task" and (key in free or (key in config.task.class_keys and asked == names)):
                continue
            if asked != trained:
                raise ConfigError(
                    f"the model was trained with {section}.{key}: {json.dumps(trained)}, not {json.dumps(asked)}",
                    where=f"{section}.{key}",
                    fix="Restore the old value, or train again: kerasft run CONFIG.yaml --restart.",
                )
    return {**facts["task"], **{key: getattr(config.task, key) for key in free}}


def check_trained_on(run: RunFolder, dataset: PreparedDataset) -> None:
    """Refuses a dataset that a run's model was not trained on.

    Raises:
        ConfigError: it is another.
    """
    if dataset.fingerprint != run.read_task()["dataset_fingerprint"]:
        raise ConfigError(
            "the data have changed since the model was trained",
            where=str(run.path),
            fix="Train it on the new data: kerasft run CONFIG.yaml --restart; or use another folder: --output DIR.",
        )


def open_feed(
    task: Task,
    dataset: PreparedDataset,
    split: str,
    folder: Path,
    progress: Progress,
    *,
    instead: Sequence[Path] = (),
) -> Feed:
    """A split's examples as the task's model takes them; what is kept of them in a folder is used if unchanged.

    Args:
        task, dataset, split: what is opened.
        folder: where encoded examples are kept.
        progress: where to report.
        instead: where they are kept if that may not be written to, the first of these that may.

    Raises:
        StorageError: none of the folders can be written to.
    """
    fingerprint = compute_fingerprint([dataset.fingerprint, split])
    try:
        return task.open_feed(dataset.split(split), folder, fingerprint, progress)
    except StorageError as error:
        if not instead or error.errno not in READ_ONLY:
            raise
    return open_feed(task, dataset, split, instead[0], progress, instead=instead[1:])
