"""What preparing a dataset asks of the thing that its examples hold."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from kerasft.data.config import DataConfig, Source
from kerasft.data.duplicates.near import NearPairs
from kerasft.data.kinds.fields import Field, InvalidValue
from kerasft.data.sources.paths import SourceFile
from kerasft.data.store import RowStore
from kerasft.progress import Progress


class Held(NamedTuple):
    """What an example holds, as it was read."""

    payload: bytes
    """As it is stored."""
    name: str = ""
    """Its own, such as a file's path; empty where there are no names."""
    note: str = ""
    """What had to be done to it; counted in the manifest. Mostly empty."""
    look: Any = None
    """What was worked out while it was read, for `look_at`."""
    labels: tuple[str, ...] = ()
    """Where labels are part of what is held: their names, each once, sorted."""
    mended: str = ""
    """What was wrong in this one and is no longer; listed by row."""


class Signatures(abc.ABC):
    """What near duplicates are found by, added batch by batch. A context manager."""

    def __enter__(self) -> Signatures:
        return self

    @abc.abstractmethod
    def __exit__(self, *exception: object) -> None:
        """Lets go of what it holds."""

    @abc.abstractmethod
    def append(self, signatures: Any) -> None:
        """Adds those of some rows, as `Content.look_at` gave them."""


class Content(abc.ABC):
    """A kind of thing that an example holds, besides its label."""

    noun: ClassVar[str]
    """What messages call it, in the singular."""
    quoted: ClassVar[bool]
    """Whether messages show its beginning."""
    named: ClassVar[bool]
    """Whether each has a name of its own, such as a file's."""
    labelled: ClassVar[bool] = False
    """Whether an example's labels are part of what it holds."""

    def open_source(
        self, source: Source, files: Sequence[SourceFile], fields: Sequence[Field], progress: Progress
    ) -> Sequence[Field]:
        """What to read of each row of a split's files; called before they are read.

        Args:
            source: their format's settings.
            files: the split's.
            fields: the task's.
            progress: told of what was found out about them.

        Returns:
            By default the task's fields.

        Raises:
            DataError: files of this format cannot hold such a thing.
        """
        return fields

    @abc.abstractmethod
    def read(self, values: Sequence[Any], file: SourceFile) -> list[Held | InvalidValue]:
        """What each raw value holds, or why it cannot be used; a value is a tuple where `open_source` named several."""

    def name_value(self, value: Any, file: SourceFile) -> str:
        """How messages call a raw value; empty where it has no name of its own."""
        return ""

    @abc.abstractmethod
    def look_at(self, held: Sequence[Held], near: bool) -> tuple[np.ndarray, Any]:
        """(uint64 keys, equal where two are the same; signatures for `open_signatures`, None without `near`).

        Runs beside the reading, on another thread.
        """

    @abc.abstractmethod
    def open_signatures(self, folder: Path) -> Signatures:
        """Where signatures are kept while rows are read."""

    @abc.abstractmethod
    def find_near_pairs(
        self,
        signatures: Any,
        rows: np.ndarray,
        boundaries: Sequence[int],
        config: DataConfig,
        store: RowStore,
        progress: Progress,
    ) -> NearPairs:
        """Near duplicates among some rows; see `data.near_duplicates.find_near_pairs`."""

    def list_labelled(self, payload: bytes, label: str) -> list[tuple[str, str]]:
        """What has a label in a row, as text, and its label; nothing of what is no text."""
        return []

    def build_features(self, name: str, label_names: Sequence[str]) -> dict[str, Any]:
        """The TFDS features it is stored as, by name; by default the one that `build_feature` tells."""
        return {name: self.build_feature()}

    @abc.abstractmethod
    def build_feature(self) -> Any:
        """The TFDS feature it is stored as."""

    def unpack(self, name: str, payload: bytes) -> dict[str, Any]:
        """What is stored under the names of `build_features`."""
        return {name: payload}

    def decode_example(self, name: str, stored: Mapping[str, Any]) -> dict[str, Any]:
        """What `Split.take` gives, from what TFDS' data source gives."""
        return {name: self.decode(stored[name])}

    @abc.abstractmethod
    def decode(self, stored: Any) -> Any:
        """The same of one feature."""
