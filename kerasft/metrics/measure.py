"""What is made of a split's answers: its figures, and those of resamples of its examples, by one definition each."""

from __future__ import annotations

import abc
from collections.abc import Mapping

import numpy as np

from kerasft.metrics.bootstrap import iterate_resample_counts


class Measure(abc.ABC):
    """The figures of some examples, and of resamples of them.

    Attributes:
        values: each figure's value by name, float64 of no axes; NaN where these examples leave it undefined.
        order: int64 (examples,), the examples' numbers in the order in which `resample` takes how often they count.
    """

    values: Mapping[str, np.ndarray]
    order: np.ndarray

    def __len__(self) -> int:
        """Examples."""
        return len(self.order)

    @abc.abstractmethod
    def resample(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """The figures of resamples.

        Args:
            counts: float64 (resamples, examples), how often each example counts, by `order`.

        Returns:
            float64 (resamples,) each, by name: all of `values`, and what else intervals need.
        """

    def draw(self, samples: int, seed: int) -> dict[str, np.ndarray]:
        """Each figure of each of some resamples, float64 (samples,)."""
        blocks = [self.resample(counts) for counts in iterate_resample_counts(len(self), samples, seed)]
        return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
