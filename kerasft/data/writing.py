"""Writing checked rows as a TFDS dataset, with each row's label and origin beside it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.data.fields import Field
from kerasft.data.prepared import INDEX
from kerasft.data.store import RowStore
from kerasft.progress import Progress

_BATCH_ROWS = 5000
_SHARD_ROWS = 100_000
"""The writer keeps an index of its shard's rows in memory."""


def write_splits(
    folder: Path,
    store: RowStore,
    fields: Sequence[Field],
    label_names: Sequence[str],
    labels: np.ndarray,
    splits: np.ndarray,
    present: dict[str, int],
    progress: Progress,
) -> None:
    """Writes a dataset that `tfds.builder_from_directory` opens, and the index beside it.

    Args:
        folder: where; it exists.
        store: all rows.
        fields: the task's.
        label_names: the labels by their numbers.
        labels: int32 (rows,).
        splits: uint8 (rows,), each row's split; rows of others than `present` are left out.
        present: the splits' names and numbers.
        progress: shows a bar.
    """
    _write_index(folder / INDEX, store, labels, splits, present)
    writer = _open_writer(folder, fields, label_names)
    writer.initialize_splits(list(present))
    names = {field.kind: field.name for field in fields}
    text, label = names["text"], names["label"]
    with progress.bar("writing", len(store), "rows") as bar:
        for start in range(0, len(store), _BATCH_ROWS):
            stop = min(start + _BATCH_ROWS, len(store))
            numbers = labels[start:stop].tolist()
            texts = store.read_range(start, stop)
            examples = [{text: value, label: number} for value, number in zip(texts, numbers, strict=True)]
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


def _write_index(
    folder: Path, store: RowStore, labels: np.ndarray, splits: np.ndarray, present: dict[str, int]
) -> None:
    folder.mkdir()
    origins = np.stack([store.read_column("files"), store.read_column("rows")], axis=1)
    for name, number in present.items():
        chosen = splits == number
        np.save(folder / f"{name}.labels.npy", labels[chosen])
        np.save(folder / f"{name}.origins.npy", origins[chosen])


def _open_writer(folder: Path, fields: Sequence[Field], label_names: Sequence[str]) -> Any:
    import tensorflow_datasets as tfds

    features = {"text": tfds.features.Text, "label": lambda: tfds.features.ClassLabel(names=label_names)}
    identity = tfds.core.dataset_info.DatasetIdentity(
        name="prepared",
        version=tfds.core.utils.Version("1.0.0"),
        data_dir=str(folder),
        module_name="kerasft.data.writing",
    )
    info = tfds.core.DatasetInfo(
        builder=identity,
        description="Prepared by kerasft; see manifest.json.",
        features=tfds.features.FeaturesDict({field.name: features[field.kind]() for field in fields}),
    )
    return tfds.core.SequentialWriter(info, max_examples_per_shard=_SHARD_ROWS, file_format="array_record")
