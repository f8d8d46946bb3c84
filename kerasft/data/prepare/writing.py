"""Writing checked rows as a TFDS dataset, with each row's label and origin beside it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.data.kinds.base import Content
from kerasft.data.kinds.fields import Field
from kerasft.data.prepared import INDEX
from kerasft.data.store import RowStore
from kerasft.progress import Progress

NAME = "name"
"""The feature with each row's own name, where rows have one."""
_BATCH_BYTES = 64 << 20
_BATCH_ROWS = 5000
_SHARD_ROWS = 100_000
"""The writer keeps an index of its shard's rows in memory."""


def write_splits(
    folder: Path,
    store: RowStore,
    fields: Sequence[Field],
    content: Content,
    label_names: Sequence[str],
    label_sets: np.ndarray | None,
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
        content: of the field that is no label.
        label_names: the labels by their numbers.
        label_sets: bool (sets, classes), where an example has any number of labels.
        labels: int32 (rows,), numbers of labels, or of sets of them.
        splits: uint8 (rows,), each row's split; rows of others than `present` are left out.
        present: the splits' names and numbers.
        progress: shows a bar.
    """
    _write_index(folder / INDEX, store, labels, label_sets, splits, present)
    writer = _open_writer(folder, fields, content, label_names)
    writer.initialize_splits(list(present))
    held = next(field.name for field in fields if not field.kind.startswith("label"))
    label = next(field.name for field in fields if field.kind.startswith("label"))
    sets = [np.flatnonzero(row).tolist() for row in label_sets] if label_sets is not None else None
    with progress.bar("writing", len(store), "rows") as bar:
        for start, stop in _cut(store.lengths):
            numbers = labels[start:stop].tolist()
            values = store.read_range(start, stop)
            examples: list[dict[str, Any]] = [
                {**content.unpack(held, value), label: sets[number] if sets else number}
                for value, number in zip(values, numbers, strict=True)
            ]
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
    folder: Path,
    store: RowStore,
    labels: np.ndarray,
    label_sets: np.ndarray | None,
    splits: np.ndarray,
    present: dict[str, int],
) -> None:
    folder.mkdir()
    origins = np.stack([store.read_column("files"), store.read_column("rows")], axis=1)
    for name, number in present.items():
        chosen = splits == number
        known = labels[chosen] if label_sets is None else label_sets[labels[chosen]].astype(np.uint8)
        np.save(folder / f"{name}.labels.npy", known)
        np.save(folder / f"{name}.origins.npy", origins[chosen])


def _open_writer(folder: Path, fields: Sequence[Field], content: Content, label_names: Sequence[str]) -> Any:
    import tensorflow_datasets as tfds

    def build_features(field: Field) -> dict[str, Any]:
        if field.kind == "label":
            return {field.name: tfds.features.ClassLabel(names=label_names)}
        if field.kind == "labels":
            return {field.name: tfds.features.Sequence(tfds.features.ClassLabel(names=label_names))}
        return content.build_features(field.name, label_names)

    features = {name: feature for field in fields for name, feature in build_features(field).items()}
    if content.named:
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
