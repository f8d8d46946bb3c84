"""The report of a run folder, from the files that its stages left there."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.data.prepared import PreparedDataset, Split, load_prepared_dataset
from kerasft.errors import ConfigError
from kerasft.integrity import check_file
from kerasft.report.content import (
    ExportedModel,
    ReportContent,
    SeveralLabels,
    SplitPredictions,
    TaggedText,
)
from kerasft.report.page import write_report
from kerasft.runs.folder import FIXES, RunFolder
from kerasft.runs.records import Parity, Prediction, SeveralLabelsPrediction, TaggedPrediction
from kerasft.tasks import load_sections
from kerasft.tasks.config import TaskConfig
from kerasft.untrusted import iterate_json_lines, naming, read_bytes, read_json, read_text

_EVALUATE_AGAIN = "Measure it anew: kerasft evaluate."
_PARITY = "parity.json"


def write_run_report(run: RunFolder) -> Path | None:
    """Writes report.html anew from what there is; None (and nothing written) before any evaluation.

    Raises:
        ConfigError: somebody has changed the one that is there.
    """
    figures = run.read_metrics().get("evaluate")
    if not figures:
        return None
    run.check_unchanged(run.report)
    facts = run.read_task()
    dataset = load_prepared_dataset(run.dataset)
    names = facts["label_names"]
    kinds = {field.kind for field in dataset.fields}
    task = _read_task(facts)
    tagged, several = "tagged_text" in kinds, "labels" in task.answer_keys
    export = run.stage_record("export").get("version")
    _check_shown(run, run.export / export if export else None)
    config_text = read_text(run.config, error=ConfigError) if run.config.exists() else None
    content = ReportContent(
        title=run.path.resolve().name,
        task=facts["task"]["type"],
        label_names=names,
        figures=figures,
        kinds=task.figure_kinds,
        predictions={}
        if tagged or several
        else {split: _read_predictions(run, split, names, dataset) for split in figures},
        several_labels={split: _read_several_labels(run, split, names, dataset) for split in figures}
        if several
        else {},
        tagged_texts={split: _read_tagged_texts(run, split) for split in figures} if tagged else {},
        training=run.read_metrics().get("finetune", {}).get("train", {}),
        label_smoothing=float(facts["task"].get("label_smoothing") or 0.0),
        history=run.read_history(),
        best_step=facts.get("best_step"),
        manifest=dataset.manifest,
        config_text=config_text,
        environment=run.read_environment(),
        export=_describe_export(run.export / export) if export else None,
        usage=_list_usage(run, kinds),
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
    remove = "Bring back a copy of it; or remove it: it is then not shown."
    for path, fix in ((run.config, FIXES[run.config.name]), (run.augmentation, remove)):
        if path.exists():
            check_file(path, fix)
    if export is not None and (export / _PARITY).exists():
        check_file(
            export / _PARITY, "Export it anew, as the next version: kerasft export, with the run folder."
        )


class _Pictures(Sequence[bytes]):
    """A split's pictures by number, read from the prepared dataset as they are asked for."""

    def __init__(self, split: Split):
        self._split = split

    def __len__(self) -> int:
        return len(self._split)

    def __getitem__(self, index: Any) -> Any:
        return self._split[index]["image"]


def _read_predictions(
    run: RunFolder, split: str, names: list[str], dataset: PreparedDataset
) -> SplitPredictions:
    index = {name: number for number, name in enumerate(names)}
    probabilities, labels, texts, origins = [], [], [], []
    path = run.predictions / f"{split}.jsonl"
    with naming(path, ConfigError, _EVALUATE_AGAIN):
        for row in iterate_json_lines(path, Prediction, error=ConfigError, fix=_EVALUATE_AGAIN):
            probabilities.append([row["probabilities"][name] for name in names])
            labels.append(index[row["label"]])
            texts.append(row.get("text", ""))
            origins.append(row["origin"])
    of_pictures = any(field.kind == "image" for field in dataset.fields)
    return SplitPredictions(
        probabilities=np.array(probabilities),
        labels=np.array(labels),
        texts=() if of_pictures else texts,
        pictures=_Pictures(dataset.split(split)) if of_pictures else (),
        origins=origins,
    )


def _read_several_labels(
    run: RunFolder, split: str, names: list[str], dataset: PreparedDataset
) -> SeveralLabels:
    index = {name: number for number, name in enumerate(names)}
    probabilities, rows, texts, origins = [], [], [], []
    path = run.predictions / f"{split}.jsonl"
    with naming(path, ConfigError, _EVALUATE_AGAIN):
        for row in iterate_json_lines(path, SeveralLabelsPrediction, error=ConfigError, fix=_EVALUATE_AGAIN):
            probabilities.append([row["probabilities"][name] for name in names])
            rows.append([index[name] for name in row["labels"]])
            texts.append(row.get("text", ""))
            origins.append(row["origin"])
    labels = np.zeros((len(rows), len(names)), bool)
    for place, held in enumerate(rows):
        labels[place, held] = True
    of_pictures = any(field.kind == "image" for field in dataset.fields)
    return SeveralLabels(
        probabilities=np.array(probabilities),
        labels=labels,
        texts=() if of_pictures else texts,
        pictures=_Pictures(dataset.split(split)) if of_pictures else (),
        origins=origins,
    )


def _read_tagged_texts(run: RunFolder, split: str) -> list[TaggedText]:
    path = run.predictions / f"{split}.jsonl"
    return [
        TaggedText(**{key: row[key] for key in ("text", "entities", "predicted", "origin")})
        for row in iterate_json_lines(path, TaggedPrediction, error=ConfigError, fix=_EVALUATE_AGAIN)
    ]


def _describe_export(folder: Path) -> ExportedModel | None:
    if not folder.exists():
        return None
    parity = read_json(folder / _PARITY, Parity, error=ConfigError, fix="Export it anew: kerasft export.")
    return ExportedModel(path=str(folder), parity=parity)


def _list_usage(run: RunFolder, kinds: Collection[str]) -> list[tuple[str, str]]:
    path = shlex.quote(str(run.path))
    tensorboard = ("See the training in TensorBoard", f"tensorboard --logdir {shlex.quote(str(run.logs))}")
    if "tagged_text" in kinds:
        asked = f'kerasft predict {path} "Ada Brandt flew to Lisbon." --highlight'
        page = f"kerasft predict {path} --input texts.txt --highlight --to texts.html"
        return [("Ask it", asked), ("about a file; the answers as a page to look at", page), tensorboard]
    if "image" not in kinds:
        return [("Ask it", f'kerasft predict {path} "What a film."'), tensorboard]
    return [
        ("Ask it about a picture", f"kerasft predict {path} photo.jpg"),
        (
            "about whole folders; the answers go to a file, and as labels onto copies of the pictures",
            f"kerasft predict {path} photos/ 'more/*.png' --to answers.jsonl --draw labelled/",
        ),
        (
            "From Python",
            f'import kerasft\nkerasft.load_run({str(run.path)!r}).predict(["photo.jpg", "other.png"])',
        ),
        tensorboard,
    ]
