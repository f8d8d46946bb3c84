"""Readers of the users' files: one module a format, each a stream of batches of raw rows."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence

from kerasft.data.config import Source
from kerasft.data.fields import Field
from kerasft.data.sources.paths import SourceFile, compute_source_sha256, list_members, measure, resolve_files
from kerasft.data.sources.rows import RawBatch, Reject

READERS = {
    "csv": "kerasft.data.sources.csv",
    "jsonl": "kerasft.data.sources.json_lines",
    "image_folder": "kerasft.data.sources.image_folder",
}
"""Format → module with `read_rows(file, source, fields)`."""


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
    "list_members",
    "measure",
    "read_rows",
    "resolve_files",
]
