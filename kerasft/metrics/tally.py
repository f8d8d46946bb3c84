"""Collects a model's outputs on a split, batch by batch, and computes the figures at the end."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any

Figure = Mapping[str, float | int]
"""`{"value": …}`, with `low` and `high` where there is an interval."""


class Tally(abc.ABC):
    """Collects a model's outputs on the examples of a split.

    It keeps of each example only what the figures need. Examples may be added in any order; the figures do not depend
    on it.
    """

    @abc.abstractmethod
    def __len__(self) -> int:
        """The number of examples added so far."""

    @abc.abstractmethod
    def add(self, numbers: Sequence[int], outputs: Sequence[Any], references: Sequence[Any]) -> None:
        """Takes some examples in.

        Args:
            numbers: which of the split's examples they are; each comes once.
            outputs: what the model says of each, as the task's feed joins it.
            references: what is true of each, as `Feed.get_reference` gives it.
        """

    @abc.abstractmethod
    def merge(self, other: Tally) -> None:
        """Adds the examples of another tally of the same kind; both must have different examples of the same split."""

    @abc.abstractmethod
    def compute_figures(self, *, bootstrap_samples: int = 0, seed: int = 0) -> dict[str, Figure]:
        """Named figures, with intervals where `bootstrap_samples` > 0."""

    def draw(self) -> dict[str, Any]:
        """`{name: matplotlib Figure}` for TensorBoard."""
        return {}
