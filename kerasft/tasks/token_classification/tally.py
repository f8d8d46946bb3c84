"""Collects the entities that a model found in a split: spans, tags and log-loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from kerasft.metrics.entities import measure_entities
from kerasft.metrics.tally import Tally
from kerasft.plots.label_figures import build_label_figures_figure
from kerasft.tasks.token_classification.spans import Gold, Scores, TagSet

Span = tuple[int, int, int]
"""(start, end, type), in characters; types by number."""


class _Text(NamedTuple):
    """What is kept of a text."""

    entities: tuple[Span, ...]
    predicted: list[Span]
    right_tags: int
    tags: int
    log_loss: float
    """Of all its tags, nats."""


class EntityTally(Tally):
    """Entities and tags of a split's texts.

    Args:
        tag_set: the model's.
        constrained: whether only legal sequences of tags are answered.
    """

    def __init__(self, tag_set: TagSet, *, constrained: bool):
        self._tag_set, self._constrained = tag_set, constrained
        self._texts: dict[int, _Text] = {}

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, numbers: Sequence[int], outputs: Sequence[Scores], references: Sequence[Gold]) -> None:
        decoded = self._tag_set.decode(outputs, constrained=self._constrained)
        for number, scores, gold, (tags, entities) in zip(numbers, outputs, references, decoded, strict=True):
            of_gold = scores.log_probabilities[np.arange(len(gold.tags)), gold.tags]
            self._texts[number] = _Text(
                gold.entities,
                [(one.start, one.end, one.type) for one in entities],
                int((tags == gold.tags).sum()),
                len(gold.tags),
                -float(of_gold.sum(dtype=np.float64)),
            )

    def merge(self, other: Tally) -> None:
        assert isinstance(other, EntityTally)
        self._texts |= other._texts

    def compute_figures(self, *, bootstrap_samples: int = 0, seed: int = 0) -> dict[str, Any]:
        texts = [self._texts[number] for number in sorted(self._texts)]
        return measure_entities(
            [text.entities for text in texts],
            [text.predicted for text in texts],
            self._tag_set.types,
            token_hits=np.array([(text.right_tags, text.tags) for text in texts]),
            token_log_losses=np.array([text.log_loss for text in texts]),
            bootstrap_samples=bootstrap_samples,
            seed=seed,
        )

    def draw(self) -> dict[str, Any]:
        figures, types = self.compute_figures(), self._tag_set.types

        def column(name: str) -> np.ndarray:
            return np.array([figures.get(f"{name}/{label}", {"value": np.nan})["value"] for label in types])

        figure = build_label_figures_figure(column("precision"), column("recall"), column("support"), types)
        return {"entities": figure}
