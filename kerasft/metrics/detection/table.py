"""What is kept of a split's pictures: a few bytes of each detection and of each gold box, in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kerasft.errors import DataError
from kerasft.metrics.detection.boxes import Detections, GoldBoxes
from kerasft.metrics.detection.matching import OVERLAPS, PictureMatches, match_picture


class MatchTable(NamedTuple):
    """The matches of P pictures, with D detections and G gold boxes in all; see `PictureMatches` of most columns.

    A detection takes 34 bytes, a gold box 17.
    """

    numbers: np.ndarray
    """int64 (P,): which of the split's pictures they are."""
    pictures: np.ndarray
    """int32 (D,): the place of each detection's picture in `numbers`, ascending."""
    scores: np.ndarray
    labels: np.ndarray
    ranks: np.ndarray
    right: np.ndarray
    ignored: np.ndarray
    kinds: np.ndarray
    mended: np.ndarray
    gold_pictures: np.ndarray
    """int32 (G,), ascending."""
    gold_labels: np.ndarray
    gold_sizes: np.ndarray
    found: np.ndarray
    near: np.ndarray


_FIELDS = MatchTable._fields
_OF_DETECTIONS = _FIELDS[_FIELDS.index("scores") : _FIELDS.index("gold_pictures")]
_OF_GOLD = _FIELDS[_FIELDS.index("gold_pictures") + 1 :]


def match_pictures(
    gold: Sequence[GoldBoxes], found: Sequence[Detections], numbers: Sequence[int] | None = None
) -> MatchTable:
    """Matches the detections of some pictures with what is true of them.

    Args:
        gold: of each picture what is true.
        found: of the same pictures, in the same order, what the model says.
        numbers: which of the split's pictures they are; by default 0, 1, …

    Raises:
        ValueError: their numbers differ, or there are no pictures.
    """
    places = range(len(gold)) if numbers is None else numbers
    if not len(gold) == len(found) == len(places) or not len(gold):
        raise ValueError(
            f"expected gold boxes, detections and numbers of the same pictures, one at least, "
            f"got {len(gold)}, {len(found)} and {len(places)}"
        )
    matches = [match_picture(*pair) for pair in zip(gold, found, strict=True)]

    def join(name: str) -> np.ndarray:
        return np.concatenate([_get(match, name) for match in matches])

    places_of = np.arange(len(matches), dtype=np.int32)
    return MatchTable(
        numbers=np.array(places, np.int64),
        pictures=np.repeat(places_of, [len(match.scores) for match in matches]),
        gold_pictures=np.repeat(places_of, [len(match.gold_labels) for match in matches]),
        **{name: join(name) for name in (*_OF_DETECTIONS, *_OF_GOLD)},
    )


def _get(match: PictureMatches, name: str) -> np.ndarray:
    return getattr(match.errors if name in match.errors._fields else match, name)


def join_tables(tables: Sequence[MatchTable]) -> MatchTable:
    """One table of all pictures, by their numbers; each number comes once.

    Raises:
        DataError: there are no tables.
    """
    if not tables:
        raise DataError("there are no pictures to measure", fix="Give a split that has at least one example.")
    numbers = np.concatenate([table.numbers for table in tables])
    order = np.argsort(numbers, kind="stable")
    places = np.empty(len(order), np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    starts = np.cumsum([0, *(len(table.numbers) for table in tables)])

    def sort(key: str, names: Sequence[str]) -> dict[str, np.ndarray]:
        of_picture = np.concatenate(
            [places[getattr(table, key) + start] for table, start in zip(tables, starts, strict=False)]
        )
        in_order = bool((of_picture[1:] >= of_picture[:-1]).all())
        by_picture = slice(None) if in_order else np.argsort(of_picture, kind="stable")
        joined = {}
        for name in (key, *names):
            column = of_picture if name == key else np.concatenate([getattr(table, name) for table in tables])
            joined[name] = column[by_picture]
        return joined

    return MatchTable(
        numbers=numbers[order],
        **sort("pictures", _OF_DETECTIONS),
        **sort("gold_pictures", _OF_GOLD),
    )


def read_bit(bits: np.ndarray, size: int, overlap: int) -> np.ndarray:
    """Whether the bit of a size and an overlap is set, bool (…)."""
    return bits & np.uint64(1 << (len(OVERLAPS) * size + overlap)) != 0
