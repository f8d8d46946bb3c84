"""run: every stage that the config asks for, in order; finished stages are skipped."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from kerasft.data.prepared import PreparedDataset, load_prepared_dataset
from kerasft.errors import ConfigError, DataError, RunLockedError, StorageError
from kerasft.experiment import ExperimentConfig
from kerasft.models.sources import ModelSource
from kerasft.progress import Progress, Silent
from kerasft.runs.folder import OTHER, RunFolder
from kerasft.runs.stage import Stage
from kerasft.stages import evaluate as evaluate_stage
from kerasft.stages import export as export_stage
from kerasft.stages import finetune as finetune_stage
from kerasft.stages import prepare as prepare_stage
from kerasft.stages import start as start_stage
from kerasft.training.budget import take_up_budget
from kerasft.training.identity import compare_values, find_beginning, refuse_changes
from kerasft.training.other_data import names_other_test, prepare_other_test


def run(
    config: ExperimentConfig,
    run: RunFolder,
    progress: Progress = Silent(),  # noqa: B008 (has no state)
    *,
    restart: bool = False,
) -> dict[str, str]:
    """Does what is not done yet; a training that was cut off goes on from its last checkpoint.

    Args:
        config: the experiment.
        run: where it stands.
        progress: where to report.
        restart: removes the folder's training and starts over.

    Raises:
        ConfigError: the folder holds a run that began with another config, data or vocabulary.
        KerasftError: as the stages do.

    Returns:
        What came of it, for people: the paths of model, report and export.
    """
    run.check_unchanged(run.config, run.report)
    config = config if restart else take_up_budget(config, run)
    dataset, source = _prepare_start(config, run, progress, restart)
    training = finetune_stage.open_stage(config, run, progress, dataset, source, restart=restart)
    results = {"model": str(training.complete(run))}
    # its length is settled by now
    config = finetune_stage.take_up_epochs(take_up_budget(config, run), run, dataset, source)
    training = finetune_stage.open_stage(config, run, progress, dataset, source, restart=False)
    run.write_config(config)
    evaluate_stage.open_stage(config, run, progress, dataset, training.fingerprint).complete(run)
    if config.export is not None:
        results["export"] = str(_open_export(config, run, training.fingerprint, progress).complete(run))
    from kerasft.report.from_run import write_run_report  # plots: half of the command's start

    report = write_run_report(run, dataset)
    if report is not None:
        results["report"] = str(report)
    return results


def finetune(
    config: ExperimentConfig,
    run: RunFolder,
    progress: Progress = Silent(),  # noqa: B008 (has no state)
    *,
    restart: bool = False,
) -> None:
    """Trains, after preparing the data if that is not done yet; see `kerasft.stages.finetune.finetune`."""
    config = config if restart else take_up_budget(config, run)
    dataset, source = _prepare_start(config, run, progress, restart)
    finetune_stage.open_stage(config, run, progress, dataset, source, restart=restart).complete(run)


def pretrain(
    config: ExperimentConfig,
    run: RunFolder,
    progress: Progress = Silent(),  # noqa: B008 (has no state)
    *,
    restart: bool = False,
) -> dict[str, str]:
    """Trains on examples without labels, after preparing them if that is not done yet: the same training as `finetune`.

    Raises:
        ConfigError: the task has labels.

    Returns:
        The paths of the model and of the preset that other runs can fine-tune.
    """
    labels = [field.name for field in config.task.fields if field.role == "target"]
    if labels:
        raise ConfigError(
            f"{config.task.type} learns from labelled examples ({', '.join(labels)}); pretrain learns from raw ones",
            where="task.type",
            fix="Use kerasft finetune, or choose a task without labels: kerasft pretrain --help.",
        )
    finetune(config, run, progress, restart=restart)
    return {"model": str(run.model), "preset": str(run.preset)}


def evaluate(config: ExperimentConfig, run: RunFolder, progress: Progress = Silent()) -> dict[str, Any]:  # noqa: B008
    """Measures the trained model anew and writes the report; a config that names other test data, on those.

    Other examples are prepared aside, and their figures kept under a name of their own: what the run holds stays. A
    folder that is read-only, or in use by another process, is read all the same.

    Raises:
        ConfigError: nothing was trained, or on other data than the config names now.
        DataError: other examples have labels that the model does not know.
    """
    from kerasft.report.from_run import write_run_report
    from kerasft.training.trained import check_trained_on

    run.read_task()
    if names_other_test(config, run):
        with prepare_other_test(config, run, progress) as (name, dataset):
            place = f"{OTHER}.{name} in {run.metrics}; predictions: {run.predictions / name}.jsonl"
            return evaluate_stage.evaluate(
                config,
                run,
                progress,
                dataset=dataset,
                other=name,
                afterwards=lambda: progress.note(f"Kept as {place}"),
            )
    with suppress(RunLockedError, StorageError), run.owned(progress.note):  # else no report is written
        run.check_unchanged(run.report)
    if not _stands_prepared(config, run, progress):
        with run.owned(progress.note):
            _prepare(config, run, progress)
    dataset = load_prepared_dataset(run.dataset)
    check_trained_on(run, dataset)
    return evaluate_stage.evaluate(
        config,
        run,
        progress,
        dataset=dataset,
        afterwards=lambda: progress.note(f"Report: {write_run_report(run, dataset)}"),
    )


def _stands_prepared(config: ExperimentConfig, run: RunFolder, progress: Progress) -> bool:
    """Whether the folder's dataset is of what the config names; of files that are gone, as far as the config tells."""
    try:
        return run.is_done("prepare", prepare_stage.compute_prepare_fingerprint(config))
    except DataError as error:
        identity = run.read_identity()
        if identity is None or identity["config"]["data"] != config.data.describe():
            raise
        progress.note(f"{error.where}: {error.what} The dataset that was prepared of it is measured.")
        return True


def prepare(
    config: ExperimentConfig,
    run: RunFolder,
    progress: Progress = Silent(),  # noqa: B008 (has no state)
) -> None:
    """Prepares the data; see `kerasft.stages.prepare.prepare`.

    Raises:
        ConfigError: a training in the folder hangs on other data.
    """
    dataset = _prepare(config, run, progress)
    if config.model.starts_from_data:
        _start(config, run, progress, dataset)


def _prepare_start(
    config: ExperimentConfig, run: RunFolder, progress: Progress, restart: bool
) -> tuple[PreparedDataset, ModelSource]:
    """The prepared data, and what the model begins with."""
    # a preset is looked for first: data may take long, and a wrong name should not wait for it
    source = None if config.model.starts_from_data else config.model.resolve()
    dataset = _prepare(config, run, progress, restart)
    return dataset, source or _start(config, run, progress, dataset, restart)


def _start(
    config: ExperimentConfig,
    run: RunFolder,
    progress: Progress,
    dataset: PreparedDataset,
    restart: bool = False,
) -> ModelSource:
    stage = start_stage.open_stage(config, run, progress, dataset)
    if run.stage_record("start") and not stage.is_done(run) and not restart:
        _refuse_changes(config, run, ("model", *config.own_sections))
    return stage.complete(run)


def _prepare(
    config: ExperimentConfig, run: RunFolder, progress: Progress, restart: bool = False
) -> PreparedDataset:
    stage = prepare_stage.open_stage(config, run, progress)
    if run.stage_record("prepare") and not stage.is_done(run) and not restart:
        _refuse_changes(
            config,
            run,
            ("seed", "task", "data"),
            "data: the files have changed (or kerasft is a different version)",
        )
    return stage.complete(run)


def _refuse_changes(
    config: ExperimentConfig, run: RunFolder, sections: Sequence[str], otherwise: str = ""
) -> None:
    """Before something is replaced that a training hangs on.

    Args:
        config: the new one.
        run: the folder.
        sections: of the config, from which it is made.
        otherwise: what has changed where these sections have not; empty: nothing that matters.

    Raises:
        ConfigError: a training hangs on it, and it would be another.
    """
    _, before, stands = find_beginning(run)
    if before is None:
        return
    now = {**config.model_dump(mode="json"), "data": config.data.describe()}
    changes = [
        f"{key}: {old} → {new}"
        for name in sections
        for key, old, new in compare_values(before["config"].get(name), now.get(name), name)
    ]
    if changes or otherwise:
        raise refuse_changes(run, changes or [otherwise], stands)


def _open_export(config: ExperimentConfig, run: RunFolder, trained: str, progress: Progress) -> Stage[Path]:
    """The export stage, of which comes the version's folder; `trained` is the finetune stage's fingerprint."""
    return Stage(
        "export",
        export_stage.compute_export_fingerprint(config, trained),
        show_done=lambda: _show_exported(run, progress),
        do=lambda: export_stage.export(config, run, progress),
    )


def _show_exported(run: RunFolder, progress: Progress) -> Path | None:
    folder = run.export / str(run.stage_record("export").get("version"))
    if not folder.exists():
        return None
    damage = run.find_damage(folder)
    if damage is None:
        progress.note(f"export: done before, unchanged ({folder})")
        return folder
    progress.warn(f"{damage} It is exported again, as the next version; remove {folder}.")
    return None
