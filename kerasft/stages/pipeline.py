"""run: every stage that the config asks for, in order; what is done and unchanged is skipped."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from kerasft.data.prepared import load_prepared_dataset
from kerasft.errors import DataError, RunLockedError, StorageError
from kerasft.experiment import ExperimentConfig
from kerasft.progress import Progress, Silent
from kerasft.runs.folder import OTHER, RunFolder
from kerasft.stages import evaluate as evaluate_stage
from kerasft.stages import export as export_stage
from kerasft.stages import finetune as finetune_stage
from kerasft.stages import prepare as prepare_stage
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
        restart: removes the folder's training and begins afresh.

    Raises:
        ConfigError: the folder holds a run that began with another config, data or vocabulary.
        KerasftError: as the stages do.

    Returns:
        What came of it, for people: the paths of model, report and export.
    """
    run.check_unchanged(run.config, run.report)
    # the preset is looked for first: data may take long, and a wrong name should not wait for it
    source = config.model.resolve()
    _prepare(config, run, progress, restart)
    finetune_stage.finetune(config, run, progress, restart=restart)
    dataset = load_prepared_dataset(run.dataset)
    fingerprint = finetune_stage.compute_finetune_fingerprint(config, dataset, source)
    run.write_config(config)
    measured = evaluate_stage.compute_evaluate_fingerprint(config, fingerprint, dataset)
    if not (run.is_done("evaluate", measured) and _show_measured(config, run, progress)):
        evaluate_stage.evaluate(config, run, progress)
    results = {"model": str(run.model)}
    if config.export is not None:
        results["export"] = _export(config, run, fingerprint, progress)
    from kerasft.report.from_run import write_run_report  # plots: half of the command's start

    report = write_run_report(run)
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
    config.model.resolve()
    _prepare(config, run, progress, restart)
    finetune_stage.finetune(config, run, progress, restart=restart)


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
        with prepare_other_test(config, run, progress) as (name, other):
            place = f"{OTHER}.{name} in {run.metrics}; predictions: {run.predictions / name}.jsonl"
            return evaluate_stage.evaluate(
                config,
                run,
                progress,
                other=(name, other),
                afterwards=lambda: progress.note(f"Kept as {place}"),
            )
    with suppress(RunLockedError, StorageError), run.owned(progress.note):  # else no report is written
        run.check_unchanged(run.report)
    if not _stands_prepared(config, run, progress):
        with run.owned(progress.note):
            _prepare(config, run, progress)
    check_trained_on(run, load_prepared_dataset(run.dataset))
    return evaluate_stage.evaluate(
        config, run, progress, afterwards=lambda: progress.note(f"Report: {write_run_report(run)}")
    )


def _stands_prepared(config: ExperimentConfig, run: RunFolder, progress: Progress) -> bool:
    """Whether the folder's dataset is of what the config names; of files that are gone, as far as the config tells."""
    try:
        return run.is_done("prepare", prepare_stage.compute_prepare_fingerprint(config))
    except DataError as error:
        identity = run.read_identity()
        if identity is None or identity["config"]["data"] != config.data.model_dump(mode="json"):
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
    _prepare(config, run, progress)


def _prepare(config: ExperimentConfig, run: RunFolder, progress: Progress, restart: bool = False) -> None:
    done = run.is_done("prepare", prepare_stage.compute_prepare_fingerprint(config))
    if run.stage_record("prepare") and not done and not restart:
        _refuse_other_data(config, run)
    prepare_stage.prepare(config, run, progress)


def _refuse_other_data(config: ExperimentConfig, run: RunFolder) -> None:
    """Before a dataset is replaced that a training hangs on.

    Raises:
        ConfigError: one does.
    """
    _, before, stands = find_beginning(run)
    if before is None:
        return
    now = config.model_dump(mode="json")
    changes = [
        f"{key}: {old} → {new}"
        for name in ("seed", "task", "data")
        for key, old, new in compare_values(before["config"][name], now[name], name)
    ]
    told = "data: the files hold something else (or kerasft is another version)"
    raise refuse_changes(run, changes or [told], stands)


def _show_measured(config: ExperimentConfig, run: RunFolder, progress: Progress) -> bool:
    """Shows the figures that were measured before; False where they, or what the report shows, are not there whole."""
    figures = run.read_metrics().get("evaluate")
    if not figures:
        return False
    files = [f"{split}.{kind}" for split in figures for kind in ("jsonl", "mistakes.png")]
    damage = run.find_damage(*(run.predictions / name for name in files))
    if damage is not None:
        progress.warn(f"{damage} The model is measured anew.")
        return False
    progress.note("evaluate: done before, unchanged")
    evaluate_stage.show_figures(figures, config.task.figure_kinds, progress)
    return True


def _export(config: ExperimentConfig, run: RunFolder, trained: str, progress: Progress) -> str:
    fingerprint = export_stage.compute_export_fingerprint(config, trained)
    folder = run.export / str(run.stage_record("export").get("version"))
    if run.is_done("export", fingerprint) and folder.exists():
        damage = run.find_damage(folder)
        if damage is None:
            progress.note(f"export: done before, unchanged ({folder})")
            return str(folder)
        progress.warn(f"{damage} It is exported anew, as the next version; remove {folder}.")
    return str(export_stage.export(config, run, progress))
