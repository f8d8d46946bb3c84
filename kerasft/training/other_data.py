"""Prepares other test data for a trained model, separately from the run's dataset."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kerasft.data.config import TrainPart
from kerasft.data.kinds.fields import limit_classes, list_class_fields
from kerasft.data.prepare.dataset import prepare_dataset
from kerasft.data.prepare.rejects import RejectsError
from kerasft.data.prepared import PreparedDataset
from kerasft.errors import ConfigError, DataError
from kerasft.experiment import ExperimentConfig
from kerasft.progress import Progress
from kerasft.runs.folder import RunFolder
from kerasft.training.identity import compare_values

_FREE = ("data.test", "data.max_rejected")
"""Keys that may be others where a config still names what the model was trained on."""


def names_other_test(config: ExperimentConfig, run: RunFolder) -> bool:
    """Whether a config asks for other test data than those a run was prepared with, and for nothing else.

    It does where it names test data alone, or where nothing of its `data` section differs but `test`.
    """
    identity = run.read_identity()
    if config.data.test is None or isinstance(config.data.test, TrainPart) or identity is None:
        return False
    now = config.data.describe()
    changes = [key for key, _, _ in compare_values(identity["config"]["data"], now, "data")]
    if config.data.train is None:
        return bool(changes)
    others = [key for key in changes if not any(key == free or key.startswith(f"{free}.") for free in _FREE)]
    return not others and any(key.startswith("data.test") for key in changes)


@contextmanager
def prepare_other_test(
    config: ExperimentConfig, run: RunFolder, progress: Progress
) -> Iterator[tuple[str, PreparedDataset]]:
    """The test data that a config names, prepared outside the run folder, and a name for them.

    The name is that of the file or folder, and 8 digits of what it holds: `reviews-1f3a90c2`. It is the same whenever
    the same file is measured.

    Raises:
        DataError: they cannot be used, or have labels that the model does not know.
    """
    classes = _read_classes(config, run)
    known = "; ".join(f"{field}: {_list(names)}" for field, names in classes.items())
    if len(classes) == 1:
        (known,) = map(_list, classes.values())
    data = config.data.model_copy(update={"train": None, "validation": None})
    with tempfile.TemporaryDirectory(prefix="kerasft-") as folder:
        try:
            dataset = prepare_dataset(
                data,
                limit_classes(config.task.fields, classes),
                Path(folder, "dataset"),
                base=Path(),
                seed=config.seed,
                progress=progress,
            )
        except RejectsError as error:
            fix = f"Correct them, or raise data.max_rejected. The model's labels: {known}."
            raise DataError(error.what, where="data.test", fix=fix) from error
        unknown = dataset.manifest["splits"]["test"]["rejected"].get("unknown label", 0)
        if unknown:
            with open(Path(folder, "dataset", "rejected.jsonl"), encoding="utf-8") as lines:
                first = next(line.rstrip("\n") for line in lines if '"unknown label"' in line)
            raise DataError(
                f"{unknown:,} rows have labels that the model does not know; the first is: {first[:300]}",
                where="data.test",
                fix=f"Correct or remove them. The model's labels: {known}.",
            )
        yield f"{_name(dataset)}-{dataset.fingerprint[:8]}", dataset


def _read_classes(config: ExperimentConfig, run: RunFolder) -> dict[str, list[str]]:
    """The class names that a run's model learned, of each field that has some.

    Raises:
        ConfigError: those of a field are not known.
    """
    record, fields = run.read_task(), list_class_fields(config.task.fields)
    # runs from before there were several have those of the first alone
    classes = record.get("class_names") or dict.fromkeys(fields[:1], record["label_names"])
    unknown = [field.name for field in config.task.fields if field.name in fields and field.classes is None]
    if unknown := [name for name in unknown if name not in classes]:
        raise ConfigError(
            f"the run does not record which classes of {', '.join(unknown)} its model learned",
            where=str(run.task),
            fix="Train it again: kerasft run CONFIG.yaml --restart.",
        )
    return {name: list(classes[name]) for name in fields if name in classes}


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (", …" if len(names) > 20 else "")


def _name(dataset: PreparedDataset) -> str:
    """The first file's or folder's name without its ending, as a file may be called anywhere."""
    stem = Path(dataset.manifest["sources"][0]["file"]).stem
    return re.sub(r"[^A-Za-z0-9_]+", "_", stem).strip("_")[:40] or "test"
