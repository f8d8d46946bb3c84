"""The loop in which a model measures or answers: every example once, in flat memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from kerasft.data.feed import BatchMoment, Feed
from kerasft.data.streams import MeasuredSplit, collect_outputs, run_over
from kerasft.errors import ConfigError, TrainingError

FLOATS = 1 << 18
"""Of an output: a megabyte."""


class Numbers(Feed):
    """Rows that are their own numbers, of lengths that are given."""

    def __init__(self, lengths: list[int], *, in_memory: bool):
        self._lengths = np.array(lengths, np.int64)
        self.in_memory = in_memory  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self._lengths)

    @property
    def lengths(self) -> np.ndarray:
        return self._lengths

    @property
    def signature(self) -> dict[str, Any]:
        return {"number": tf.TensorSpec((None,), tf.int32)}

    def collate(self, rows: np.ndarray, width: int, moment: BatchMoment) -> dict[str, np.ndarray]:
        return {"number": rows.astype(np.int32)}

    def unpack(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        return batch["number"], -batch["number"]


def keep(inputs: Any, labels: Any) -> dict[str, Any]:
    return {"twice": 2 * inputs, "label": labels}


@pytest.mark.parametrize("in_memory", [True, False])
def test_each_example_comes_once_and_outputs_stand_in_their_order(in_memory: bool) -> None:
    feed = Numbers([3, 9, 1, 4, 4, 7, 2], in_memory=in_memory)
    parts = list(run_over(feed, keep, 3))
    assert [[number for number, _ in part] for part in parts] == [[1, 5, 3], [4, 0, 6], [2]]
    outputs = collect_outputs(feed, keep, 3)
    assert [int(output["twice"]) for output in outputs] == [0, 2, 4, 6, 8, 10, 12]
    assert [int(output["label"]) for output in outputs] == [0, -1, -2, -3, -4, -5, -6]


def test_a_split_can_be_gone_through_again_and_says_how_far_it_is() -> None:
    split, done = MeasuredSplit(Numbers([1] * 7, in_memory=False), 3), list[int]()
    first, again = (list(split.run(keep, done.append)) for _ in range(2))
    assert [[number for number, _ in part] for part in first] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [len(part) for part in again] == [3, 3, 1]
    assert done == [3, 3, 1] * 2


def test_no_rows_give_no_outputs() -> None:
    assert collect_outputs(Numbers([], in_memory=True), keep) == []


def test_outputs_that_are_not_finite_are_refused() -> None:
    feed = Numbers([1] * 4, in_memory=True)
    with pytest.raises(TrainingError, match="not finite"):
        list(run_over(feed, lambda inputs, labels: {"logits": np.where(inputs == 3, np.nan, 0.0)}, 2))


def test_memory_does_not_grow_with_outputs_that_are_let_go_of() -> None:
    def keep_much(inputs: Any, labels: Any) -> dict[str, Any]:
        return {"map": np.full((len(inputs), FLOATS), 0.5, np.float32)}

    total, examples, most = 0.0, 300, 8 * 8 * (1 << 20)  # 300 MB in all, 8 a batch
    tracemalloc.start()
    try:
        for part in run_over(Numbers([1] * examples, in_memory=True), keep_much, 8):
            total += sum(float(output["map"][0]) for _, output in part)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert total == examples / 2
    assert peak < most


def test_rows_without_labels_cannot_have_them_shuffled() -> None:
    with pytest.raises(ConfigError, match="no labels to shuffle"):
        Numbers([1], in_memory=True).shuffle_labels(0)
