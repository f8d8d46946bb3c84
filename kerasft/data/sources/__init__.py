"""Readers of the users' files: one module for each format, which yields batches of raw rows."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from kerasft.data.box_config import AutoSource, BoxSource
from kerasft.data.config import Source, TextSource, TfdsSource
from kerasft.data.kinds.fields import Field
from kerasft.data.sources.paths import (
    SourceFile,
    compute_source_sha256,
    count_skipped,
    list_members,
    measure,
    resolve_files,
)
from kerasft.data.sources.rows import RawBatch, Reject
from kerasft.progress import Progress

READERS = {
    "csv": "kerasft.data.sources.csv",
    "jsonl": "kerasft.data.sources.json_lines",
    "text": "kerasft.data.sources.text",
    "conll": "kerasft.data.sources.conll",
    "parquet": "kerasft.data.sources.parquet",
    "image_folder": "kerasft.data.sources.image_folder",
    "tfds": "kerasft.data.sources.tfds",
    "coco": "kerasft.data.sources.coco",
    "voc": "kerasft.data.sources.voc",
    "yolo": "kerasft.data.sources.yolo",
    "label_studio": "kerasft.data.sources.label_studio",
    "box_csv": "kerasft.data.sources.box_csv",
}
"""Format → module with `read_rows(file, source, fields)`."""

TEXT_ENDINGS = tuple(f"{name}{packed}" for name in (".txt", ".md") for packed in ("", ".gz", ".xz", ".zst"))
"""The files below a folder that `format: text` reads."""


def resolve_source(source: Source, base: Path) -> list[SourceFile]:
    """The files that a source means; none of a TFDS dataset that is yet to be fetched.

    Args:
        source: a format's settings.
        base: the folder that relative paths start from.

    Raises:
        DataError: a path matches nothing, or there is no such dataset.
    """
    if isinstance(source, AutoSource):
        raise TypeError("the format must be settled first: see `prepare.box_splits`")
    if isinstance(source, TfdsSource | BoxSource):
        # a path means more than the files that match it
        return importlib.import_module(READERS[source.format]).resolve(source, base)
    endings = TEXT_ENDINGS if isinstance(source, TextSource) else ()
    return resolve_files(source.path, base, folders=source.format == "image_folder", endings=endings)


def note_skipped_files(source: Source, base: Path, progress: Progress) -> None:
    """Says which files below a folder of texts are not read."""
    if not isinstance(source, TextSource):
        return
    skipped = count_skipped(source.path, base, TEXT_ENDINGS)
    if skipped:
        often = skipped.most_common(5)
        kinds = ", ".join(f"{ending} {count:,}" for ending, count in often)
        total = skipped.total()
        progress.note(
            f"{total:,} file{'s' * (total > 1)} below {source.path} {'are' if total > 1 else 'is'} not read, as "
            f"{'they are' if total > 1 else 'it is'} neither .txt nor .md: {kinds}{', …' * (len(skipped) > 5)}."
        )


def fetch_source(source: Source, base: Path, progress: Progress) -> None:
    """Downloads what a source means, where it is not on this machine yet and may be.

    Raises:
        DataError: it cannot be had.
    """
    if isinstance(source, TfdsSource):
        importlib.import_module(READERS["tfds"]).fetch(source, base, progress)


def read_rows(file: SourceFile, source: Source, fields: Sequence[Field]) -> Iterator[RawBatch]:
    """Streams one file's rows.

    Args:
        file: which.
        source: its format's settings.
        fields: what to take of each row.

    Returns:
        Batches in the file's order; rows that cannot be read are in their `rejects`.

    Raises:
        DataError: the file as a whole cannot be used (a column is missing, its encoding is unknown).
    """
    reader = importlib.import_module(READERS[source.format])
    return reader.read_rows(file, source, fields)


__all__ = [
    "READERS",
    "RawBatch",
    "Reject",
    "SourceFile",
    "compute_source_sha256",
    "fetch_source",
    "list_members",
    "measure",
    "note_skipped_files",
    "read_rows",
    "resolve_files",
    "resolve_source",
]
