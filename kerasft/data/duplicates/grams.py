"""Character n-grams of normalised texts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from kerasft.data.duplicates.normalization import NormalizedTexts

GRAM_WEIGHT = 5
"""An n-gram is the shortest run of characters of this weight, where a letter weighs 1, a syllabic sign 2, an
ideograph 3: five letters, three kana or Hangul syllables, two ideographs, which all say about as much."""
LONG_GRAM_WEIGHT = 25
"""Of documents: about five words. Long texts of one language have most of its shorter n-grams in common."""

_MULTIPLIER = 0x9E3779B97F4A7C15
_CHUNK = 1 << 15


class Windows(NamedTuple):
    """Runs of characters of one weight."""

    hashes: np.ndarray
    """uint64 (windows,), equal where the characters are."""
    begins: np.ndarray
    """int64 (windows,): where each begins among all characters."""
    ends: np.ndarray
    """int64 (windows,)."""


def compute_grams(texts: NormalizedTexts, weight: int = GRAM_WEIGHT) -> tuple[np.ndarray, np.ndarray]:
    """Hashes every n-gram; a text too short for one is one n-gram as a whole.

    Args:
        texts: normalised.
        weight: of an n-gram.

    Returns:
        grams: uint32 (grams,), text after text.
        starts: int64 (texts + 1,), where each text's begin.
    """
    hashes = [np.empty(0, np.uint32)]
    starts = np.zeros(len(texts.starts), np.int64)
    for windows in iterate_windows(texts, weight, keeps_short=True):
        starts += np.searchsorted(windows.begins, texts.starts)
        hashes.append((windows.hashes >> np.uint64(32)).astype(np.uint32))
    return np.concatenate(hashes), starts


def iterate_windows(texts: NormalizedTexts, weight: int, *, keeps_short: bool = False) -> Iterator[Windows]:
    """All n-grams of some texts, from the first to the last, in parts that need little memory.

    Args:
        texts: normalised.
        weight: of an n-gram.
        keeps_short: whether a text too short for an n-gram is one as a whole; by default it has none.
    """
    codes, kinds, starts = texts
    plain = bool((kinds == 1).all())
    for first in range(0, len(codes), _CHUNK):
        last = min(first + _CHUNK, len(codes))
        stop = min(last + weight, len(codes))
        begins = np.arange(first, last)
        if plain:
            ends = begins + weight
        else:
            weights = np.cumsum(kinds[first:stop], dtype=np.int64)
            before = weights[: last - first] - kinds[first:last]
            ends = first + 1 + np.searchsorted(weights, before + weight)
        limits, inside = _find_limits(starts, first, last)
        whole = ends <= limits
        if keeps_short:
            short = inside[~whole[inside]]
            ends[short], whole[short] = limits[short], True
        if not whole.all():
            begins, ends = begins[whole], ends[whole]
        yield Windows(_hash_runs(codes[first:stop], begins - first, ends - first), begins, ends)


def _find_limits(starts: np.ndarray, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """For each place of a part, where its text ends; and which places of the part are the first of a text."""
    text = int(np.searchsorted(starts, first, side="right")) - 1
    stop = int(np.searchsorted(starts, last, side="left"))
    bounds = np.clip(starts[text : stop + 1], first, last)
    begun = starts[text:stop]
    return np.repeat(starts[text + 1 : stop + 1], np.diff(bounds)), begun[begun >= first] - first


def _hash_runs(codes: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """uint64: of each run of characters, Σ mixed(codeⱼ)·mʲ with j counted from its first, mixed again (Rabin and Karp).

    Source: Karp and Rabin 1987, "Efficient randomized pattern-matching algorithms".
    """
    powers, inverses = _build_powers(len(codes))
    terms = (codes + np.uint64(1)) * np.uint64(0xD6E8FEB86659FD93)
    terms ^= terms >> np.uint64(32)
    terms *= powers[: len(codes)]
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(terms, out=sums[1:])
    hashes = sums[ends]
    hashes -= sums[begins]
    hashes *= inverses[begins]
    hashes ^= hashes >> np.uint64(32)
    hashes *= np.uint64(0xD6E8FEB86659FD93)
    hashes ^= hashes >> np.uint64(32)
    return hashes


@lru_cache(maxsize=1)
def _build_tables(size: int) -> tuple[np.ndarray, np.ndarray]:
    def multiply(factor: int) -> np.ndarray:
        values = np.full(size, factor % 2**64, np.uint64)
        values[0] = 1
        return np.cumprod(values)

    return multiply(_MULTIPLIER), multiply(pow(_MULTIPLIER, -1, 2**64))


def _build_powers(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Powers of the multiplier modulo 2⁶⁴ and of its inverse, at least so many."""
    return _build_tables(max(size, _CHUNK + 256))
