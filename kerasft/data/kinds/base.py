"""The interface of a kind of field."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from kerasft.data.config import DataConfig, Source
from kerasft.data.duplicates.near import NO_PAIRS, NearPairs
from kerasft.data.kinds.fields import Field, InvalidValue
from kerasft.data.sources.paths import SourceFile
from kerasft.data.store import Payloads
from kerasft.errors import DataError
from kerasft.progress import Progress


class ReadValue(NamedTuple):
    """One field's value, as it was read."""

    payload: bytes = b""
    """As it is stored while rows are checked; see `Kind.encode`."""
    name: str = ""
    """Its own, such as a file's path; empty where there are no names."""
    note: str = ""
    """What had to be done to it; counted in the manifest. Mostly empty."""
    signature: Any = None
    """What was worked out while it was read, for `Kind.compute_signatures`."""
    labels: tuple[str, ...] = ()
    """The class names in it, each once, sorted."""
    mended: str = ""
    """What was repaired in this value; listed by row in mended.jsonl."""
    size_px: tuple[int, int] | None = None
    """Height and width of a picture, upright."""
    orientation: int = 1
    """EXIF's of a picture's file, 1 to 8: how its pixels are turned to be upright."""
    left_out: str = ""
    """What of this value could not be used and was left out; the first of these are shown. Mostly empty."""


class Signatures(abc.ABC):
    """What near duplicates are found by, added batch by batch. A context manager."""

    def __enter__(self) -> Signatures:
        return self

    @abc.abstractmethod
    def __exit__(self, *exception: object) -> None:
        """Closes its files."""

    @abc.abstractmethod
    def append(self, signatures: Any) -> None:
        """Adds those of some rows, as `Kind.compute_signatures` gave them."""


class Kind(abc.ABC):
    """How the values of one field are read, compared, stored and looked up.

    Args:
        field: the one whose values it handles.
    """

    noun: ClassVar[str]
    """What messages call a value, in the singular."""
    quoted: ClassVar[bool] = False
    """Whether messages show a value's beginning; its payload then begins with its text, see `store.read_text`."""
    named: ClassVar[bool] = False
    """Whether each value has a name of its own, such as a file's."""
    column_of: ClassVar[Literal["text", "pictures", "anything"]] = "anything"
    """What a file's column must be to hold it, where files say what their columns are."""
    reads_class_names: ClassVar[bool] = True
    """Whether a number that a file calls the number of a class is read as the class's name."""
    decoded_by_tfds: ClassVar[bool] = True
    """False: `decode_example` is given the bytes as they are stored."""
    in_pixels: ClassVar[bool] = False
    """Whether values speak of the pixels of the example's picture: see `check_size`."""
    part_noun: ClassVar[str] = ""
    """What messages call the parts of a value that have classes, in the singular; empty where there are none."""
    is_file: ClassVar[bool] = False
    """Whether what `predict` is asked about is a file, named by its path."""
    may_have_note: ClassVar[bool] = False
    """Whether `note_input` says something of some values."""
    column_type: ClassVar[type | None] = None
    """NumPy's type of `build_column`; None where values are too large for an array beside the examples."""
    names: tuple[str, ...] = ()
    """The class names by their numbers, where values are names of classes; see `kinds.label`."""
    is_of_corpus: bool = False
    """Whether examples have no target: texts are then documents, of any length."""

    def __init__(self, field: Field):
        self.field = field
        if field.optional and (field.of or self.read_missing() is None):
            raise ValueError(f"the field {field.name!r} cannot be optional: a {self.noun} has no empty value")

    # Reading

    def open_source(self, source: Source, files: Sequence[SourceFile], progress: Progress) -> Sequence[Field]:
        """The columns to read for this field; called before a split's files are read.

        Args:
            source: their format's settings.
            files: the split's.
            progress: where what was found out about them is reported.

        Returns:
            By default the field itself, which is one column.

        Raises:
            DataError: files of this format cannot hold such values.
        """
        return [self.field]

    @staticmethod
    def spell(cell: str) -> str:
        """What a cell of a file that holds text alone, such as CSV, means; by default its text."""
        return cell

    @abc.abstractmethod
    def read(self, values: Sequence[Any], file: SourceFile) -> list[ReadValue | InvalidValue]:
        """Each raw value checked, or why it cannot be used; a field with `parts` gets a tuple a row."""

    def read_missing(self) -> ReadValue | None:
        """What an example holds where an optional field has no value; None: fields of this kind cannot be optional."""
        return None

    def check_size(
        self, value: ReadValue, size_px: tuple[int, int], orientation: int = 1
    ) -> ReadValue | InvalidValue:
        """The value, where it fits the example's picture; mended, where that can be done.

        Args:
            value: as it was read.
            size_px: height and width of the picture, upright.
            orientation: EXIF's of its file, 1 to 8.
        """
        return value

    def name_value(self, value: Any, file: SourceFile) -> str:
        """What messages call a raw value; empty where it has no name of its own."""
        return ""

    def encode(self, values: Sequence[ReadValue]) -> list[bytes]:
        """What is stored of rows that are kept, while all rows are checked."""
        return [value.payload for value in values]

    # Inputs of a trained model

    def read_input(self, value: Any) -> Any:
        """What an example holds of a value that `predict` is asked about; less is refused than of training data.

        Raises:
            DataError: no model can be asked about it.
        """
        raise DataError(f"`predict` cannot be asked about a {self.noun}", where=self.field.name)

    def read_served(self, value: Any) -> Any:
        """What an example holds of a value that a served model is given.

        Raises:
            DataError: the served model refuses it too.
        """
        return self.read_input(value)

    def note_input(self, value: Any) -> str:
        """What is worth saying of a value that is answered all the same; mostly nothing."""
        return ""

    @property
    def _as_field(self) -> str:
        """For messages: the field's name, where it says more than the kind's does."""
        return "" if self.field.name in (self.noun, self.field.kind) else f" as {self.field.name}"

    # Duplicates: of inputs alone

    def compute_signatures(self, values: Sequence[ReadValue], near: bool) -> tuple[np.ndarray, Any]:
        """(uint64 keys, equal where two values are the same; signatures for `open_signatures`, None without `near`).

        Runs beside the reading, on another thread. By default values are the same where their payloads are.
        """
        digests = b"".join(hashlib.blake2b(value.payload, digest_size=8).digest() for value in values)
        return np.frombuffer(digests, np.uint64), None

    def open_signatures(self, folder: Path) -> Signatures | None:
        """Where signatures are kept while rows are read; None where values have no near duplicates."""
        return None

    def find_near_pairs(
        self,
        signatures: Any,
        rows: np.ndarray,
        boundaries: Sequence[int],
        config: DataConfig,
        payloads: Payloads,
        progress: Progress,
    ) -> NearPairs:
        """Near duplicates among some rows; see `data.duplicates.near.find_near_pairs`."""
        return NO_PAIRS

    # Targets

    def find_strata(self, payloads: Payloads, rows: np.ndarray, share: float) -> np.ndarray | None:
        """int32 (rows,): equal where a cut keeps the shares of what is equal; None: cut at random.

        Args:
            payloads: the field's; names of classes are settled.
            rows: int64, which.
            share: of the smallest split to be cut.
        """
        return None

    def summarize(self, column: np.ndarray) -> dict[str, float]:
        """What the manifest says of one split's `build_column`; by default nothing."""
        return {}

    def profile(self, payloads: Payloads, rows: np.ndarray) -> dict[str, Any]:
        """What the manifest says of an input's values in one split of a corpus; by default nothing.

        Args:
            payloads: the field's.
            rows: int64, rising.
        """
        return {}

    def list_labelled(self, payload: bytes, label: str) -> list[tuple[str, str]]:
        """(text, class name) pairs in a value of a row with this label; none where the value is no text."""
        return []

    # Stored

    @abc.abstractmethod
    def build_features(self, label_names: Sequence[str]) -> dict[str, Any]:
        """The TFDS features it is stored as, by name: one, the field's own, or several.

        Args:
            label_names: the class names by their numbers, of the field itself or of that which is read from it.
        """

    def unpack(self, payload: bytes) -> dict[str, Any]:
        """What is stored under the names of `build_features`."""
        return {self.field.name: payload}

    def decode_example(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """What `Split.take` gives, from what TFDS' data source gives."""
        return {self.field.name: self.decode(stored[self.field.name])}

    @abc.abstractmethod
    def decode(self, stored: Any) -> Any:
        """The same of one feature."""

    def build_column(self, payloads: Payloads, rows: np.ndarray) -> np.ndarray:
        """`column_type` (rows, …): the values of some rows, kept beside the examples for `Split.column`."""
        raise NotImplementedError

    def get_column_shape(self, label_names: Sequence[str]) -> tuple[int, ...]:
        """What follows the rows in the shape of `build_column`."""
        return ()
