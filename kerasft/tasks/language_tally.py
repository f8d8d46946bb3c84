"""Collects how well a language model predicts the tokens of a split's documents."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasft.metrics.language import COUNTS, measure_language
from kerasft.metrics.tally import Tally


class LanguageTally(Tally):
    """Five sums of each document, 48 bytes with its number; see `kerasft.metrics.language.COUNTS`."""

    def __init__(self) -> None:
        self._numbers, self._sums = array("q"), array("d")

    def __len__(self) -> int:
        return len(self._numbers)

    def add(
        self, numbers: Sequence[int], outputs: Sequence[Mapping[str, Any]], references: Sequence[Any]
    ) -> None:
        for number, output in zip(numbers, outputs, strict=True):
            self._numbers.append(number)
            self._sums.extend(count_document(output))

    def merge(self, other: Tally) -> None:
        assert isinstance(other, LanguageTally)
        self._numbers += other._numbers
        self._sums += other._sums

    def compute_figures(self, *, bootstrap_samples: int = 0, seed: int = 0) -> dict[str, Any]:
        order = np.argsort(np.array(self._numbers), kind="stable")
        counts = np.array(self._sums).reshape(-1, len(COUNTS))[order]
        return measure_language(counts, bootstrap_samples=bootstrap_samples, seed=seed)


def count_document(output: Mapping[str, Any]) -> tuple[float, ...]:
    """The sums `COUNTS` of what the task's feed joins of a document."""
    return (
        float(output["log_loss"].sum(dtype=np.float64)),
        int(output["right"].sum()),
        len(output["log_loss"]),
        output["tokens"],
        output["bytes"],
    )
