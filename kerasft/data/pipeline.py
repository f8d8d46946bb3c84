"""A tf.data.Dataset of planned batches: random access underneath, so any step of any epoch can be reached at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import fmean

import numpy as np

from kerasft.data.batching import BatchPlan
from kerasft.data.feed import BatchMoment


class BatchStream:
    """Batches of one epoch after another, as a `tf.data.Dataset` of known cardinality.

    `fit` iterates the same dataset once an epoch; which epoch's plan it gets is `epoch`, set by the callback
    `EpochSetter` (or by hand) before each pass.

    Args:
        plan: epoch → its `BatchPlan`; every epoch has as many steps.
        collate: (indices int64 (batch,), width, moment) → `{name: array}`; pure.
        signature: `{name: tf.TensorSpec}` of what `collate` returns.
        outputs: splits a batch as `fit` wants it, such as `(inputs, labels)`; part of the graph.
        workers: batches put together at once.
    """

    def __init__(
        self,
        plan: Callable[[int], BatchPlan],
        collate: Callable[[np.ndarray, int, BatchMoment], Mapping[str, np.ndarray]],
        signature: Mapping,
        outputs: Callable,
        workers: int = 2,
    ):
        self.plan_of = plan
        self._collate = collate
        self._signature = dict(signature)
        self._outputs = outputs
        self._workers = workers
        self._epoch, self._start = 0, 0
        self._plan = plan(0)
        self._failure: Exception | None = None

    def __len__(self) -> int:
        return len(self._plan)

    @property
    def epoch(self) -> int:
        """The epoch that the next pass over the dataset goes through."""
        return self._epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        if epoch != self._epoch:
            self.seek(epoch, 0)

    def seek(self, epoch: int, step: int) -> None:
        """Goes to a step of an epoch: the next pass begins there, those of other epochs at their beginning.

        That pass still counts as many batches as all others, which `fit` relies on; whoever drives it draws
        `len(self) - step` of them.
        """
        self._epoch, self._start, self._plan = epoch, step, self.plan_of(epoch)

    @property
    def plan(self) -> BatchPlan:
        """The plan of `epoch`."""
        return self._plan

    def compute_padding_share(self, epochs: int) -> float:
        """Padded positions as a share of all positions, in [0, 1): the mean over the first epochs."""
        return fmean(self.plan_of(epoch).padding_share for epoch in range(epochs))

    def batch(self, step: int) -> dict[str, np.ndarray]:
        """The arrays of one step of the current epoch."""
        rows, width = self._plan.batches[step], int(self._plan.widths[step])
        return dict(self._collate(rows, width, BatchMoment(self._epoch, step)))

    def pick(self, steps: Sequence[int]) -> BatchStream:
        """A stream of some steps of the current epoch, in the order given, the same in all of its epochs."""
        batches, widths = (tuple(self._plan.batches[step] for step in steps), self._plan.widths[list(steps)])
        plan = BatchPlan(batches, widths, self._plan.padding_share)
        return BatchStream(lambda epoch: plan, self._collate, self._signature, self._outputs, self._workers)

    @contextmanager
    def raising_own_errors(self) -> Iterator[None]:
        """Around passes over `dataset`: an error in `collate` is raised as it is, not as TensorFlow's about it."""
        import tensorflow as tf

        self._failure = None
        try:
            yield
        except tf.errors.OpError as error:
            if self._failure is None:
                raise
            raise self._failure from error

    def dataset(self):
        """The `tf.data.Dataset`: as many batches as the plan has steps, in its order, whatever the threads do."""
        import tensorflow as tf

        names, steps = list(self._signature), len(self)

        def load(step):
            # past the end come batches that a resumed pass never draws
            try:
                batch = self.batch(min(int(step) + self._start, steps - 1))
            except Exception as error:
                self._failure = self._failure or error
                raise
            return tuple(np.asarray(batch[name]) for name in names)

        def graph_load(step):
            specs = [self._signature[name] for name in names]
            arrays = tf.numpy_function(load, [step], [spec.dtype for spec in specs], stateful=False)
            for array, spec in zip(arrays, specs, strict=True):
                array.set_shape(spec.shape)
            return self._outputs(dict(zip(names, arrays, strict=True)))

        dataset = tf.data.Dataset.range(steps).map(
            graph_load, num_parallel_calls=self._workers, deterministic=True
        )
        # Nothing here is left to be tuned, and the thread that tunes sleeps ever longer, up to 41, then 60 s: whoever
        # lets go of an iterator may wait until it wakes.
        options = tf.data.Options()
        options.autotune.enabled = False
        return dataset.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2).with_options(options)
