"""Batches of a split, and a model's outputs on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.data.batching import plan_batches
from kerasft.data.feed import Feed, Moment
from kerasft.data.pipeline import BatchStream
from kerasft.errors import TrainingError


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
        shuffle: False for measuring: each row once, sorted by length.
        group_lengths: puts rows of like length together.
        workers: batches put together at once.
        first_epoch: of the order, and of what varies the examples, in the stream's epoch 0.
    """
    lengths = feed.lengths
    # without XLA a new width costs nothing, so batches are as wide as their longest; a GPU likes multiples of 8
    multiple = 8 if tf.config.list_physical_devices("GPU") else 1

    def collate(rows: np.ndarray, width: int, moment: Moment) -> dict[str, np.ndarray]:
        return feed.collate(rows, width, Moment(first_epoch + moment.epoch, moment.step))

    return BatchStream(
        lambda epoch: plan_batches(
            lengths,
            batch_size,
            seed=seed,
            epoch=first_epoch + epoch,
            shuffle=shuffle,
            group_lengths=group_lengths,
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
        feed: the split's rows.
        batch_size: rows a batch.
    """

    def __init__(self, feed: Feed, batch_size: int):
        self._feed = feed
        self._stream = make_stream(feed, batch_size, shuffle=False)
        self._dataset = self._stream.dataset()

    def predict(
        self, forward: Callable[[Any], Any], advance: Callable[[int], Any] | None = None
    ) -> np.ndarray:
        """The outputs of every example, in the split's order.

        Args:
            forward: inputs of a batch → outputs (batch, …).
            advance: told how many rows are done after each batch.

        Raises:
            TrainingError: an output is not finite.
            DamagedError: the split's files are not as they were written.
        """

        def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for rows, (inputs, _) in zip(self._stream.plan.batches, self._dataset, strict=True):
                values = np.asarray(forward(inputs))
                if not np.isfinite(values).all():
                    raise TrainingError(
                        "the model's outputs are not finite",
                        fix="Lower train.optimizer.learning_rate or set global_clipnorm.",
                    )
                yield rows, values
                if advance:
                    advance(len(rows))

        with self._stream.raising_own_errors():
            return self._feed.assemble(batches())
