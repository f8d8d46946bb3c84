"""Caches a frozen net's features of a split, which do not change while only the head is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasft.data.cache import ArrayCache, build_cache
from kerasft.files import compute_fingerprint
from kerasft.models.forward import compute_model_fingerprint, make_forward
from kerasft.progress import Progress


@dataclass(frozen=True)
class FeatureStore:
    """Where a split's features are kept.

    Attributes:
        split: its name.
        folder: for what is worked out once.
        fingerprint: of the examples as the net takes them.
        progress: where to report.
    """

    split: str
    folder: Path
    fingerprint: str
    progress: Progress

    def keep(
        self,
        extractor: keras.Model,
        count: int,
        unit: str,
        compute: Callable[[Callable[[Any], Any], range], np.ndarray],
        *,
        rows_at_once: int,
    ) -> ArrayCache:
        """The features, from the folder if they are there for these examples, this net and these weights.

        Args:
            extractor: the frozen net, from inputs to features.
            count: how many examples there are.
            unit: what they are, for people.
            compute: (the net's inference, which examples) → float32 (rows, …).
            rows_at_once: how many examples `compute` is asked for.

        Returns:
            A cache with the column `features`, a row an example.
        """
        forward = make_forward(extractor)

        def chunks() -> Iterator[dict[str, np.ndarray]]:
            with self.progress.bar(f"Features of {self.split}", count, unit) as bar:
                for start in range(0, count, rows_at_once):
                    rows = range(start, min(start + rows_at_once, count))
                    yield {"features": compute(forward, rows)}
                    bar.advance(len(rows))

        known = compute_fingerprint([self.fingerprint, compute_model_fingerprint(extractor)])
        return build_cache(self.folder / f"{self.split}.features", known, chunks(), self.progress)
