"""Batches of a split, and a model's outputs on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.data.batching import plan_batches
from kerasft.data.feed import Feed, Moment
from kerasft.data.pipeline import BatchStream


def make_stream(
    feed: Feed,
    batch_size: int,
    *,
    seed: int = 0,
    shuffle: bool,
    group_lengths: bool = True,
    labels: np.ndarray | None = None,
    workers: int = 2,
    first_epoch: int = 0,
) -> BatchStream:
    """Batches of a split.

    Args:
        feed: the split's examples.
        batch_size: examples a batch.
        seed: of the order.
        shuffle: False for measuring: each example once, sorted by length.
        group_lengths: puts examples of like length together.
        labels: int32 (examples,), in place of the batches' `label` (to train on shuffled ones).
        workers: batches put together at once.
        first_epoch: of the order, and of what varies the examples, in the stream's epoch 0.
    """
    lengths = feed.lengths
    # without XLA a new width costs nothing, so batches are as wide as their longest; a GPU likes multiples of 8
    multiple = 8 if tf.config.list_physical_devices("GPU") else 1

    def collate(rows: np.ndarray, width: int, moment: Moment) -> dict[str, np.ndarray]:
        batch = feed.collate(rows, width, Moment(first_epoch + moment.epoch, moment.step))
        return batch if labels is None else {**batch, "label": labels[rows]}

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


def predict_outputs(
    forward: Callable[[Any], Any],
    stream: BatchStream,
    advance: Callable[[int], Any] | None = None,
) -> np.ndarray:
    """The outputs of every example, in the split's order.

    Args:
        forward: inputs of a batch → outputs (batch, …).
        stream: made with `shuffle=False`.
        advance: told how many examples are done after each batch.
    """
    outputs = np.empty(0)
    rows = sum(len(batch) for batch in stream.plan.batches)
    for batch_rows, (inputs, _) in zip(stream.plan.batches, stream.dataset(), strict=True):
        values = np.asarray(forward(inputs))
        if len(outputs) != rows:
            outputs = np.empty((rows, *values.shape[1:]), values.dtype)
        outputs[batch_rows] = values
        if advance:
            advance(len(batch_rows))
    return outputs
