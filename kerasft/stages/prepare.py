"""prepare: writes a checked dataset with random access from the user's files."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from kerasft import __version__
from kerasft.config.loading import load_config
from kerasft.damage import check_folder
from kerasft.data.kinds.fields import Field
from kerasft.data.prepare.dataset import (
    Protected,
    compute_data_fingerprint,
    fetch_sources,
    prepare_dataset,
)
from kerasft.data.prepared import PreparedDataset, load_prepared_dataset
from kerasft.errors import DataError
from kerasft.experiment import ExperimentConfig
from kerasft.files import compute_fingerprint, measure_folder
from kerasft.progress import Progress, Silent
from kerasft.runs.folder import RunFolder
from kerasft.runs.shared_data import DATASET, is_shared, locate, written_by_one
from kerasft.runs.stage import Stage
from kerasft.untrusted import check_tree


def compute_prepare_fingerprint(config: ExperimentConfig) -> str:
    """Changes when the prepared dataset could."""
    data = compute_data_fingerprint(config.data, Path())
    fields = [_describe_field(field) for field in config.task.fields]
    others = [
        (
            compute_data_fingerprint(other.config, Path()),
            other.seed,
            [_describe_field(field) for field in other.fields],
        )
        for other in _load_protected(config)
    ]
    return compute_fingerprint([data, config.seed, fields, __version__, *([others] if others else [])])


def _load_protected(config: ExperimentConfig) -> list[Protected]:
    """The experiments that `data.decontaminate` names.

    Raises:
        ConfigError: one of them is no config of an experiment.
    """
    protected = []
    for path in config.data.decontaminate:
        other = load_config(ExperimentConfig, path).config
        name = os.path.relpath(path)
        protected.append(
            Protected(path if name.startswith("..") else name, other.data, other.task.fields, other.seed)
        )
    return protected


def _describe_field(field: Field) -> dict[str, Any]:
    """All of it; without `optional` where it is not, as runs from before there was such a thing describe theirs."""
    described = dataclasses.asdict(field)
    return (
        described if field.optional else {key: item for key, item in described.items() if key != "optional"}
    )


def prepare(
    config: ExperimentConfig,
    run: RunFolder,
    progress: Progress = Silent(),  # noqa: B008 (has no state)
) -> PreparedDataset:
    """Reads, checks and writes the dataset; what stands there unchanged is taken as it is.

    Args:
        config: the experiment.
        run: where the dataset goes, unless `data.cache_folder` names another place.
        progress: where to report.

    Raises:
        DataError: too much was rejected, leaks where they are refused, one class only, or nothing to read.
    """
    return open_stage(config, run, progress).complete(run)


def open_stage(config: ExperimentConfig, run: RunFolder, progress: Progress) -> Stage[PreparedDataset]:
    """The stage, once the data that are named by name alone are there: its fingerprint is of all of them.

    Raises:
        DataError: they cannot be had, or a path matches nothing.
    """
    fetch_sources(config.data, Path(), progress)
    for other in _load_protected(config):
        fetch_sources(other.config, Path(), progress)
    fingerprint = compute_prepare_fingerprint(config)
    shared = config.data.cache_folder
    place = locate(shared, fingerprint) if shared is not None else None
    return Stage(
        "prepare",
        fingerprint,
        show_done=lambda: _show_prepared(run, place, progress),
        do=lambda: _prepare(config, run, fingerprint, place, progress),
    )


def _show_prepared(run: RunFolder, place: Path | None, progress: Progress) -> PreparedDataset | None:
    if run.shared_data != place:
        return None  # it is to lie elsewhere from now on
    try:
        dataset = _open_whole(run.dataset)
    except DataError as error:
        progress.warn(_describe_damage(error))
        return None
    progress.note(_describe_done(dataset))
    return dataset


def _open_whole(folder: Path) -> PreparedDataset:
    """A dataset of which every file is as it was written.

    Raises:
        DataError: there is none, or it is damaged.
    """
    dataset = load_prepared_dataset(folder)
    check_folder(folder, "")
    return dataset


def _describe_damage(error: DataError) -> str:
    return f"{error.where}: {error.what.rstrip('.')}. The data is prepared again."


def _describe_done(dataset: PreparedDataset) -> str:
    return f"prepare: done before, unchanged ({dataset.folder})"


def _prepare(
    config: ExperimentConfig, run: RunFolder, fingerprint: str, place: Path | None, progress: Progress
) -> PreparedDataset:
    run.check_unchanged(run.config)
    run.mark_begun("prepare")
    run.write_config(config)
    if place is None:
        dataset = _write_dataset(config, run.dataset, progress)
        run.mark_done("prepare", fingerprint)
    else:
        dataset = _prepare_shared(config, place, progress)
        run.mark_done("prepare", fingerprint, folder=str(place))
    return dataset


def _prepare_shared(config: ExperimentConfig, place: Path, progress: Progress) -> PreparedDataset:
    """The data that runs share: prepared by the first that needs them, while the others wait for it.

    Raises:
        RunLockedError: another process prepares them, for longer than one waits.
    """
    folder = place / DATASET
    # where they are whole, a folder that is read-only will do
    dataset = _find_whole(place, Silent())
    if dataset is None:
        with written_by_one(place, progress):
            dataset = _find_whole(place, progress)
            if dataset is None:
                return _write_dataset(config, folder, progress)
    progress.note(_describe_done(dataset))
    return dataset


def _find_whole(place: Path, progress: Progress) -> PreparedDataset | None:
    folder = place / DATASET
    if not is_shared(place) or not folder.exists():
        return None
    try:
        check_tree(place)
        return _open_whole(folder)
    except DataError as error:
        progress.warn(_describe_damage(error))
        return None


def _write_dataset(config: ExperimentConfig, folder: Path, progress: Progress) -> PreparedDataset:
    dataset = prepare_dataset(
        config.data,
        config.task.fields,
        folder,
        base=Path(),
        seed=config.seed,
        progress=progress,
        protected=_load_protected(config),
    )
    progress.note(f"The dataset takes {measure_folder(folder) / 1e6:,.1f} MB in {folder}")
    return dataset
