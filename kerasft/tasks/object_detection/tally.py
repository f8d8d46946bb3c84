"""Collects the boxes that a model found in a split: each picture's are matched as it comes, and little is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasft.metrics.detection.boxes import Detections, GoldBoxes
from kerasft.metrics.detection.curves import (
    WrongPicture,
    choose_threshold,
    compute_curve,
    find_worst_pictures,
)
from kerasft.metrics.detection.error_costs import compute_error_costs
from kerasft.metrics.detection.measure import measure_detections
from kerasft.metrics.detection.table import MatchTable, join_tables, match_pictures
from kerasft.metrics.tally import Figure, Tally
from kerasft.plots.detection_curves import (
    build_confidence_figure,
    build_error_costs_figure,
    build_precision_recall_figure,
)


class DetectionTally(Tally):
    """The matches of a split's pictures: 34 bytes a detection and 17 a gold box; see `MatchTable`.

    Args:
        label_names: the classes.
        threshold: the model's, from which score on a detection counts for precision, recall, F1 and the numbers of
            errors; without one, as before it is chosen, these are left out.
    """

    def __init__(self, label_names: Sequence[str], threshold: float | None = None):
        self._label_names, self._threshold = tuple(label_names), threshold
        self._tables: list[MatchTable] = []
        self._whole: MatchTable | None = None

    def __len__(self) -> int:
        return sum(len(table.numbers) for table in self._tables)

    def add(
        self, numbers: Sequence[int], outputs: Sequence[Detections], references: Sequence[GoldBoxes]
    ) -> None:
        """Takes some pictures in; detections of all scores that may count, not only those above the threshold."""
        if len(numbers):
            self._tables.append(match_pictures(references, outputs, numbers))
            self._whole = None

    def merge(self, other: Tally) -> None:
        assert isinstance(other, DetectionTally)
        self._tables += other._tables
        self._whole = None

    def join(self) -> MatchTable:
        """All matches, by the pictures' numbers."""
        if self._whole is None:
            self._whole = join_tables(self._tables)
            self._tables = [self._whole]
        return self._whole

    def compute_figures(self, *, bootstrap_samples: int = 0, seed: int = 0) -> dict[str, Figure]:
        return measure_detections(
            self.join(),
            self._label_names,
            threshold=self._threshold,
            bootstrap_samples=bootstrap_samples,
            seed=seed,
        )

    def choose_threshold(self) -> float | None:
        """The threshold with the best F1; None where no detection is right."""
        return choose_threshold(self.join())

    def find_worst_pictures(self, threshold: float | None = None) -> list[WrongPicture]:
        """The pictures with errors, the worst first; see `kerasft.metrics.detection.curves.find_worst_pictures`.

        Args:
            threshold: by default the tally's, else that of the best F1 here, else 0.
        """
        table = self.join()
        chosen = self._threshold if threshold is None else threshold
        return find_worst_pictures(table, chosen if chosen is not None else choose_threshold(table) or 0.0)

    def draw(self) -> dict[str, Any]:
        table, names = self.join(), self._label_names
        support = np.bincount(table.gold_labels, minlength=len(names))
        curves = [compute_curve(table, label) for label in range(len(names))]
        threshold = self._threshold if self._threshold is not None else choose_threshold(table)
        drawn = {
            "precision_recall": build_precision_recall_figure(curves, support, names),
            "confidence": build_confidence_figure(compute_curve(table), threshold),
        }
        costs = compute_error_costs(table, len(names))
        return drawn | ({"errors": build_error_costs_figure(costs)} if costs else {})
