"""Planned batches as a tf.data.Dataset, alone and under `fit`."""

from __future__ import annotations

import time
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.data.batching import plan_batches
from kerasft.data.pipeline import BatchStream
from kerasft.errors import DamagedError
from kerasft.training.callbacks import EpochSetter

LENGTHS = np.random.default_rng(0).integers(1, 9, 37)


def build_stream(workers: int = 2, delay=None) -> BatchStream:
    def collate(rows, width, moment):
        if delay is not None:
            time.sleep(delay(rows))
        mask = np.arange(width) < LENGTHS[rows][:, None]
        return {"row": rows.astype(np.int64), "mask": mask.astype(np.float32)}

    return BatchStream(
        lambda epoch: plan_batches(LENGTHS, 4, seed=1, epoch=epoch),
        collate,
        {"row": tf.TensorSpec((None,), tf.int64), "mask": tf.TensorSpec((None, None), tf.float32)},
        lambda batch: (batch["mask"], batch["row"]),
        workers=workers,
    )


def rows_of(dataset) -> list[list[int]]:
    return [rows.numpy().tolist() for _, rows in dataset]


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_batches_come_in_the_plans_order_whatever_the_threads_do(workers: int) -> None:
    # early batches take longest, so that threads would overtake each other if they could
    stream = build_stream(workers, delay=lambda rows: 0.02 if rows[0] % 2 else 0.0)
    assert rows_of(stream.dataset()) == [batch.tolist() for batch in stream.plan.batches]


def test_the_dataset_is_as_wide_as_planned_and_says_its_length() -> None:
    stream = build_stream()
    dataset = stream.dataset()
    assert dataset.cardinality().numpy() == len(stream) == 10
    assert [mask.shape[1] for mask, _ in dataset] == stream.plan.widths.tolist()
    assert dataset.element_spec[0].shape.as_list() == [None, None]


def test_the_padding_share_is_the_mean_over_epochs_and_no_two_plans_are_kept() -> None:
    made: list[weakref.ref] = []
    alive = []

    def plan(epoch):
        alive.append(sum(other() is not None for other in made))
        planned = plan_batches(LENGTHS, 4, seed=1, epoch=epoch, group_lengths=False)
        made.append(weakref.ref(planned))
        return planned

    shares = [plan(epoch).padding_share for epoch in range(6)]
    assert len(set(shares)) > 1
    alive.clear()
    share = BatchStream(plan, dict, {}, dict).compute_padding_share(6)
    assert share == pytest.approx(np.mean(shares), rel=1e-12)
    # the stream holds the first epoch's
    assert max(alive) <= 2


def test_each_pass_goes_through_the_plan_of_the_epoch_that_was_set() -> None:
    stream = build_stream()
    dataset = stream.dataset()
    seen = []
    for epoch in (0, 3, 0):
        stream.epoch = epoch
        seen.append(rows_of(dataset))
        assert seen[-1] == [batch.tolist() for batch in plan_batches(LENGTHS, 4, seed=1, epoch=epoch).batches]
    assert seen[0] == seen[2] != seen[1]


def test_any_step_can_be_reached_by_itself() -> None:
    stream = build_stream()
    stream.epoch = 2
    expected = rows_of(stream.dataset())
    assert [stream.batch(step)["row"].tolist() for step in reversed(range(10))] == expected[::-1]


def _fail_late(rows):
    if rows[0] % 2:
        raise DamagedError("disk gone")
    return 0


@pytest.mark.parametrize("is_trained", [False, True], ids=["alone", "under fit"])
def test_an_error_in_a_worker_is_raised_as_it_is(is_trained: bool) -> None:
    stream = build_stream(delay=_fail_late)
    model = keras.Sequential([keras.layers.Lambda(lambda x: keras.ops.sum(x, 1, keepdims=True))])
    model.compile(loss="mse")
    with pytest.raises(DamagedError, match=r"^disk gone"), stream.raising_own_errors():
        model.fit(stream.dataset(), verbose=0) if is_trained else rows_of(stream.dataset())


def test_tensorflows_own_error_stays_what_it_is() -> None:
    stream = build_stream()
    with pytest.raises(tf.errors.OutOfRangeError), stream.raising_own_errors():
        raise tf.errors.OutOfRangeError(None, None, "the end")


class _Seen(keras.layers.Layer):
    """Passes its input on and writes down what it saw in training."""

    def __init__(self):
        super().__init__()
        self.batches: list[list[float]] = []
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, mask):
        tf.py_function(lambda m: self.batches.append(m.numpy().sum(1).tolist()), [mask], [])
        return tf.reduce_sum(mask, 1, keepdims=True) * self.scale

    def compute_output_spec(self, mask):
        return keras.KerasTensor((mask.shape[0], 1))


@pytest.mark.parametrize("initial_epoch", [0, 2])
def test_fit_sees_every_epochs_own_plan(initial_epoch: int) -> None:
    stream = build_stream()
    layer = _Seen()
    inputs = keras.Input((None,))
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    model.fit(
        stream.dataset(), epochs=4, initial_epoch=initial_epoch, verbose=0, callbacks=[EpochSetter(stream)]
    )
    expected = []
    for epoch in range(initial_epoch, 4):
        plan = plan_batches(LENGTHS, 4, seed=1, epoch=epoch)
        expected += [LENGTHS[batch].tolist() for batch in plan.batches]
    assert layer.batches == expected
