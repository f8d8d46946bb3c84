"""A prepared dataset: a TFDS dataset on disk with random access, its manifest, and where each row came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from kerasft.damage import check_file
from kerasft.data.kinds import load_kind
from kerasft.data.kinds.fields import Field
from kerasft.data.manifest import FORMAT, Manifest, list_fields
from kerasft.data.tfds_features import check_feature_classes
from kerasft.errors import DamagedError, DataError
from kerasft.json_values import describe_mismatch
from kerasft.untrusted import load_json

MANIFEST = "manifest.json"
INDEX = "index"
NAME = "name"
"""The feature with each row's own name, where rows have one."""
ORIGINS = "origins"
"""The file of the index with the source and the line of each row."""

_DAMAGED = "Prepare it again: kerasft prepare CONFIG.yaml"


def read_fields(manifest: Mapping[str, Any]) -> tuple[Field, ...]:
    """What the examples of a prepared dataset hold."""
    return tuple(
        Field(field["name"], field["kind"], field["role"], optional=field.get("optional", False))
        for field in manifest["fields"]
    )


class Split:
    """One split's examples, by index.

    Attributes: `fields`, what an example holds; `folder`; `name`.

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
        self.fields = read_fields(manifest)
        self._kinds = {field.name: load_kind(field) for field in self.fields}
        self._labels: dict[str, list[str]] = {
            field["name"]: field.get("labels") or [] for field in manifest["fields"]
        }
        self._named = any(kind.named for kind in self._kinds.values() if kind.field.role == "input")

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
            decoders = {
                name: tfds.decode.SkipDecoding()
                for name, kind in self._kinds.items()
                if not kind.decoded_by_tfds
            }
            source = builder.as_data_source(split=self.name, decoders=decoders)
            if len(source) != self._count:
                raise ValueError(f"{self.name} has {len(source)} examples, the manifest says {self._count}")
        return source

    def take(self, indices: Sequence[int] | np.ndarray) -> list[dict[str, Any]]:
        """Examples at any indices, in their order, under the task's names.

        Returns:
            For each field its value under its name: str for a text, bytes of the file for a picture (and its `"name"`,
            str), int for a label, a tuple of ints for labels, float for a number. A tagged text has besides `"words"`,
            [(start, end), …], where its file gave them, and `"entities"`, [(start, end, type), …], in characters; a
            type is the number of a label. Boxes are [(left, top, right, bottom, label, crowd, area), …], in pixels.

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
        decoded: dict[str, Any] = {}
        for kind in self._kinds.values():
            decoded |= kind.decode_example(example)
        if self._named:
            decoded[NAME] = example[NAME].decode("utf-8")
        return decoded

    def iterate(self, batch: int = 1000) -> Iterator[list[dict[str, Any]]]:
        """All examples in order, `batch` at a time."""
        for start in range(0, self._count, batch):
            yield self.take(np.arange(start, min(start + batch, self._count)))

    def column(self, name: str) -> np.ndarray:
        """One field of all examples, memory-mapped and read-only; what the examples hold is not read for it.

        Returns:
            int32 (examples,) of a label, uint8 (examples, classes) of labels, float32 (examples,) of a number.

        Raises:
            KeyError: there is no such field.
            ValueError: its values are too large for an array: `take` reads them.
        """
        kind = self._kinds[name]
        if kind.column_type is None:
            raise ValueError(f"{name!r} is of the kind {kind.field.kind}, of which there is no column")
        old = self._manifest["format"] == 1
        shape = (self._count, *kind.get_column_shape(self._labels[name]))
        return self._open_index("labels" if old else name, shape, kind.column_type)

    @cached_property
    def _origins(self) -> np.ndarray:
        return self._open_index(ORIGINS, (self._count, 2), np.uint32)

    def _open_index(self, name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        path = self.folder / INDEX / f"{self.name}.{name}.npy"
        check_file(path, _DAMAGED, self.folder)
        with _naming_damage(path):
            if not path.is_file():
                raise ValueError("there is no such file")
            array = np.lib.format.open_memmap(path, mode="r")
            if array.shape != shape or array.dtype != dtype:
                raise ValueError(f"it holds {array.dtype} {array.shape}, not {np.dtype(dtype)} {shape}")
        return array

    def origin(self, index: int) -> str:
        """Where the example came from: its own name, or `file:row` with the line, from 1, at which it starts."""
        if self._named:
            return self.take([index])[0][NAME]
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
    def fields(self) -> tuple[Field, ...]:
        """What an example holds."""
        return read_fields(self.manifest)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The class names by their numbers, of the first field that has classes; none without such a field."""
        return tuple(self.manifest["labels"])

    @property
    def class_names(self) -> dict[str, tuple[str, ...]]:
        """The class names by their numbers, of each field that has classes."""
        entries = self.manifest["fields"]
        return {field["name"]: tuple(field["labels"]) for field in entries if field.get("labels") is not None}

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
    if manifest.get("format") not in (1, FORMAT):
        raise DataError(
            f"The dataset has format {manifest.get('format')}, this version reads 1 and {FORMAT}.",
            where=str(folder),
            fix=fix,
        )
    try:
        manifest["fields"] = list_fields(manifest)
        Manifest.model_validate(manifest)
    except pydantic.ValidationError as error:
        what = describe_mismatch(error)
        raise DamagedError(f"The manifest is damaged: {what}", where=str(path), fix=_DAMAGED) from error
    except ValueError as error:
        raise DamagedError(f"The manifest is damaged: {error}", where=str(path), fix=_DAMAGED) from error
    return PreparedDataset(folder, manifest)
