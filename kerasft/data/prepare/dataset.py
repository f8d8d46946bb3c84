"""Prepares a dataset from the user's files: reads, checks, splits, and writes it atomically."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Sequence
from pathlib import Path

from kerasft.data.config import DataConfig
from kerasft.data.kinds import KINDS
from kerasft.data.kinds.fields import Field
from kerasft.data.prepare.checks import report
from kerasft.data.prepare.decontamination import Protected
from kerasft.data.prepare.fingerprint import (
    SPLITS,
    compute_data_fingerprint,
    fetch_sources,
    note_skipped,
    resolve_sources,
    settle_sources,
)
from kerasft.data.prepare.rejects import RejectsError
from kerasft.data.prepare.steps import REJECTED, Preparation
from kerasft.data.prepared import MANIFEST, NAME, ORIGINS, PreparedDataset, Split, load_prepared_dataset
from kerasft.data.sources import SourceFile
from kerasft.errors import ConfigError, DataError
from kerasft.files import whole_folder, write_json
from kerasft.foreign import check_replaceable
from kerasft.integrity import write_hashes
from kerasft.progress import Progress, Silent

__all__ = [
    "PreparedDataset",
    "Protected",
    "Split",
    "compute_data_fingerprint",
    "fetch_sources",
    "load_prepared_dataset",
    "prepare_dataset",
]

_WORK = ".work"


def prepare_dataset(
    config: DataConfig,
    fields: Sequence[Field],
    folder: Path,
    *,
    base: Path,
    seed: int,
    progress: Progress | None = None,
    protected: Sequence[Protected] = (),
) -> PreparedDataset:
    """Reads, checks and writes a dataset; what stood at `folder` is replaced.

    Args:
        config: the `data` section.
        fields: what the task needs of an example: one input or more, any number of targets.
        folder: where the dataset goes.
        base: the folder that relative paths start from.
        seed: decides which rows are cut for a missing validation or test split.
        progress: where what is found is reported.
        protected: experiments whose validation and test examples must not be in train: those of the configs that
            `decontaminate` names.

    Raises:
        ConfigError: `columns` names something that examples do not have, or `folder` holds something else than a
            dataset.
        ValueError: the fields are not such as an example can have.
        DataError: the files cannot be used; nothing is written then, except that `<folder>.rejected.jsonl` lists the
            rejected rows where they are too many.
    """
    _check_fields(fields)
    _check_columns(config, fields)
    folder = Path(folder)
    progress = progress or Silent()
    check_replaceable(folder)
    kept = folder.with_name(f"{folder.name}.{REJECTED}")
    kept.unlink(missing_ok=True)
    config, sources = _find_sources(config, base, progress)
    with whole_folder(folder) as temporary:
        work = temporary / _WORK
        work.mkdir()
        datasets = [
            (each.name, _prepare_protected(each, work / f"protected-{number}"))
            for number, each in enumerate(protected)
        ]
        preparation = Preparation(config, fields, sources, seed, progress, datasets)
        try:
            manifest = preparation.run(temporary, work, kept)
        except RejectsError:
            shutil.copyfile(temporary / REJECTED, kept)
            raise
        shutil.rmtree(work)
        write_json(temporary / MANIFEST, manifest)
        write_hashes(temporary)
    report(manifest, preparation.counts, progress, preparation.noun)
    return load_prepared_dataset(folder)


def _find_sources(
    config: DataConfig, base: Path, progress: Progress
) -> tuple[DataConfig, dict[str, list[SourceFile]]]:
    """The section with each split's own source, and its files.

    Raises:
        DataError: there are none, or they cannot be had.
    """
    fetch_sources(config, base, progress)
    config = settle_sources(config, base, progress)
    note_skipped(config, base, progress)
    sources = resolve_sources(config, base)
    if not sources:
        raise DataError(
            "The data section names no files.", fix="Set data.train (and data.test), with format and path."
        )
    return config, sources


def _prepare_protected(protected: Protected, folder: Path) -> PreparedDataset:
    """The data of another experiment as it is prepared for it, since its splits may be drawn from its train.

    Raises:
        DataError: they cannot be used.
    """
    config = protected.config.model_copy(update={"decontaminate": (), "cache_folder": None})
    try:
        return prepare_dataset(config, protected.fields, folder, base=Path(), seed=protected.seed)
    except DataError as error:
        place = f" ({error.where})" if error.where else ""
        raise DataError(
            f"{error.what}{place}",
            where=f"data.decontaminate: {protected.name}",
            fix="Prepare its own data first: kerasft prepare CONFIG.yaml",
        ) from error


def _check_fields(fields: Sequence[Field]) -> None:
    """Looks whether a task's fields are fields of an example.

    Raises:
        ValueError: they are not.
    """
    names = [field.name for field in fields]
    if not any(field.role == "input" for field in fields):
        raise ValueError(f"none of the fields {', '.join(names)} is an input")
    if len(set(names)) < len(names) or not all(name.isidentifier() for name in names):
        raise ValueError(f"fields need different names, each an identifier, not {', '.join(names)}")
    if all(field.optional for field in fields if field.role == "input"):
        raise ValueError(f"one input at least must not be optional, of {', '.join(names)}")
    for field in fields:
        if field.kind not in KINDS:
            near = difflib.get_close_matches(field.kind, KINDS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(KINDS)}"
            raise ValueError(
                f"the field {field.name!r} is of the kind {field.kind!r}, which does not exist; {hint}"
            )
        if field.name in (NAME, ORIGINS):
            raise ValueError(f"{field.name!r} cannot name a field: it is reserved for the origin of a row")
        if field.of and field.of not in names[: names.index(field.name)]:
            raise ValueError(f"{field.name!r} is read from {field.of!r}, which is not a field before it")


def _check_columns(config: DataConfig, fields: Sequence[Field]) -> None:
    names = [part for field in fields if not field.of for part in (field.parts or (field.name,))]
    for split in SPLITS:
        source = getattr(config, split)
        for name in getattr(source, "columns", ()):
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                raise ConfigError(
                    f"The task's examples have no {name!r}; they have {', '.join(names)}.",
                    where=f"data.{split}.columns",
                    fix=f"Did you mean {near[0]!r}?" if near else "Write columns: {field: column}.",
                )
