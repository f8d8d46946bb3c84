"""Seconds that entities' figures take, with intervals: python benchmarks/entity_metrics.py [SENTENCES] [RESAMPLES]"""

from __future__ import annotations

import random
import sys
import time

from kerasft.metrics.entities import measure_entities

TYPES = ("LOC", "ORG", "PER")


def draw(sentences: int, seed: int) -> list[list[tuple[int, int, int]]]:
    """Up to two entities a sentence of 20 words."""
    chance = random.Random(seed)
    drawn = []
    for _ in range(sentences):
        starts = sorted(chance.sample(range(0, 18, 3), chance.randint(0, 2)))
        drawn.append(
            [(start, start + chance.randint(1, 2), chance.randrange(len(TYPES))) for start in starts]
        )
    return drawn


def main(sentences: int = 100_000, resamples: int = 1000) -> None:
    gold, predicted = draw(sentences, 0), draw(sentences, 1)
    start = time.perf_counter()
    measure_entities(gold, predicted, TYPES, bootstrap_samples=resamples)
    print(f"{sentences:,} sentences, {resamples:,} resamples: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
