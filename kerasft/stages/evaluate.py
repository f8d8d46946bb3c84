"""evaluate: figures with intervals, predictions and the report, from the published model."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from kerasft.data.prepared import PreparedDataset, Split, load_prepared_dataset
from kerasft.errors import DataError
from kerasft.experiment import ExperimentConfig
from kerasft.files import compute_fingerprint
from kerasft.progress import Progress, Silent
from kerasft.tasks.base import Task
from kerasft.training.run_folder import RunFolder

SHOWN = (
    "accuracy", "f1", "precision", "recall", "macro_f1", "partial_f1", "token_accuracy", "hamming_loss",
    "micro_f1", "weighted_f1", "mcc", "mean_average_precision", "roc_auc",
    "log_loss", "brier", "ece",
)  # fmt: skip


def compute_evaluate_fingerprint(config: ExperimentConfig, trained: str, dataset: PreparedDataset) -> str:
    """Changes when the figures could; `trained` is the finetune stage's."""
    sections = [config.task.model_dump(mode="json"), config.evaluate.model_dump(mode="json")]
    return compute_fingerprint([trained, dataset.fingerprint, sections])


def evaluate(
    config: ExperimentConfig,
    run: RunFolder,
    progress: Progress = Silent(),  # noqa: B008 (has no state)
) -> dict[str, Any]:
    """Measures the trained model on the splits that the config names.

    Returns:
        `{split: {figure: {"value": …, "low": …, "high": …}}}`, also written to metrics.json.

    Raises:
        ConfigError: nothing was trained, or otherwise than the config says.
        DataError: none of the splits is there.
    """
    from kerasft.training.streams import MeasuredSplit
    from kerasft.training.trained import load_trained, open_feed

    dataset = load_prepared_dataset(run.dataset)
    trained = load_trained(run, config)
    splits = [name for name in config.evaluate.splits if name in dataset.splits]
    if not splits:
        raise DataError(
            f"none of the splits {', '.join(config.evaluate.splits)} is there",
            where="evaluate.splits",
            fix=f"The dataset has {', '.join(dataset.splits)}.",
        )
    run.mark_begun("evaluate")
    forward = trained.task.build_forward(trained.model)
    figures: dict[str, Any] = {}
    for name in splits:
        feed = open_feed(trained.task, dataset, name, run.cache, progress)
        with progress.bar(f"Evaluating {name}", len(feed), "examples") as bar:
            outputs = MeasuredSplit(feed, config.train.evaluation_batch_size).predict(forward, bar.advance)
        figures[name] = trained.task.evaluate(
            outputs, feed.references, bootstrap_samples=config.evaluate.bootstrap_samples, seed=config.seed
        )
        split = dataset.split(name)
        _write_predictions(run, name, trained.task, outputs, split)
        _write_sheet(run, name, trained.task.draw_mistakes(split, outputs, feed.references))
    run.write_figures("evaluate", figures)
    show_figures(figures, progress)
    fingerprint = compute_evaluate_fingerprint(config, trained.facts["fingerprint"], dataset)
    run.mark_done("evaluate", fingerprint)
    return figures


def _write_predictions(run: RunFolder, name: str, task: Task, outputs: np.ndarray, split: Split) -> None:
    predictions = iter(task.decode(outputs))
    path = run.predictions / f"{name}.jsonl"
    with run.open_file(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        rows = (row for chunk in split.iterate(100) for row in chunk)
        for index, (row, prediction) in enumerate(zip(rows, predictions, strict=True)):
            line = {"origin": row.get("name") or split.origin(index), **task.record(row, prediction)}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _write_sheet(run: RunFolder, name: str, figure: Any) -> None:
    """Writes a figure as PNG; without one, an earlier one goes."""
    path = run.predictions / f"{name}.mistakes.png"
    if figure is None:
        run.discard(path)
        return
    from kerasft.plots.style import figure_to_png

    with run.open_file(path) as temporary:
        temporary.write_bytes(figure_to_png(figure))


def show_figures(figures: dict[str, Any], progress: Progress) -> None:
    """The table of overall figures by split."""

    def cell(figure: dict[str, float] | None) -> str:
        if figure is None:
            return "–"
        if "low" not in figure:
            return f"{figure['value']:.4f}"
        return f"{figure['value']:.4f} ({figure['low']:.4f} to {figure['high']:.4f})"

    names = [name for name in SHOWN if any(name in split for split in figures.values())]
    rows = [[name, *(cell(split.get(name)) for split in figures.values())] for name in names]
    rows.append(["examples", *(str(split["examples"]["value"]) for split in figures.values())])
    progress.table("Figures, with 95 % intervals", ["figure", *figures], rows)
