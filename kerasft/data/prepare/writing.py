"""Writes checked rows as a TFDS dataset, with an index of small columns and the origin of each row."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.data.kinds.base import Kind
from kerasft.data.prepared import INDEX, NAME, ORIGINS
from kerasft.data.store import RowStore
from kerasft.progress import Progress

_BATCH_BYTES = 64 << 20
_BATCH_ROWS = 5000
_SHARD_ROWS = 100_000
"""The writer keeps an index of its shard's rows in memory."""


def write_splits(
    folder: Path,
    store: RowStore,
    kinds: Mapping[str, Kind],
    splits: np.ndarray,
    present: dict[str, int],
    progress: Progress,
) -> None:
    """Writes a dataset that `tfds.builder_from_directory` opens, and the index beside it.

    Args:
        folder: where; it exists.
        store: all rows.
        kinds: field's name → its kind.
        splits: uint8 (rows,), each row's split; rows of others than `present` are left out.
        present: the splits' names and numbers.
        progress: shows a bar.
    """
    _write_index(folder / INDEX, store, kinds, splits, present)
    writer = _open_writer(folder, kinds)
    writer.initialize_splits(list(present))
    with progress.bar("writing", len(store), "rows") as bar:
        for start, stop in _cut(store.lengths):
            examples: list[dict[str, Any]] = [{} for _ in range(start, stop)]
            for name, kind in kinds.items():
                for example, payload in zip(
                    examples, store.columns[name].read_range(start, stop), strict=True
                ):
                    example.update(kind.unpack(payload))
            for example, name in zip(examples, store.read_names(start, stop), strict=False):
                example[NAME] = name
            chosen = {name: splits[start:stop] == number for name, number in present.items()}
            writer.add_examples(
                {
                    name: list(itertools.compress(examples, rows))
                    for name, rows in chosen.items()
                    if rows.any()
                }
            )
            bar.advance(stop - start)
    writer.close_all()


def _cut(lengths: np.ndarray) -> Iterator[tuple[int, int]]:
    """Runs of rows that are read at once."""
    ends = np.cumsum(lengths, dtype=np.int64)
    start, done = 0, 0
    while start < len(lengths):
        stop = int(np.searchsorted(ends, done + _BATCH_BYTES, side="right"))
        stop = min(max(stop, start + 1), start + _BATCH_ROWS)
        yield start, stop
        start, done = stop, int(ends[stop - 1])


def _write_index(
    folder: Path, store: RowStore, kinds: Mapping[str, Kind], splits: np.ndarray, present: dict[str, int]
) -> None:
    folder.mkdir()
    origins = np.stack([store.read_column("files"), store.read_column("rows")], axis=1)
    for split, number in present.items():
        chosen = splits == number
        np.save(folder / f"{split}.{ORIGINS}.npy", origins[chosen])
        for name, kind in kinds.items():
            if kind.column_type is not None:
                np.save(folder / f"{split}.{name}.npy", kind.build_column(store.columns[name], chosen))


def _open_writer(folder: Path, kinds: Mapping[str, Kind]) -> Any:
    import tensorflow_datasets as tfds

    features: dict[str, Any] = {}
    for name, kind in kinds.items():
        read_from_it = next((other.names for other in kinds.values() if other.field.of == name), ())
        features |= kind.build_features(kind.names or read_from_it)
    if any(kind.named for kind in kinds.values() if kind.field.role == "input"):
        features[NAME] = tfds.features.Text()
    identity = tfds.core.dataset_info.DatasetIdentity(
        name="prepared",
        version=tfds.core.utils.Version("1.0.0"),
        data_dir=str(folder),
        module_name="kerasft.data.prepare.writing",
    )
    info = tfds.core.DatasetInfo(
        builder=identity,
        description="Prepared by kerasft; see manifest.json.",
        features=tfds.features.FeaturesDict(features),
    )
    return tfds.core.SequentialWriter(info, max_examples_per_shard=_SHARD_ROWS, file_format="array_record")
