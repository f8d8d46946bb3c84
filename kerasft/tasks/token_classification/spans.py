"""From a model's outputs for the units of a text to entities."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from kerasft.text.spans.tagging_schemes import TagRules, build_tag_rules, find_spans, list_tags
from kerasft.text.spans.viterbi import decode_greedily, decode_viterbi


class Scores(NamedTuple):
    """A model's output on one text."""

    places: np.ndarray
    """int32 (units, 2): where each begins and ends, in characters."""
    log_probabilities: np.ndarray
    """float32 (units, tags)."""


class Gold(NamedTuple):
    """What is true of one text."""

    tags: np.ndarray
    """int32 (units,): the number of each one's tag."""
    entities: tuple[tuple[int, int, int], ...]
    """(start, end, type), in characters; types by number."""


class Entity(NamedTuple):
    """An entity that a model found."""

    start: int
    """In characters."""
    end: int
    """The first character past it."""
    type: int
    """Its number."""
    score: float
    """The mean of its units' probabilities of their tags."""


class TagSet:
    """A model's tags: `O`, then `B-` and `I-` of each type.

    Args:
        types: the types' names.
    """

    def __init__(self, types: Sequence[str]):
        self.types = tuple(types)
        self.tags = list_tags(self.types, "IOB2")
        self._numbers = {name: number for number, name in enumerate(self.types)}

    def __len__(self) -> int:
        return len(self.tags)

    @property
    def rules(self) -> TagRules:
        """Which tag may follow which."""
        return build_tag_rules(self.tags, "IOB2")

    def tag_units(self, places: np.ndarray, entities: Iterable[tuple[int, int, int]]) -> np.ndarray:
        """int32 (units,): the tag of each unit that has a character of an entity, and 0 (`O`) for others.

        A unit across an entity's edge belongs to it. Of two entities in one unit the first has it.

        Args:
            places: int (units, 2), in order.
            entities: (start, end, type), in characters, in order.
        """
        tags = np.zeros(len(places), np.int32)
        if not len(places):
            return tags
        for start, end, kind in entities:
            first = int(np.searchsorted(places[:, 1], start, side="right"))
            last = int(np.searchsorted(places[:, 0], end, side="left"))
            free = [unit for unit in range(first, last) if not tags[unit]]
            for place, unit in enumerate(free):
                tags[unit] = 1 + 2 * kind + (place > 0)
        return tags

    def read_tags(self, tags: np.ndarray, places: np.ndarray) -> list[tuple[int, int, int, int, int]]:
        """Of each entity (start, end, type) in characters, and its first unit and the one after its last."""
        spans = find_spans([self.tags[tag] for tag in tags], "IOB2")
        return [
            (int(places[first, 0]), int(places[last - 1, 1]), self._numbers[name], first, last)
            for first, last, name in spans
        ]

    def decode(
        self, outputs: Sequence[Scores], *, constrained: bool
    ) -> list[tuple[np.ndarray, list[Entity]]]:
        """The tags of each text's units, and its entities."""
        if not len(outputs):
            return []
        lengths = np.array([len(scores.places) for scores in outputs])
        answers: list[Any] = [None] * len(outputs)
        order = np.argsort(lengths, kind="stable")
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            padded = np.zeros((len(rows), max(1, lengths[rows].max()), len(self)), np.float32)
            for position, row in enumerate(rows):
                padded[position, : lengths[row]] = outputs[row].log_probabilities
            if constrained:
                tags = decode_viterbi(padded, lengths[rows], self.rules)
            else:
                tags = decode_greedily(padded, lengths[rows])
            for position, row in enumerate(rows):
                found = np.asarray(tags[position, : lengths[row]], np.int32)
                answers[row] = (found, self._find_entities(found, outputs[row]))
        return answers

    def _find_entities(self, tags: np.ndarray, scores: Scores) -> list[Entity]:
        chosen = np.exp(np.take_along_axis(scores.log_probabilities, tags[:, None], 1)[:, 0])
        return [
            Entity(start, end, kind, float(chosen[first:last].mean()))
            for start, end, kind, first, last in self.read_tags(tags, scores.places)
        ]


_BATCH = 256


_CERTAIN = 20.0
"""The logit of O where a model is not asked."""


def answer_units(
    places: np.ndarray,
    windows: np.ndarray,
    positions: np.ndarray,
    logits: Sequence[np.ndarray],
    num_tags: int,
) -> Scores:
    """One text's scores, each from the window that speaks for it.

    Args:
        places: int (units, 2).
        windows: int (units,), which window of the text; -1 for a word of which the tokenizer leaves nothing, which
            is no entity.
        positions: int (units,), where in it.
        logits: of each window of the text, float (tokens, tags).
        num_tags: of the model.
    """
    found = np.zeros((len(places), num_tags), np.float32)
    found[:, 0] = _CERTAIN
    order = np.argsort(windows, kind="stable")
    ends = np.searchsorted(windows[order], np.arange(len(logits) + 1))
    for window, (start, end) in enumerate(itertools.pairwise(ends)):
        chosen = order[start:end]
        found[chosen] = logits[window][positions[chosen]]
    return Scores(places, log_softmax(found))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Over the last axis, float32."""
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))
