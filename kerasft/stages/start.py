"""start: makes what a new net begins with from the prepared data: its tokenizer and its size."""

from __future__ import annotations

from pathlib import Path

from kerasft import __version__
from kerasft.damage import check_folder
from kerasft.data.prepared import PreparedDataset
from kerasft.errors import DataError
from kerasft.experiment import ExperimentConfig
from kerasft.files import compute_fingerprint, compute_sha256, whole_folder
from kerasft.foreign import check_replaceable
from kerasft.integrity import write_hashes
from kerasft.models.sources import ModelSource
from kerasft.progress import Progress
from kerasft.runs.folder import RunFolder
from kerasft.runs.stage import Stage
from kerasft.tasks import load_start


def compute_start_fingerprint(config: ExperimentConfig, dataset: PreparedDataset) -> str:
    """Changes when what a new net begins with could."""
    sections = [config.model.model_dump(mode="json")]
    sections.extend({name: own.model_dump(mode="json")} for name, own in config.own_sections.items())
    _, find_files = load_start(config.task.type)
    files = [compute_sha256(path) for path in find_files(config)]
    return compute_fingerprint([dataset.fingerprint, sections, *([files] if files else []), __version__])


def open_stage(
    config: ExperimentConfig, run: RunFolder, progress: Progress, dataset: PreparedDataset
) -> Stage[ModelSource]:
    """The stage, of which comes what the model begins with.

    Args:
        config: one whose `model.starts_from_data` is true.
        run: where the folder `start` goes.
        progress: where to report.
        dataset: what it is made of.
    """
    fingerprint = compute_start_fingerprint(config, dataset)

    write_start, _ = load_start(config.task.type)

    def write() -> ModelSource:
        run.mark_begun("start")
        check_replaceable(run.start)
        with whole_folder(run.start) as temporary:
            write_start(config, dataset, temporary, progress)
            write_hashes(temporary)
        run.mark_done("start", fingerprint)
        return ModelSource(run.start)

    return Stage("start", fingerprint, show_done=lambda: _show_done(run.start, progress), do=write)


def _show_done(folder: Path, progress: Progress) -> ModelSource | None:
    if not folder.is_dir():
        return None
    try:
        check_folder(folder, "")
    except DataError as error:
        progress.warn(f"{error.where}: {error.what.rstrip('.')}. It is made again.")
        return None
    progress.note(f"start: done before, unchanged ({folder})")
    return ModelSource(folder)
