"""A prepared dataset: a TFDS dataset on disk with random access, its manifest, and where each row came from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.errors import DataError

MANIFEST = "manifest.json"
INDEX = "index"
FORMAT = 1
"""Raised when what is written changes: older datasets are then prepared anew."""


class Split:
    """One split's examples, by index.

    Args:
        folder: the prepared dataset's.
        name: the split's.
        manifest: the dataset's.
    """

    def __init__(self, folder: Path, name: str, manifest: dict[str, Any]):
        self.folder = folder
        self.name = name
        self._manifest = manifest
        self._count: int = manifest["splits"][name]["rows"]
        self._text: str = manifest["fields"]["text"]
        self._label: str = manifest["fields"]["label"]

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.take([index])[0]

    @cached_property
    def _source(self) -> Any:
        import tensorflow_datasets as tfds

        return tfds.builder_from_directory(str(self.folder)).as_data_source(split=self.name)

    def take(self, indices: Sequence[int] | np.ndarray) -> list[dict[str, Any]]:
        """Examples at any indices, in their order: `{"text": str, "label": int}`, under the task's names.

        Raises:
            IndexError: an index is not below the number of examples.
        """
        wanted = np.asarray(indices, np.int64)
        wanted = np.where(wanted < 0, wanted + self._count, wanted)
        if len(wanted) and (wanted.min() < 0 or wanted.max() >= self._count):
            raise IndexError(
                f"split {self.name} has {self._count} examples, asked for {wanted.min()}…{wanted.max()}"
            )
        text, label = self._text, self._label
        return [
            {text: example[text].decode("utf-8"), label: int(example[label])}
            for example in self._source.__getitems__(wanted.tolist())
        ]

    def iterate(self, batch: int = 1000) -> Iterator[list[dict[str, Any]]]:
        """All examples in order, `batch` at a time."""
        for start in range(0, self._count, batch):
            yield self.take(np.arange(start, min(start + batch, self._count)))

    def labels(self) -> np.ndarray:
        """int32 (examples,): the labels, without reading the texts; memory-mapped, read-only."""
        return np.load(self.folder / INDEX / f"{self.name}.labels.npy", mmap_mode="r")

    def label_counts(self) -> dict[str, int]:
        """Label's name → number of examples."""
        return dict(self._manifest["splits"][self.name]["labels"])

    @cached_property
    def _origins(self) -> np.ndarray:
        return np.load(self.folder / INDEX / f"{self.name}.origins.npy", mmap_mode="r")

    def origin(self, index: int) -> str:
        """`file:row` of the example's source; the row is the line, from 1, at which it starts."""
        file, row = self._origins[index].tolist()
        return f"{self._manifest['sources'][file]['file']}:{row}"


class PreparedDataset:
    """What `prepare_dataset` wrote.

    Args:
        folder: where.
        manifest: what `manifest.json` holds.
    """

    def __init__(self, folder: Path, manifest: dict[str, Any]):
        self.folder = folder
        self.manifest = manifest
        self._splits = {name: Split(folder, name, manifest) for name in manifest["splits"]}

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change when the examples do."""
        return self.manifest["fingerprint"]

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels by their numbers."""
        return tuple(self.manifest["labels"])

    @property
    def splits(self) -> tuple[str, ...]:
        """Which of train, validation and test there are."""
        return tuple(self._splits)

    def split(self, name: str) -> Split:
        """One split.

        Raises:
            DataError: the dataset lacks it.
        """
        if name not in self._splits:
            raise DataError(
                f"There is no split {name!r}; there are {', '.join(self._splits)}.",
                where=str(self.folder),
                fix=f"Name files under data.{name} and prepare again.",
            )
        return self._splits[name]


def load_prepared_dataset(folder: Path) -> PreparedDataset:
    """Opens what `prepare_dataset` wrote.

    Raises:
        DataError: there is none, or it is of another version's format.
    """
    folder = Path(folder)
    fix = "Run `kerasft prepare` first."
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError("There is no prepared dataset.", where=str(folder), fix=fix) from error
    except ValueError as error:
        raise DataError(f"The manifest is damaged: {error}", where=str(folder / MANIFEST), fix=fix) from error
    if manifest.get("format") != FORMAT:
        raise DataError(
            f"The dataset has format {manifest.get('format')}, this version reads {FORMAT}.",
            where=str(folder),
            fix=fix,
        )
    return PreparedDataset(folder, manifest)
