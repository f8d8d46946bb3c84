"""What a model is fed with: one split's rows, put together into batches."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np


class Moment(NamedTuple):
    """When a batch is drawn: what is random about it depends on nothing else."""

    epoch: int
    """From 0."""
    step: int
    """Of the epoch, from 0."""


class Feed(abc.ABC):
    """One split's rows, in the form that a model takes them in: its examples, or pieces of them."""

    @property
    @abc.abstractmethod
    def references(self) -> np.ndarray:
        """(examples, …): what `Task.evaluate` compares the outputs with; of objects, where they differ in size."""

    @property
    def lengths(self) -> np.ndarray:
        """int64 (rows,): by which rows are grouped into batches; ones where all are of one size."""
        return np.ones(len(self), np.int64)

    @property
    @abc.abstractmethod
    def signature(self) -> dict[str, Any]:
        """`{name: tf.TensorSpec}` of what `collate` returns."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """Rows."""

    @abc.abstractmethod
    def collate(self, rows: np.ndarray, width: int, moment: Moment) -> dict[str, np.ndarray]:
        """The named arrays of one batch; a function of its arguments alone.

        Args:
            rows: int64 (batch,), which.
            width: the largest of their `lengths`, rounded up.
            moment: of the training.
        """

    @abc.abstractmethod
    def unpack(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """(inputs of the model, labels) of a collated batch, as tensors; part of the `tf.data` graph."""

    def assemble(self, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """A model's outputs in the order of examples, as `Task.evaluate` takes them.

        Args:
            batches: each (int64 (batch,), which rows; outputs (batch, …)), every row once, in any order.
        """
        outputs = np.empty(0)
        for rows, values in batches:
            if len(outputs) != len(self):
                outputs = np.empty((len(self), *values.shape[1:]), values.dtype)
            outputs[rows] = values
        return outputs

    def find_example(self, row: int) -> int:
        """Which of the split's examples a row is, or is a piece of."""
        return row

    @abc.abstractmethod
    def shuffle_labels(self, seed: int) -> Feed:
        """The same rows with labels in random order: a control, from which nothing can be learned."""
