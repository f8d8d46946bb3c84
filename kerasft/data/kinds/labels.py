"""The names of any number of classes: the target of a multi-label classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasft.data.kinds.base import ReadValue
from kerasft.data.kinds.fields import parse_labels, spell_labels
from kerasft.data.kinds.label import LabelKind
from kerasft.data.store import Payloads


class LabelsKind(LabelKind):
    """Classes by their names, any number of them; stored as the number of the set that they are.

    A row's number, in `number_rows`, `count` and `describe`, is that of its set.

    Attributes: `sets`, bool (sets, classes), says which classes a set has, once `settle_names` was called.
    """

    noun = "labels"
    column_type = np.uint8
    several = True
    sets = np.zeros((0, 0), bool)

    @staticmethod
    def spell(cell: str) -> str:
        return spell_labels(cell)

    def parse(self, value: Any) -> tuple[str, ...]:
        return parse_labels(value)

    def read_missing(self) -> ReadValue:
        return ReadValue()

    def number(self, names: tuple[str, ...]) -> int:
        return self.labels.number_set(names)

    def settle_names(self) -> None:
        super().settle_names()
        places = {name: number for number, name in enumerate(self.names)}
        self.sets = np.zeros((len(self.labels.sets), len(self.names)), bool)
        for names, number in self.labels.sets.items():
            self.sets[number, [places[name] for name in names]] = True

    def _read_numbers(self, payloads: Payloads) -> np.ndarray:
        return payloads.read_numbers(np.int32)

    def count(self, numbers: np.ndarray) -> dict[str, int]:
        counts = np.bincount(numbers, minlength=len(self.sets)) @ self.sets
        return dict(zip(self.names, counts.tolist(), strict=True))

    def describe(self, number: int) -> str:
        return " and ".join(self.names[i] for i in np.flatnonzero(self.sets[number])) or "none"

    def find_strata(self, payloads: Payloads, rows: np.ndarray, share: float) -> np.ndarray | None:
        return join_rare_sets(self.number_rows(payloads)[rows], self.sets, share)

    def build_features(self, label_names: Sequence[str]) -> dict[str, Any]:
        import tensorflow_datasets as tfds

        return {self.field.name: tfds.features.Sequence(tfds.features.ClassLabel(names=list(label_names)))}

    def unpack(self, payload: bytes) -> dict[str, Any]:
        return {self.field.name: np.flatnonzero(self.sets[int.from_bytes(payload, "little")]).tolist()}

    def decode(self, stored: Any) -> Any:
        return tuple(map(int, stored))

    def build_column(self, payloads: Payloads, rows: np.ndarray) -> np.ndarray:
        return self.sets[self.number_rows(payloads)[rows]].astype(np.uint8)

    def get_column_shape(self, label_names: Sequence[str]) -> tuple[int, ...]:
        return (len(label_names),)


def join_rare_sets(labels: np.ndarray, label_sets: np.ndarray, share: float) -> np.ndarray:
    """What a cut keeps the shares of, where an example has any number of labels: there may be as many sets as rows.

    A set of which the split would get less than one row is joined with the others that have the same rarest label.

    Args:
        labels: int32 (rows,), numbers of sets.
        label_sets: bool (sets, classes).
        share: of the smallest split, of the rows.

    Returns:
        int32 (rows,): equal where rows are cut alike.
    """
    sets, classes = label_sets.shape
    counts = np.bincount(labels, minlength=sets)
    rows_of_label = counts @ label_sets
    rarest = np.where(label_sets, rows_of_label, np.iinfo(np.int64).max).argmin(axis=1)
    rarest = np.where(label_sets.any(axis=1), rarest, classes)
    strata = np.where(counts * share < 1.0, sets + rarest, np.arange(sets))
    return strata.astype(np.int32)[labels]


KindClass = LabelsKind
