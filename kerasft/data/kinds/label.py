"""The name of one class: the target of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from kerasft.data.kinds.base import Kind, ReadValue
from kerasft.data.kinds.fields import Field, InvalidValue, parse_label, spell_label
from kerasft.data.kinds.vocabulary import Labels, sort_labels
from kerasft.data.sources.paths import SourceFile
from kerasft.data.store import Payloads


class LabelKind(Kind):
    """A class, by its name; stored as its number.

    While rows are read, a class gets its number when it is first met; `settle_names` then puts the names in order.
    """

    noun = "label"
    column_type: ClassVar[type | None] = np.int32
    several = False
    """Whether an example has any number of classes."""

    def __init__(self, field: Field):
        super().__init__(field)
        self.labels = Labels(field.classes)
        self.names = tuple(self.labels.numbers)
        self._places: list[int] = []
        self._numbers: np.ndarray | None = None

    @staticmethod
    def spell(cell: str) -> str:
        return spell_label(cell)

    def read(self, values: Sequence[Any], file: SourceFile) -> list[ReadValue | InvalidValue]:
        return [self._read(value) for value in values]

    def _read(self, value: Any) -> ReadValue | InvalidValue:
        try:
            return ReadValue(labels=tuple(sorted({self.labels.find(name) for name in self.parse(value)})))
        except InvalidValue as error:
            return error

    def parse(self, value: Any) -> tuple[str, ...]:
        """The names in a raw value.

        Raises:
            InvalidValue: it is no name.
        """
        return (parse_label(value),)

    def encode(self, values: Sequence[ReadValue]) -> list[bytes]:
        return [self.number(value.labels).to_bytes(4, "little") for value in values]

    def number(self, names: tuple[str, ...]) -> int:
        """The number, while rows are read, of what a row has."""
        return self.labels.number(names[0])

    def settle_names(self) -> None:
        """Puts the names in their order: as the field gives them, else sorted."""
        self.names = self.names or tuple(sort_labels(list(self.labels.numbers)))
        places = {name: number for number, name in enumerate(self.names)}
        self._places = [places[name] for name in self.labels.numbers]

    def number_rows(self, payloads: Payloads) -> np.ndarray:
        """int32 (rows,): each row's class, by its place in `names`; read once."""
        if self._numbers is None:
            self._numbers = self._read_numbers(payloads)
        return self._numbers

    def _read_numbers(self, payloads: Payloads) -> np.ndarray:
        return np.array(self._places, np.int32)[payloads.read_numbers(np.int32)]

    def count(self, numbers: np.ndarray) -> dict[str, int]:
        """Class name → rows with it, of some of `number_rows`."""
        counts = np.bincount(numbers, minlength=len(self.names))
        return dict(zip(self.names, counts.tolist(), strict=True))

    def describe(self, number: int) -> str:
        """What messages call one of `number_rows`."""
        return self.names[number]

    def find_strata(self, payloads: Payloads, rows: np.ndarray, share: float) -> np.ndarray | None:
        return self.number_rows(payloads)[rows]

    def build_features(self, label_names: Sequence[str]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        return {self.field.name: tfds.features.ClassLabel(names=list(label_names))}

    def unpack(self, payload: bytes) -> dict[str, Any]:
        return {self.field.name: self._places[int.from_bytes(payload, "little")]}

    def decode(self, stored: Any) -> Any:
        return int(stored)

    def build_column(self, payloads: Payloads, rows: np.ndarray) -> np.ndarray:
        return self.number_rows(payloads)[rows]


KindClass = LabelKind
