"""evaluate: figures with intervals, predictions and the report, from the saved model."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.data.prepared import PreparedDataset, Split, load_prepared_dataset
from kerasft.errors import READ_ONLY, DataError, RunLockedError, StorageError
from kerasft.experiment import ExperimentConfig
from kerasft.files import compute_fingerprint, whole_file
from kerasft.metrics.figures import FigureKinds
from kerasft.printable import format_json
from kerasft.progress import Progress, Silent
from kerasft.runs.folder import OTHER, RunFolder
from kerasft.runs.ordered_lines import OrderedLines
from kerasft.runs.stage import Stage
from kerasft.tasks.base import Task

if TYPE_CHECKING:
    from kerasft.training.trained import Trained

PATIENCE_SECONDS = 30.0
"""How long figures wait for the folder's owner, before they are shown alone."""


def compute_evaluate_fingerprint(config: ExperimentConfig, trained: str, dataset: PreparedDataset) -> str:
    """Changes when the figures could; `trained` is the finetune stage's."""
    sections = [config.task.model_dump(mode="json"), config.evaluate.model_dump(mode="json")]
    return compute_fingerprint([trained, dataset.fingerprint, sections])


def evaluate(
    config: ExperimentConfig,
    run: RunFolder,
    progress: Progress = Silent(),  # noqa: B008 (has no state)
    *,
    dataset: PreparedDataset | None = None,
    other: str = "",
    afterwards: Callable[[], Any] = lambda: None,
) -> dict[str, Any]:
    """Measures the trained model on the splits that the config names.

    Reading needs no lock: the run folder is taken only to be written to, when all is measured. Where it cannot be (it
    is read-only, or in use for longer), the figures are shown, with a warning that they are not saved.

    Args:
        config: the experiment.
        run: where the trained model is.
        progress: where to report.
        dataset: what is measured; None: what was prepared in the run folder.
        other: where that is not the run's own, the name that its figures are kept under; of these `test` is measured.
        afterwards: called while the folder is still held, once they are kept.

    Returns:
        `{split: {figure: {"value": …, "low": …, "high": …}}}`, also written to metrics.json; of other examples
        `{name: {figure: …}}`.

    Raises:
        ConfigError: nothing was trained, or otherwise than the config says.
        DamagedError: a file that is needed is not as it was written.
        DataError: none of the splits is there.
    """
    from kerasft.training.trained import load_trained

    dataset = dataset or load_prepared_dataset(run.dataset)
    trained = load_trained(run, config)
    wanted = ["test"] if other else config.evaluate.splits
    splits = [split for split in wanted if split in dataset.splits]
    if not splits:
        raise DataError(
            f"there are no splits {', '.join(wanted)}",
            where="evaluate.splits",
            fix=f"The dataset has {', '.join(dataset.splits)}.",
        )
    with tempfile.TemporaryDirectory(prefix="kerasft-") as place:
        work = Path(place)
        measured = {
            other or split: _measure(config, trained, dataset, split, work, progress, is_own=not other)
            for split in splits
        }
        show_figures(measured, config.task.figure_kinds, progress)
        try:
            with run.owned(progress.note, patience_seconds=PATIENCE_SECONDS):
                _keep(config, run, trained, dataset, measured, work, other)
                afterwards()
        except (RunLockedError, StorageError) as error:
            if isinstance(error, StorageError) and error.errno not in READ_ONLY:
                raise
            progress.warn(f"The figures are shown but not saved: {error.where}: {error.what}")
    return measured


def open_stage(
    config: ExperimentConfig, run: RunFolder, progress: Progress, dataset: PreparedDataset, trained: str
) -> Stage[dict[str, Any]]:
    """The stage, of which come the figures; `trained` is the finetune stage's fingerprint."""
    return Stage(
        "evaluate",
        compute_evaluate_fingerprint(config, trained, dataset),
        show_done=lambda: _show_measured(config, run, progress),
        do=lambda: evaluate(config, run, progress, dataset=dataset),
    )


def _show_measured(config: ExperimentConfig, run: RunFolder, progress: Progress) -> dict[str, Any] | None:
    """The figures that were measured before; None where they, or what the report shows, are not there whole."""
    figures = run.read_metrics().get("evaluate")
    if not figures:
        return None
    files = [f"{split}.{kind}" for split in figures for kind in ("jsonl", "mistakes.png")]
    damage = run.find_damage(*(run.predictions / name for name in files))
    if damage is not None:
        progress.warn(f"{damage} The model is measured again.")
        return None
    progress.note("evaluate: done before, unchanged")
    show_figures(figures, config.task.figure_kinds, progress)
    return figures


def _measure(
    config: ExperimentConfig,
    trained: Trained,
    dataset: PreparedDataset,
    name: str,
    work: Path,
    progress: Progress,
    *,
    is_own: bool,
) -> dict[str, Any]:
    """A split's figures; its predictions and the sheet of mistakes go to `work`."""
    from kerasft.data.streams import run_over
    from kerasft.training.trained import open_feed

    run, task, split = trained.run, trained.task, dataset.split(name)
    folders = [work / "cache"]
    with ExitStack() as stack:
        if is_own:
            with suppress(RunLockedError, StorageError):  # then what is encoded is kept nowhere
                stack.enter_context(run.owned(progress.note))
                folders = [*run.caches, *folders]
        feed = open_feed(task, dataset, name, folders[0], progress, instead=folders[1:])
    tally = task.open_tally()
    with (
        progress.bar(f"Evaluating {name}", len(feed), "examples") as bar,
        OrderedLines(work / f"{name}.jsonl") as lines,
    ):
        for part in run_over(feed, trained.step, config.train.evaluation_batch_size, bar.advance):
            numbers, outputs = [number for number, _ in part], [output for _, output in part]
            tally.add(numbers, outputs, [feed.get_reference(number) for number in numbers])
            for number, line in zip(numbers, _record(task, split, numbers, outputs), strict=True):
                lines.write(number, line)
    figures = tally.compute_figures(bootstrap_samples=config.evaluate.bootstrap_samples, seed=config.seed)
    _write_sheet(work / f"{name}.mistakes.png", task.draw_mistakes(split, tally))
    return figures


def _keep(
    config: ExperimentConfig,
    run: RunFolder,
    trained: Trained,
    dataset: PreparedDataset,
    measured: Mapping[str, Any],
    work: Path,
    other: str,
) -> None:
    """Puts figures and predictions into the run folder.

    Raises:
        RunLockedError: the model there is another by now, or gone.
    """
    there = run.read_task() if run.task.exists() and run.model.exists() else {}
    if there.get("fingerprint") != trained.facts["fingerprint"]:
        raise RunLockedError("the model is being trained again", where=str(run.path))
    if not other:
        run.mark_begun("evaluate")
    for name in measured:
        for ending in ("jsonl", "mistakes.png"):
            written, path = (
                work / f"{'test' if other else name}.{ending}",
                run.predictions / f"{name}.{ending}",
            )
            if not written.exists():
                run.discard(path)  # there are no mistakes
                continue
            with run.open_file(path) as temporary:
                shutil.copyfile(written, temporary)
    if other:
        run.write_figures(OTHER, {**run.read_metrics().get(OTHER, {}), **measured})
        return
    run.write_figures("evaluate", measured)
    fingerprint = compute_evaluate_fingerprint(config, trained.facts["fingerprint"], dataset)
    run.mark_done("evaluate", fingerprint)


def _record(task: Task, split: Split, numbers: Sequence[int], outputs: Sequence[Any]) -> Iterator[str]:
    """Of each of some examples a line: what it is and what the model says of it."""
    examples, predictions = split.take(np.array(numbers, int)), task.decode(outputs)
    for number, example, prediction in zip(numbers, examples, predictions, strict=True):
        origin = example.get("name") or split.origin(number)
        yield format_json({"origin": origin, **task.record(example, prediction)})


def _write_sheet(path: Path, figure: Any) -> None:
    """Writes a figure as PNG; without one, an earlier one goes."""
    if figure is None:
        path.unlink(missing_ok=True)
        return
    from kerasft.plots.style import figure_to_png

    with whole_file(path) as temporary:
        temporary.write_bytes(figure_to_png(figure))


def show_figures(figures: dict[str, Any], kinds: FigureKinds, progress: Progress) -> None:
    """The table of overall figures by split."""

    def cell(figure: dict[str, float] | None) -> str:
        if figure is None:
            return "–"
        if "low" not in figure:
            return f"{figure['value']:.4f}"
        return f"{figure['value']:.4f} ({figure['low']:.4f} to {figure['high']:.4f})"

    names = [kind.name for kind in kinds if kind.place != "report" and kind.form != "count"]
    rows = [
        [name, *(cell(split.get(name)) for split in figures.values())]
        for name in names
        if any(name in split for split in figures.values())
    ]
    if all("examples" in split for split in figures.values()):
        rows.append(["examples", *(str(split["examples"]["value"]) for split in figures.values())])
    has_intervals = any("low" in figure for split in figures.values() for figure in split.values())
    progress.table("Figures, with 95 % intervals" if has_intervals else "Figures", ["figure", *figures], rows)
