"""What a model is fed with: one split's examples, put together into batches."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class Moment(NamedTuple):
    """When a batch is drawn: what is random about it depends on nothing else."""

    epoch: int
    """From 0."""
    step: int
    """Of the epoch, from 0."""


class Feed(abc.ABC):
    """One split's examples, in the form that a model takes them in."""

    @property
    @abc.abstractmethod
    def references(self) -> np.ndarray:
        """(examples, …): what `Task.evaluate` compares the outputs with."""

    @property
    def lengths(self) -> np.ndarray:
        """int64 (examples,): by which examples are grouped into batches; ones where all are of one size."""
        return np.ones(len(self), np.int64)

    @property
    @abc.abstractmethod
    def signature(self) -> dict[str, Any]:
        """`{name: tf.TensorSpec}` of what `collate` returns."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """Examples."""

    @abc.abstractmethod
    def collate(self, rows: np.ndarray, width: int, moment: Moment) -> dict[str, np.ndarray]:
        """The named arrays of one batch; a function of its arguments alone.

        Args:
            rows: int64 (batch,), which examples.
            width: the largest of their `lengths`, rounded up.
            moment: of the training.
        """

    @abc.abstractmethod
    def unpack(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """(inputs of the model, labels) of a collated batch, as tensors; part of the `tf.data` graph."""
