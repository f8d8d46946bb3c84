"""A prepared dataset: a TFDS dataset on disk with random access, its manifest, and where each row came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from kerasft.data.kinds import CONTENTS, load_content
from kerasft.data.tfds_features import check_feature_classes
from kerasft.errors import DamagedError, DataError
from kerasft.integrity import check_file
from kerasft.untrusted import describe_mismatch, load_json

MANIFEST = "manifest.json"
INDEX = "index"
FORMAT = 1
"""Raised when what is written changes: older datasets are then prepared anew."""

_DAMAGED = "Prepare it again: kerasft prepare CONFIG.yaml"


class _SplitEntry(pydantic.BaseModel):
    rows: int = pydantic.Field(ge=0)
    labels: dict[str, int]


class _SourceEntry(pydantic.BaseModel):
    file: str


class _Manifest(pydantic.BaseModel):
    """What every manifest of this format holds, as far as reading examples depends on it."""

    fingerprint: str
    labels: list[str]
    fields: dict[str, str]
    splits: dict[str, _SplitEntry]
    sources: list[_SourceEntry]

    @pydantic.model_validator(mode="after")
    def _check_agreement(self) -> _Manifest:
        kinds = set(self.fields)
        if len(kinds) != 2 or not kinds & set(CONTENTS) or not kinds & {"label", "labels"}:
            raise ValueError(f"the fields are {', '.join(self.fields)}")
        for name, split in self.splits.items():
            known = set(split.labels) == set(self.labels)
            if not known or ("label" in kinds and sum(split.labels.values()) != split.rows):
                raise ValueError(f"the labels of {name} do not add up to its {split.rows} rows")
        return self


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
        fields: dict[str, str] = manifest["fields"]
        kind = next(kind for kind in fields if kind in CONTENTS)
        self._content = load_content(kind)
        self._held: str = fields[kind]
        self._multiple = "labels" in fields
        self._label: str = fields["labels" if self._multiple else "label"]

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.take([index])[0]

    @cached_property
    def _source(self) -> Any:
        import tensorflow_datasets as tfds

        # a shard's blocks have hashes of their own, which are compared as they are read
        for name in ("features.json", "dataset_info.json"):
            check_file(self.folder / name, _DAMAGED)
        with _naming_damage(self.folder):
            check_feature_classes(load_json(self.folder / "features.json"))
            builder = tfds.builder_from_directory(str(self.folder))
            # a picture's bytes are wanted, not its pixels
            decoders = {self._held: tfds.decode.SkipDecoding()}
            source = builder.as_data_source(split=self.name, decoders=decoders)
            if len(source) != self._count:
                raise ValueError(f"{self.name} has {len(source)} examples, the manifest says {self._count}")
        return source

    def take(self, indices: Sequence[int] | np.ndarray) -> list[dict[str, Any]]:
        """Examples at any indices, in their order, under the task's names.

        Returns:
            Of each `{"text": str}` or `{"image": bytes, "name": str}`, and `"label"`, an int, or `"labels"`, a tuple of
            them. A text with entities in it has `"words"`, [(start, end), …], as its file told them, and `"entities"`,
            [(start, end, type), …], in characters; the types are numbers of labels.

        Raises:
            IndexError: an index is not below the number of examples.
            DamagedError: the files are not as they were written.
        """
        wanted = np.asarray(indices, np.int64)
        wanted = np.where(wanted < 0, wanted + self._count, wanted)
        if len(wanted) and (wanted.min() < 0 or wanted.max() >= self._count):
            raise IndexError(
                f"split {self.name} has {self._count} examples, asked for {wanted.min()}…{wanted.max()}"
            )
        with _naming_damage(self.folder):
            return [self._decode(example) for example in self._source.__getitems__(wanted.tolist())]

    def _decode(self, example: dict[str, Any]) -> dict[str, Any]:
        label = example[self._label]
        decoded: dict[str, Any] = {
            **self._content.decode_example(self._held, example),
            self._label: tuple(map(int, label)) if self._multiple else int(label),
        }
        if self._content.named:
            decoded["name"] = example["name"].decode("utf-8")
        return decoded

    def iterate(self, batch: int = 1000) -> Iterator[list[dict[str, Any]]]:
        """All examples in order, `batch` at a time."""
        for start in range(0, self._count, batch):
            yield self.take(np.arange(start, min(start + batch, self._count)))

    def labels(self) -> np.ndarray:
        """int32 (examples,), or uint8 (examples, classes) where an example has several; memory-mapped, read-only.

        What the examples hold is not read for it.
        """
        classes = len(self._manifest["labels"])
        return self._open_index("labels", (self._count, classes) if self._multiple else (self._count,))

    def label_counts(self) -> dict[str, int]:
        """Label's name → number of examples."""
        return dict(self._manifest["splits"][self.name]["labels"])

    @cached_property
    def _origins(self) -> np.ndarray:
        return self._open_index("origins", (self._count, 2))

    def _open_index(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        path = self.folder / INDEX / f"{self.name}.{name}.npy"
        check_file(path, _DAMAGED, self.folder)
        with _naming_damage(path):
            if not path.is_file():
                raise ValueError("there is no such file")
            array = np.lib.format.open_memmap(path, mode="r")
            if array.shape != shape or not np.issubdtype(array.dtype, np.integer):
                raise ValueError(f"it holds {array.dtype} {array.shape}, not integers {shape}")
        return array

    def origin(self, index: int) -> str:
        """Where the example came from: its own name, or `file:row` with the line, from 1, at which it starts."""
        if self._content.named:
            return self.take([index])[0]["name"]
        file, row = self._origins[index].tolist()
        if file >= len(self._manifest["sources"]):
            raise _build_damage_error(self.folder / INDEX, f"{self.name} names a source that is not there")
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


@contextmanager
def _naming_damage(path: Path) -> Iterator[None]:
    """What NumPy, TFDS and ArrayRecord meet in a file that was whole when it was written is the file's damage."""
    try:
        yield
    except DamagedError:
        raise
    except Exception as error:
        raise _build_damage_error(path, str(error) or type(error).__name__) from error


def _build_damage_error(path: Path, what: str) -> DamagedError:
    return DamagedError(f"The prepared dataset is damaged: {what[:300]}", where=str(path), fix=_DAMAGED)


def load_prepared_dataset(folder: Path) -> PreparedDataset:
    """Opens what `prepare_dataset` wrote.

    Raises:
        DamagedError: its manifest is not as it was written.
        DataError: there is none, or it is of another version's format.
    """
    folder = Path(folder)
    fix = "Run `kerasft prepare` first."
    path = folder / MANIFEST
    if path.exists():
        check_file(path, _DAMAGED)
    try:
        manifest = load_json(path)
    except FileNotFoundError as error:
        raise DataError("There is no prepared dataset.", where=str(folder), fix=fix) from error
    except (OSError, ValueError) as error:
        raise DamagedError(f"The manifest is damaged: {error}", where=str(path), fix=_DAMAGED) from error
    if manifest.get("format") != FORMAT:
        raise DataError(
            f"The dataset has format {manifest.get('format')}, this version reads {FORMAT}.",
            where=str(folder),
            fix=fix,
        )
    try:
        _Manifest.model_validate(manifest)
    except pydantic.ValidationError as error:
        what = describe_mismatch(error)
        raise DamagedError(f"The manifest is damaged: {what}", where=str(path), fix=_DAMAGED) from error
    return PreparedDataset(folder, manifest)
