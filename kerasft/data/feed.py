"""The interface between data and model: a split's rows as batches."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from kerasft.errors import ConfigError

Output = Any
"""What is kept of a model's output on one example, in host memory: `{name: array}` by default."""


class BatchMoment(NamedTuple):
    """When a batch is drawn: what is random about it depends on nothing else."""

    epoch: int
    """From 0."""
    step: int
    """Of the epoch, from 0."""


class Feed(abc.ABC):
    """The rows of one split in the form that a model takes: its examples, or pieces of them."""

    in_memory: bool = False
    """Whether the rows are few and in memory: their batches are then built when they are needed."""

    @property
    def has_pieces(self) -> bool:
        """Whether examples have several rows, which then follow one another; by default a row is an example."""
        return False

    def get_reference(self, example: int) -> Any:
        """The true value of one example, for the task's tally; None if it is unknown."""
        return None

    @property
    def lengths(self) -> np.ndarray:
        """int64 (rows,): lengths by which rows are grouped into batches; ones if all rows have the same size."""
        return np.ones(len(self), np.int64)

    @property
    @abc.abstractmethod
    def signature(self) -> dict[str, Any]:
        """`{name: tf.TensorSpec}` of what `collate` returns."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """The number of rows."""

    @abc.abstractmethod
    def collate(self, rows: np.ndarray, width: int, moment: BatchMoment) -> dict[str, np.ndarray]:
        """The named arrays of one batch; a function of its arguments alone.

        Args:
            rows: int64 (batch,), which.
            width: the largest of their `lengths`, rounded up.
            moment: of the training.
        """

    @abc.abstractmethod
    def unpack(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """(inputs of the model, labels) of a collated batch, as tensors; part of the `tf.data` graph."""

    def join(
        self, batches: Iterable[tuple[np.ndarray, Mapping[str, np.ndarray]]]
    ) -> Iterator[list[tuple[int, Output]]]:
        """A model's outputs by example, each as soon as all of its rows are there; by default a row is an example.

        Args:
            batches: each (int64 (batch,), which rows; what is kept of them, `{name: (batch, …)}`), every row once.

        Yields:
            (number of the example, its output) of some.
        """
        for rows, kept in batches:
            yield [
                # a copy: a view would keep the whole batch as long as anybody keeps one of its examples
                (int(row), {name: values[place].copy() for name, values in kept.items()})
                for place, row in enumerate(rows)
            ]

    def find_example(self, row: int) -> int:
        """The number of the example that a row is, or is a piece of."""
        return row

    def shuffle_labels(self, seed: int) -> Feed:
        """The same rows with labels in random order: a control, from which nothing can be learned.

        Raises:
            ConfigError: these rows have no labels.
        """
        raise ConfigError(
            "the task has no labels to shuffle", where="train.shuffle_labels", fix="Leave it out."
        )
