"""prepare: from the user's files to a checked dataset with random access."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from kerasft import __version__
from kerasft.damage import check_folder
from kerasft.data.prepare.dataset import compute_data_fingerprint, fetch_sources, prepare_dataset
from kerasft.data.prepared import PreparedDataset, load_prepared_dataset
from kerasft.errors import DataError
from kerasft.experiment import ExperimentConfig
from kerasft.files import compute_fingerprint, measure_folder
from kerasft.progress import Progress, Silent
from kerasft.runs.folder import RunFolder
from kerasft.runs.stage import Stage


def compute_prepare_fingerprint(config: ExperimentConfig) -> str:
    """Changes when the prepared dataset could."""
    data = compute_data_fingerprint(config.data, Path())
    fields = [dataclasses.asdict(field) for field in config.task.fields]
    return compute_fingerprint([data, config.seed, fields, __version__])


def prepare(
    config: ExperimentConfig,
    run: RunFolder,
    progress: Progress = Silent(),  # noqa: B008 (has no state)
) -> PreparedDataset:
    """Reads, checks and writes the dataset; what stands there unchanged is taken as it is.

    Args:
        config: the experiment.
        run: where the dataset goes.
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
    fingerprint = compute_prepare_fingerprint(config)
    return Stage(
        "prepare",
        fingerprint,
        show_done=lambda: _show_prepared(run, progress),
        do=lambda: _prepare(config, run, fingerprint, progress),
    )


def _show_prepared(run: RunFolder, progress: Progress) -> PreparedDataset | None:
    try:
        dataset = load_prepared_dataset(run.dataset)
        check_folder(run.dataset, "")
    except DataError as error:
        progress.warn(f"{error.where}: {error.what.rstrip('.')}. The data are prepared anew.")
        return None
    progress.note(f"prepare: done before, unchanged ({run.dataset})")
    return dataset


def _prepare(
    config: ExperimentConfig, run: RunFolder, fingerprint: str, progress: Progress
) -> PreparedDataset:
    run.check_unchanged(run.config)
    run.mark_begun("prepare")
    run.write_config(config)
    dataset = prepare_dataset(
        config.data,
        config.task.fields,
        run.dataset,
        base=Path(),
        seed=config.seed,
        progress=progress,
    )
    progress.note(f"The dataset takes {measure_folder(run.dataset) / 1e6:,.1f} MB in {run.dataset}")
    run.mark_done("prepare", fingerprint)
    return dataset
