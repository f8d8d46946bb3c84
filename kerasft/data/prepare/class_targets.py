"""Targets whose values are class names: which classes there are, and whether they can be learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kerasft.data.config import DataConfig
from kerasft.data.kinds.base import Kind
from kerasft.data.kinds.label import LabelKind
from kerasft.data.prepare.checks import warn_of_swapped_labels
from kerasft.data.prepare.label_checks import check_labels, check_roles, warn_of_odd_labels
from kerasft.data.prepare.reading import SplitCounts
from kerasft.data.prepare.train_labels import check_kept_labels, check_train_labels
from kerasft.data.sources import SourceFile
from kerasft.data.store import RowStore
from kerasft.progress import Progress

_SHOWN_CHARACTERS = 50
_READ_CHARACTERS = 2000
"""Of a text, of which the words are counted."""


class ClassTarget:
    """The checks of one target of class names, in the order in which they are made.

    Args:
        kind: the target's.
        kinds: field's name → its kind, of all fields.
        noun: what messages call what an example holds.
        config: the `data` section.
        files: train's.
        progress: where what is odd is reported.
    """

    def __init__(
        self,
        kind: LabelKind,
        kinds: Mapping[str, Kind],
        noun: str,
        config: DataConfig,
        files: Sequence[SourceFile],
        progress: Progress,
    ):
        self.kind = kind
        self._others = kinds
        self._inputs = [other for other in kinds.values() if other.field.role == "input"]
        self._noun = noun
        self._config = config
        self._files = files
        self._progress = progress
        self._read: dict[str, int] = {}
        """Label → rows of train's files."""
        self.numbers = np.zeros(0, np.int32)
        """int32 (rows,), once the names are settled: see `LabelKind.number_rows`."""

    @property
    def _part(self) -> str:
        """What has classes inside of an example, as entities do; empty where an example has one as a whole."""
        of = self.kind.field.of
        return self._others[of].part_noun if of else ""

    def check_names(self, store: RowStore, train: SplitCounts) -> None:
        """Looks whether what train's column holds are class names, before other splits are read.

        Raises:
            DataError: they hardly are.
        """
        labels, field = self.kind.labels, self.kind.field
        if self._part or field.classes is not None or not len(store):
            return
        store.flush()
        rows = np.bincount(store.columns[field.name].read_numbers(np.int32)).tolist()
        counts = dict(zip(labels.numbers, rows, strict=False))
        if self.kind.several:
            counts = dict.fromkeys(labels.numbers, 0)
            for names, number in labels.sets.items():
                counts.update((name, counts[name] + rows[number]) for name in names)
        elif 2 * len(counts) > len(store):
            columns = getattr(self._config.train, "columns", {})
            first = self._inputs[0]
            alone = first.quoted and len(self._inputs) == 1
            check_roles(
                list(counts),
                len(store),
                len(np.unique(store.read_keys())),
                store.columns[first.field.name].read_first_text()[:_SHOWN_CHARACTERS] if alone else "",
                {name: columns.get(name, name) for name in (first.field.name, field.name)},
                self._noun,
            )
        if train.share_rejected <= self._config.max_rejected:
            self._check_counts(counts)
        warn_of_odd_labels(counts, self._progress, self._noun, self.kind.several)

    def settle(self, store: RowStore, train: SplitCounts | None) -> None:
        """Settles the names and their numbers, and looks whether train can be learned from.

        Raises:
            DataError: it has too few classes.
        """
        self.kind.settle_names()
        self.numbers = self.kind.number_rows(store.columns[self.kind.field.name])
        if train is not None:
            self._read = self.kind.count(self.numbers[: train.accepted])
            self._check_counts(self._read)

    def _check_counts(self, counts: dict[str, int]) -> None:
        name = self.kind.field.name
        column = getattr(self._config.train, "columns", {}).get(name, name)
        check_train_labels(counts, self._part, self._config.train, self._files, column)

    def count(
        self, splits: np.ndarray, present: dict[str, int], cut: Sequence[str]
    ) -> dict[str, dict[str, int]]:
        """Split → class → rows.

        Raises:
            DataError: what was cut from train, or dropped, leaves too few classes in it.
        """
        counts = {name: self.kind.count(self.numbers[splits == number]) for name, number in present.items()}
        if "train" in counts:
            check_kept_labels(self._read, counts["train"], self._part, cut, self._config.leaks)
        return counts

    def check(self, counts: dict[str, dict[str, int]]) -> None:
        """Says what is odd about the classes of each split."""
        check_labels(counts, self._progress, not self._part)

    def warn_of_swapped(self, store: RowStore, splits: np.ndarray, own: dict[str, int]) -> None:
        """Warns where two classes of a split seem to be swapped, judging by the words of their texts.

        Args:
            store: all rows.
            splits: uint8 (rows,), each row's split; train is 0.
            own: the splits that have files of their own, and their numbers.
        """
        texts = [kind for kind in self._inputs if kind.quoted]
        if texts and (self._part or not self.kind.several):
            read = _LabelledTexts(self, texts, store)
            warn_of_swapped_labels(splits, own, read.iterate, self.kind.names, self._progress)


class _LabelledTexts:
    """Texts and the numbers of their classes, or what entities say and the numbers of their types."""

    def __init__(self, target: ClassTarget, texts: Sequence[Kind], store: RowStore):
        self._target, self._store = target, store
        of = target.kind.field.of
        self._texts = [kind for kind in texts if kind.field.name == of] if of else texts

    def iterate(self, rows: np.ndarray) -> Iterator[tuple[str, int]]:
        """Row by row, since a text may have megabytes."""
        kind = self._target.kind
        places = {name: number for number, name in enumerate(kind.names)}
        for row in rows.tolist():
            label = kind.describe(self._target.numbers[row])
            for text in self._texts:
                (payload,) = self._store.columns[text.field.name].read_payloads([row])
                for part, name in text.list_labelled(payload, label):
                    yield part[:_READ_CHARACTERS], places[name]
