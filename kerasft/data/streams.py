"""Batches of a split, and the single loop for validation, evaluation and prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.data.batching import plan_batches
from kerasft.data.feed import BatchMoment, Feed, Output
from kerasft.data.pipeline import BatchStream
from kerasft.errors import TrainingError

Step = Callable[[Any, Any], Mapping[str, Any]]
"""(inputs of a batch, its labels or None) → what is kept of each row: `{name: tensor (batch, …)}`."""


def make_stream(
    feed: Feed,
    batch_size: int,
    *,
    seed: int = 0,
    shuffle: bool,
    group_lengths: bool = True,
    workers: int = 2,
    first_epoch: int = 0,
) -> BatchStream:
    """Batches of a split.

    Args:
        feed: the split's rows.
        batch_size: rows a batch.
        seed: of the order.
        shuffle: False for measuring: each row once, sorted by length; where examples have several rows, those stay near
            each other, so that few examples wait for the rest of theirs.
        group_lengths: puts rows of like length together.
        workers: batches put together at once.
        first_epoch: of the order, and of what varies the examples, in the stream's epoch 0.
    """
    lengths = feed.lengths
    # without XLA a new width costs nothing, so batches are as wide as their longest; a GPU likes multiples of 8
    multiple = 8 if tf.config.list_physical_devices("GPU") else 1

    def collate(rows: np.ndarray, width: int, moment: BatchMoment) -> dict[str, np.ndarray]:
        return feed.collate(rows, width, BatchMoment(first_epoch + moment.epoch, moment.step))

    return BatchStream(
        lambda epoch: plan_batches(
            lengths,
            batch_size,
            seed=seed,
            epoch=first_epoch + epoch,
            shuffle=shuffle,
            group_lengths=group_lengths,
            keep_near=feed.has_pieces,
            width_multiple=multiple,
        ),
        collate,
        feed.signature,
        feed.unpack,
        workers,
    )


class MeasuredSplit:
    """A split's batches, each row once, to be gone through time and again.

    Args:
        feed: the split's rows; not empty.
        batch_size: rows a batch.
    """

    def __init__(self, feed: Feed, batch_size: int):
        self.feed = feed
        self._stream = make_stream(feed, batch_size, shuffle=False)
        # what is in memory needs no threads that read ahead, whose start takes longer than a few batches do
        self._dataset = None if feed.in_memory else self._stream.dataset()

    def run(
        self, step: Step, advance: Callable[[int], Any] | None = None
    ) -> Iterator[list[tuple[int, Output]]]:
        """(number, output) of every example, some at a time, as they become known; see `Feed.join` for their order.

        Args:
            step: of the task, on a model.
            advance: told how many rows are done after each batch.

        Raises:
            TrainingError: something that is kept is not finite.
            DamagedError: the split's files are not as they were written.
        """
        with self._stream.raising_own_errors():
            yield from self.feed.join(self._run_batches(step, advance))

    def _run_batches(
        self, step: Step, advance: Callable[[int], Any] | None
    ) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        for rows, (inputs, labels) in zip(self._stream.plan.batches, self._open(), strict=True):
            kept = {name: np.asarray(value) for name, value in step(inputs, labels).items()}
            if not all(np.isfinite(values).all() for values in kept.values() if values.dtype.kind == "f"):
                raise TrainingError(
                    "the model's outputs are not finite",
                    fix="Lower train.optimizer.learning_rate or set global_clipnorm.",
                )
            yield rows, kept
            if advance:
                advance(len(rows))

    def _open(self) -> Iterator[tuple[Any, Any]]:
        if self._dataset is not None:
            return iter(self._dataset)
        return (self.feed.unpack(self._stream.batch(step)) for step in range(len(self._stream)))


def run_over(
    feed: Feed, step: Step, batch_size: int, advance: Callable[[int], Any] | None = None
) -> Iterator[list[tuple[int, Output]]]:
    """`MeasuredSplit.run`, once; nothing where there are no rows."""
    if len(feed):
        yield from MeasuredSplit(feed, batch_size).run(step, advance)


def collect_outputs(feed: Feed, step: Step, batch_size: int = 64) -> list[Output]:
    """The output of every example, in their order: for as many as memory takes."""
    found = {number: output for part in run_over(feed, step, batch_size) for number, output in part}
    return [found[number] for number in sorted(found)]
