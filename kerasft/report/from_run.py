"""The report of a run folder, from the files that its stages left there."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kerasft.damage import check_file
from kerasft.data.prepared import PreparedDataset, load_prepared_dataset
from kerasft.errors import ConfigError
from kerasft.report.content import (
    ExportedModel,
    ReportContent,
    choose_main_split,
)
from kerasft.report.page import write_report
from kerasft.runs.folder import FIXES, RunFolder
from kerasft.runs.records import Parity
from kerasft.tasks import load_display, load_sections
from kerasft.tasks.config import TaskConfig
from kerasft.tasks.display import Display, Figures, Measured, Shown
from kerasft.untrusted import iterate_json_lines, naming, read_bytes, read_json, read_text

_EVALUATE_AGAIN = "Measure it again: kerasft evaluate."
_PARITY = "parity.json"


def write_run_report(run: RunFolder, dataset: PreparedDataset | None = None) -> Path | None:
    """Writes report.html anew from what there is; None (and nothing written) before any evaluation.

    Args:
        run: the folder.
        dataset: its own; opened where it is not handed in.

    Raises:
        ConfigError: somebody has changed the one that is there.
    """
    figures = run.read_metrics().get("evaluate")
    if not figures:
        return None
    run.check_unchanged(run.report)
    facts = run.read_task()
    dataset = dataset or load_prepared_dataset(run.dataset)
    task = _read_task(facts)
    names = facts["label_names"]
    display = load_display(facts["task"]["type"])(task, names)
    main = choose_main_split(figures)
    assert main is not None
    export = run.stage_record("export").get("version")
    _check_shown(run, run.export / export if export else None)
    config_text = read_text(run.config, error=ConfigError) if run.config.exists() else None
    content = ReportContent(
        title=run.path.resolve().name,
        task=task.title,
        label_names=names,
        figures=figures,
        kinds=task.figure_kinds,
        shown={main: _show(run, display, dataset, main, figures[main])},
        display=display,
        training=run.read_metrics().get("finetune", {}).get("train", {}),
        history=run.read_history(),
        best_step=facts.get("best_step"),
        manifest=dataset.manifest,
        config_text=config_text,
        environment=run.read_environment(),
        export=_describe_export(run.export / export) if export else None,
        usage=_list_usage(run, display),
        augmentation=read_bytes(run.augmentation, error=ConfigError) if run.augmentation.exists() else None,
    )
    with run.open_file(run.report) as temporary:
        write_report(temporary, content)
    return run.report


def _read_task(facts: Mapping[str, Any]) -> TaskConfig:
    """The `task` section as it was trained."""
    with naming("task.json", ConfigError, _EVALUATE_AGAIN):
        return load_sections(facts["task"]["type"]).task.model_validate(facts["task"])


def _check_shown(run: RunFolder, export: Path | None) -> None:
    """Refuses to show what is not as it was written.

    Raises:
        DamagedError: it is not.
    """
    remove = "Restore it from a copy; or remove it: it is then not shown."
    for path, fix in ((run.config, FIXES[run.config.name]), (run.augmentation, remove)):
        if path.exists():
            check_file(path, fix)
    if export is not None and (export / _PARITY).exists():
        check_file(
            export / _PARITY, "Export it again, as the next version: kerasft export, with the run folder."
        )


def _show(run: RunFolder, display: Display, dataset: PreparedDataset, split: str, figures: Figures) -> Shown:
    path = run.predictions / f"{split}.jsonl"
    with naming(path, ConfigError, _EVALUATE_AGAIN):
        records = iterate_json_lines(path, display.record_schema, error=ConfigError, fix=_EVALUATE_AGAIN)
        examples = dataset.split(split) if split in dataset.splits else None
        return display.show(Measured(name=split, figures=figures, records=records, split=examples))


def _list_usage(run: RunFolder, display: Display) -> list[tuple[str, str]]:
    tensorboard = ("See the training in TensorBoard", f"tensorboard --logdir {shlex.quote(str(run.logs))}")
    return [*display.list_commands(str(run.path)), tensorboard]


def _describe_export(folder: Path) -> ExportedModel | None:
    if not folder.exists():
        return None
    parity = read_json(folder / _PARITY, Parity, error=ConfigError, fix="Export it again: kerasft export.")
    return ExportedModel(path=str(folder), parity=parity)
