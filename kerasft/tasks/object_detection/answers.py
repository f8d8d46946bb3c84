"""A detector's outputs, as they are measured: those that are not quite unsure, at the threshold that came with them."""

from __future__ import annotations

from collections.abc import Sequence

from kerasft.data.feed import Output
from kerasft.metrics.detection.boxes import Detections, GoldBoxes
from kerasft.metrics.tally import Tally
from kerasft.tasks.object_detection.tally import DetectionTally

LEAST_SCORE = 0.01
"""Boxes that are less sure are not measured: they hardly change average precision, and are most of the work."""


def take_detections(output: Output, least_score: float = LEAST_SCORE) -> Detections:
    """What counts of a picture's output."""
    counts = output["scores"] >= least_score
    return Detections(output["boxes"][counts], output["scores"][counts], output["labels"][counts])


class AnswerTally(DetectionTally):
    """The boxes of a split, of outputs as the task's step gives them; each has the model's threshold with it.

    The boxes that reach it are kept, to be drawn.
    """

    def __init__(self, label_names: Sequence[str]):
        super().__init__(label_names)
        self._answers: dict[int, Detections] = {}

    def add(self, numbers: Sequence[int], outputs: Sequence[Output], references: Sequence[GoldBoxes]) -> None:
        for number, output in zip(numbers, outputs, strict=True):
            self._threshold = float(output["threshold"])
            self._answers[number] = take_detections(output, self._threshold)
        super().add(numbers, [take_detections(output) for output in outputs], references)

    def merge(self, other: Tally) -> None:
        super().merge(other)
        assert isinstance(other, AnswerTally)
        self._answers |= other._answers
        if self._threshold is None:
            self._threshold = other._threshold

    def get_answers(self, number: int) -> Detections:
        """The answers to one of the pictures."""
        return self._answers[number]
