"""Tag sequences at random: unbroken and broken, and predictions that are right now and then."""

from __future__ import annotations

import random

from kerasft.text.spans.tagging_schemes import list_tags, write_tags

TYPES = ["PER", "LOC", "A-B"]


def draw_spans(source: random.Random, words: int) -> list[tuple[int, int, str]]:
    """Spans that may touch each other."""
    spans, place = [], 0
    while place < words:
        place += source.choice([0, 0, 1, 3])
        end = place + source.choice([1, 1, 2, 3])
        if end <= words:
            spans.append((place, end, source.choice(TYPES)))
        place = end
    return spans


def change_spans(source: random.Random, spans, words: int) -> list[tuple[int, int, str]]:
    """Some left out, some of another type, some shorter."""
    changed = []
    for start, end, name in spans:
        match source.randrange(6):
            case 0:
                continue
            case 1:
                changed.append((start, end, source.choice(TYPES)))
            case 2:
                changed.append((start, max(start + 1, end - 1), name))
            case _:
                changed.append((start, end, name))
    return changed


def draw_tags(scheme: str, count: int, *, legal: bool) -> tuple[list[list[str]], list[list[str]]]:
    """Gold and predicted tags of sentences; broken ones have about every third tag drawn at random."""
    source = random.Random(f"{scheme} {legal}")
    names = list_tags(TYPES, scheme)
    gold, predicted = [], []
    for _ in range(count):
        words = source.randint(1, 12)
        spans = draw_spans(source, words)
        for side, held in ((gold, spans), (predicted, change_spans(source, spans, words))):
            tags = write_tags(held, words, scheme)
            if not legal:
                tags = [source.choice(names) if source.random() < 0.3 else tag for tag in tags]
            side.append(tags)
    return gold, predicted
