"""Drops examples of train that share long passages with validation and test examples of other experiments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kerasft.data.config import DataConfig
from kerasft.data.duplicates.exact import DROPPED
from kerasft.data.duplicates.passages import ANCHOR_WEIGHT, PASSAGE_WEIGHT, PassageIndex
from kerasft.data.kinds import load_kind_class
from kerasft.data.kinds.fields import Field
from kerasft.data.prepared import PreparedDataset
from kerasft.data.store import Payloads
from kerasft.errors import DataError
from kerasft.printable import format_json
from kerasft.progress import Progress

CONTAMINATED = "contaminated.jsonl"
_SPLITS = ("validation", "test")
_SHOWN = 10
_BATCH_BYTES = 1 << 20
_BATCH_TEXTS = 500


class Protected(NamedTuple):
    """An experiment whose validation and test examples must not be trained on."""

    name: str
    """Of its config, for messages."""
    config: DataConfig
    """Its `data` section, with absolute paths."""
    fields: tuple[Field, ...]
    seed: int


class Decontamination:
    """Passages of protected examples, and which of train's rows have them.

    Args:
        protected: (name, its prepared data).
        path: a file for their texts.

    Raises:
        DataError: there are no texts in the examples of one of them, or no such splits.
    """

    def __init__(self, protected: Sequence[tuple[str, PreparedDataset]], path: Path):
        self._index = PassageIndex(path)
        self._blocks: list[_Block] = []
        self.configs: list[dict[str, Any]] = []
        for name, dataset in protected:
            self._add(name, dataset)
        self._index.close()

    def _add(self, name: str, dataset: PreparedDataset) -> None:
        fields = [field.name for field in dataset.fields if load_kind_class(field.kind).quoted]
        splits = [split for split in _SPLITS if split in dataset.splits]
        if not fields or not splits:
            raise DataError(
                f"{name} has no {'validation or test examples' if fields else 'field of texts'} to compare with.",
                where="data.decontaminate",
                fix="Name configs with texts, and with validation or test examples.",
            )
        before = self._index.count, self._index.too_short
        for split in splits:
            for field in fields:
                self._blocks.append(_Block(self._index.count, name, split, dataset))
                for examples in dataset.split(split).iterate(_BATCH_TEXTS):
                    self._index.add([example[field] for example in examples])
        self.configs.append(
            {
                "config": name,
                "fingerprint": dataset.fingerprint,
                "compared": self._index.count - before[0],
                "too_short": self._index.too_short - before[1],
            }
        )

    def drop(
        self,
        path: Path,
        columns: Sequence[Payloads],
        splits: np.ndarray,
        locate: Callable[[int], str],
        progress: Progress,
    ) -> dict[str, Any]:
        """Marks rows of train as dropped in `splits`, and lists them.

        Args:
            path: the list, JSON lines.
            columns: the fields that hold texts.
            splits: uint8 (rows,), each row's split; train is 0. Changed.
            locate: row → where it stands.
            progress: shows a bar.

        Returns:
            What the manifest says of it.
        """
        train = np.flatnonzero(splits == 0)
        dropped: dict[int, dict[str, str]] = {}
        protected: set[int] = set()
        with progress.bar("looking for passages", len(train) * len(columns), "rows") as bar:
            for column in columns:
                for rows in _cut(train, column.lengths):
                    for match in self._index.find(column.read_texts(rows)):
                        row = int(rows[match.text])
                        protected.add(match.protected)
                        dropped.setdefault(row, {"row": locate(row), **self._describe(match.protected)})
                        dropped[row].setdefault("passage", match.passage)
                    bar.advance(len(rows))
        with open(path, "w", encoding="utf-8") as file:
            for row in sorted(dropped):
                file.write(format_json(dropped[row]) + "\n")
        splits[sorted(dropped)] = DROPPED
        return {
            "against": self.configs,
            "passage_letters": PASSAGE_WEIGHT,
            "fewest_letters": ANCHOR_WEIGHT,
            "dropped": len(dropped),
            "found": len(protected),
            "examples": [dropped[row] for row in sorted(dropped)[:_SHOWN]],
        }

    def _describe(self, text: int) -> dict[str, str]:
        """Which example a protected text is of."""
        block = next(block for block in reversed(self._blocks) if block.first <= text)
        origin = block.dataset.split(block.split).origin(text - block.first)
        return {"config": block.config, "split": block.split, "example": origin}


class _Block(NamedTuple):
    """The texts of one field of one split, which are numbered one after the other."""

    first: int
    config: str
    split: str
    dataset: PreparedDataset


def _cut(rows: np.ndarray, lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Rows whose texts are looked at together."""
    if not len(rows):
        return
    blocks = np.cumsum(lengths[rows], dtype=np.int64) // _BATCH_BYTES
    yield from np.split(rows, np.flatnonzero(np.diff(blocks)) + 1)


def report_decontamination(entry: dict[str, Any], progress: Progress) -> None:
    """Says what was dropped."""
    configs = ", ".join(each["config"] for each in entry["against"])
    texts = sum(each["compared"] for each in entry["against"])
    short = sum(each["too_short"] for each in entry["against"])
    left_out = (
        f" {short:,} of them are shorter than {ANCHOR_WEIGHT} letters and were not looked for."
        if short
        else ""
    )
    progress.note(
        f"{entry['dropped']:,} row{'s' * (entry['dropped'] != 1)} of train shared a passage with {entry['found']:,} of "
        f"the {texts:,} validation and test texts of {configs}, and were dropped: see {CONTAMINATED}.{left_out}"
    )
