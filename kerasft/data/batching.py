"""Plans which example goes into which batch: a pure function of (lengths, seed, epoch)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

POOL_BATCHES = 50
"""Batches sorted by length together. More waste less on padding and shuffle less; 50 is what Hugging Face's Trainer
takes, so that both see batches of like make-up."""


@dataclass(frozen=True)
class BatchPlan:
    """The batches of one epoch.

    Attributes:
        batches: for each step the examples' indices, int64 (batch,).
        widths: for each step the width its sequences are padded to, int64 (steps,).
        padding_share: padded positions as a share of all positions, in [0, 1).
    """

    batches: tuple[np.ndarray, ...]
    widths: np.ndarray
    padding_share: float

    def __len__(self) -> int:
        return len(self.batches)


def count_batches(num_examples: int, batch_size: int) -> int:
    """Steps an epoch; the last batch may be smaller."""
    return -(-num_examples // batch_size)


def plan_batches(
    lengths: np.ndarray,
    batch_size: int,
    *,
    seed: int,
    epoch: int,
    shuffle: bool = True,
    group_lengths: bool = True,
    keep_near: bool = False,
    width_multiple: int = 1,
) -> BatchPlan:
    """Plans one epoch.

    The examples are shuffled, cut into pools of `POOL_BATCHES` batches, sorted by length inside each pool, cut into
    batches, and the batches are shuffled. Each example comes exactly once.

    Args:
        lengths: int (examples,), tokens of each example.
        batch_size: examples a batch; the last may hold fewer.
        seed: the experiment's seed.
        epoch: from 0; another epoch has another order.
        shuffle: False keeps the given order of examples, or (with `group_lengths`) sorts all by length.
        group_lengths: False pads each batch to the longest of a random lot.
        keep_near: without shuffling, sorts by length inside pools alone: examples that follow one another are never
            further apart than two pools.
        width_multiple: widths are rounded up to a multiple of this, but not beyond the longest example.

    Raises:
        ValueError: there are no examples, or `batch_size` or `width_multiple` is below 1.
    """
    lengths = np.asarray(lengths)
    if lengths.ndim != 1 or len(lengths) == 0:
        raise ValueError(f"lengths must be one-dimensional and not empty, got shape {lengths.shape}")
    if batch_size < 1 or width_multiple < 1:
        raise ValueError("batch_size and width_multiple must be at least 1")
    generator = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    order = generator.permutation(len(lengths)) if shuffle else np.arange(len(lengths))
    if group_lengths:
        pool = POOL_BATCHES * batch_size if shuffle or keep_near else len(order)
        order = np.concatenate(
            [
                part[np.argsort(-lengths[part], kind="stable")]
                for part in (order[start : start + pool] for start in range(0, len(order), pool))
            ]
        )
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    if shuffle:
        batches = [batches[index] for index in generator.permutation(len(batches))]
    longest = np.array([lengths[batch].max() for batch in batches])
    # a model may have no more positions than its longest row
    rounded = np.minimum(-(-longest // width_multiple) * width_multiple, lengths.max())
    widths = np.maximum(rounded, 1)
    positions = int(sum(width * len(batch) for width, batch in zip(widths, batches, strict=True)))
    return BatchPlan(tuple(batches), widths, 1.0 - float(lengths.sum()) / positions)
