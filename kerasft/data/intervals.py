"""A stream's batches in intervals of some steps, whatever its epochs are: for validation within long epochs."""

from __future__ import annotations

import functools
from statistics import fmean

import numpy as np

from kerasft.data.batching import BatchPlan
from kerasft.data.feed import BatchMoment
from kerasft.data.pipeline import BatchStream


class IntervalStream(BatchStream):
    """The same batches, one after another, whose passes are intervals and not epochs.

    Where `fit` and its callbacks speak of epochs they mean intervals; what varies the examples goes by the epochs.

    Args:
        whole: whose passes are epochs.
        steps: of an interval.

    Attributes:
        whole: the same.
    """

    def __init__(self, whole: BatchStream, steps: int):
        self.whole, self._steps = whole, steps
        self._plan_epoch = functools.lru_cache(maxsize=2)(whole.plan_of)
        super().__init__(
            self._plan_interval, whole._collate, whole._signature, whole._outputs, whole._workers
        )

    def locate(self, interval: int, step: int) -> BatchMoment:
        """The epoch, and its step, that a step of an interval is; all from 0."""
        return BatchMoment(*divmod(interval * self._steps + step, len(self.whole)))

    def _plan_interval(self, interval: int) -> BatchPlan:
        moments = [self.locate(interval, step) for step in range(self._steps)]
        batches = tuple(self._plan_epoch(epoch).batches[step] for epoch, step in moments)
        widths = np.array([self._plan_epoch(epoch).widths[step] for epoch, step in moments])
        epochs = sorted({epoch for epoch, _ in moments})
        return BatchPlan(batches, widths, fmean(self._plan_epoch(epoch).padding_share for epoch in epochs))

    def batch(self, step: int) -> dict[str, np.ndarray]:
        rows, width = self.plan.batches[step], int(self.plan.widths[step])
        return dict(self._collate(rows, width, self.locate(self.epoch, step)))
