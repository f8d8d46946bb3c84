"""export: a SavedModel from raw inputs to answers, published only if a clean process confirms its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kerasft.data.feed import Output
from kerasft.data.prepared import PreparedDataset, load_prepared_dataset
from kerasft.errors import DataError
from kerasft.experiment import ExperimentConfig
from kerasft.files import compute_fingerprint
from kerasft.progress import Progress, Silent
from kerasft.runs.folder import RunFolder
from kerasft.serving.config import ExportConfig
from kerasft.tasks.served import RawInputs, Served

if TYPE_CHECKING:
    from kerasft.training.trained import Trained

_PROMPTS = 4
"""Examples on whose beginnings a model that writes goes on, before it is published."""


def compute_export_fingerprint(config: ExperimentConfig, trained: str) -> str:
    """Changes when the export could; `trained` is the finetune stage's."""
    export = config.export or ExportConfig()
    return compute_fingerprint([trained, config.task.model_dump(mode="json"), export.model_dump(mode="json")])


def export(
    config: ExperimentConfig,
    run: RunFolder,
    progress: Progress = Silent(),  # noqa: B008 (has no state)
    destination: Path | None = None,
) -> Path:
    """Writes the trained model's SavedModel.

    Args:
        config: the experiment.
        run: where the trained model is.
        progress: where to report.
        destination: the version's folder, such as `served/1`; by default the run's `export/` and the next number.

    Returns:
        The version's folder.

    Raises:
        ConfigError: nothing was trained, or otherwise than the config says, or on other data than stand in the run
            folder now.
        ExportError: the export does not answer as the model does, or the destination exists.
    """
    from kerasft.serving.publishing import check_destination
    from kerasft.training.trained import check_trained_on, load_trained

    trained = load_trained(run, config)
    folder = destination.expanduser() if destination else run.export / str(_next_version(run.export))
    check_destination(folder)
    dataset = load_prepared_dataset(run.dataset)
    check_trained_on(run, dataset)
    parity = _publish(config, trained, dataset, folder, progress)
    if destination is None:
        fingerprint = compute_export_fingerprint(config, trained.facts["fingerprint"])
        run.mark_done("export", fingerprint, version=folder.name)
    progress.note(
        f"Exported {folder}: largest difference from the model {parity['largest_difference']:.1e} "
        f"over {parity['examples']} raw examples"
    )
    return folder


def _publish(
    config: ExperimentConfig, trained: Trained, dataset: PreparedDataset, folder: Path, progress: Progress
) -> dict[str, Any]:
    """Writes the version, if its answers are the model's; returns what `parity.json` holds."""
    from kerasft.serving.publishing import publish_saved_model

    task, settings = trained.task, config.export or ExportConfig()

    def expected(inputs: list[RawInputs]) -> list[Output]:
        return trained.answer([task.read_served(one) for one in inputs])

    def accepts(one: RawInputs) -> bool:
        try:
            task.read_served(one)
        except DataError:
            return False
        return True

    examples = sample_inputs(dataset, task.make_question, settings.replay_examples)
    progress.note(f"Exporting to {folder}; a clean process then runs {len(examples):,} examples")
    served = _serve(trained, examples)
    return publish_saved_model(
        served.module,
        folder,
        examples,
        expected,
        probes=served.probes,
        accepts=accepts,
        measure=served.measure,
        tolerance=settings.tolerance,
        documents={**served.files, "model_card.md": _write_card(config, trained, dataset, served)},
        further=served.further,
    )


def _serve(trained: Trained, examples: Sequence[RawInputs]) -> Served:
    """What the task exports; of a model that writes, with a signature for that."""
    served, generator = trained.task.serve(trained.model), trained.task.open_generator(trained.model)
    if generator is None:
        return served
    from kerasft.tasks.writing import add_writing

    texts = [value for one in examples[:_PROMPTS] for value in one.values() if isinstance(value, str)]
    return add_writing(served, generator, texts)


def _write_card(config: ExperimentConfig, trained: Trained, dataset: PreparedDataset, served: Served) -> str:
    from kerasft.serving.model_card import write_model_card

    return write_model_card(
        name=config.name,
        task=config.task.type,
        preset=config.model.start,
        served=served,
        label_names=trained.task.label_names,
        figures=trained.run.read_metrics().get("evaluate", {}),
        kinds=config.task.figure_kinds,
        data=dataset.manifest,
        versions=trained.run.read_environment().get("versions", {}),
    )


def _next_version(folder: Path) -> int:
    numbers = [int(path.name) for path in folder.glob("*") if path.name.isdigit()] if folder.exists() else []
    return max(numbers, default=0) + 1


def sample_inputs(
    dataset: PreparedDataset, make_question: Callable[[Mapping[str, Any]], RawInputs], count: int
) -> list[RawInputs]:
    """Raw inputs, by the input fields' names, from all over the split that the model has seen least."""
    name = next(name for name in ("test", "validation", "train") if name in dataset.splits)
    split = dataset.split(name)
    rows = np.unique(np.linspace(0, len(split) - 1, min(count, len(split))).astype(int))
    return [make_question(example) for example in split.take(rows)]
