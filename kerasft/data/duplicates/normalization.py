"""Normalises texts for comparison: case, spaces, punctuation and width do not count."""

from __future__ import annotations

import functools
import hashlib
import itertools
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SEPARATOR, ALPHABETIC, SYLLABIC, IDEOGRAPHIC = 0, 1, 2, 3
"""What a character is: something between words, or one of which words have about 5, 3 or 2."""

_SYLLABIC = ((0x1100, 0x11FF), (0x3040, 0x30FF), (0x3130, 0x318F), (0x31F0, 0x31FF), (0xAC00, 0xD7FF))
_IDEOGRAPHIC = ((0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
_HIGH_IDEOGRAPHIC = (0x20000, 0x3FFFF)
_TABLE_END = 0x20000
"""Above stand ideographs; and above those tags, variation selectors and private use, which separate."""


_EMPTY = "\x01"


class NormalizedTexts(NamedTuple):
    """Some normalised texts, end to end."""

    codes: np.ndarray
    """uint32 (characters,), code points."""
    kinds: np.ndarray
    """uint8 (characters,), ALPHABETIC (spaces too), SYLLABIC or IDEOGRAPHIC."""
    starts: np.ndarray
    """int64 (texts + 1,): text i is `codes[starts[i]:starts[i + 1]]`; none is empty."""


def normalize_texts(texts: Sequence[str]) -> NormalizedTexts:
    """Normalises texts: NFKC, case folded, each run of punctuation, space and control characters one space between
    words, and none beside an ideograph.

    Symbols (emoji, currency, arithmetic) count as words. A text of punctuation alone keeps it.

    Args:
        texts: without NUL. An empty one, of an optional field, becomes one control character.
    """
    if "" in texts:
        texts = [text or _EMPTY for text in texts]
    joined = "\0".join(texts)
    if joined.isascii():
        joined = joined.lower()
    else:
        joined = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", joined).casefold())
    codes = np.frombuffer(joined.encode("utf-32-le"), np.uint32)
    bounds = np.concatenate(([-1], np.flatnonzero(codes == 0), [len(codes)]))
    firsts = bounds[:-1] + 1
    kinds = compute_kinds(codes)
    empty = np.flatnonzero(np.add.reduceat(kinds != SEPARATOR, firsts, dtype=np.int64) == 0)
    if len(empty):
        kinds = kinds.copy()
        for i in empty:
            kinds[bounds[i] + 1 : bounds[i + 1]] = ALPHABETIC
    return _space(codes, kinds, firsts)


def _space(codes: np.ndarray, kinds: np.ndarray, firsts: np.ndarray) -> NormalizedTexts:
    """Puts one space for each run of separators between words, and none at a text's ends or beside an ideograph.

    Args:
        codes: uint32 (characters,), the texts with a NUL between them.
        kinds: uint8 (characters,).
        firsts: int64 (texts,), where each text begins; none is without words.
    """
    kept = kinds != SEPARATOR
    kept[1:] |= kept[:-1]
    kept[firsts[1:] - 1] = False
    counts = np.add.reduceat(kept, firsts, dtype=np.int64)
    codes, kinds = codes[kept], kinds[kept]
    starts = np.concatenate(([0], np.cumsum(counts)))
    spaces = kinds == SEPARATOR
    dropped = np.zeros(len(kinds), bool)
    dropped[starts[1:] - 1] = spaces[starts[1:] - 1]
    ideographs = kinds == IDEOGRAPHIC
    if ideographs.any():
        dropped[1:] |= spaces[1:] & ideographs[:-1]
        dropped[:-1] |= spaces[:-1] & ideographs[1:]
    codes[spaces], kinds[spaces] = 0x20, ALPHABETIC
    if dropped.any():
        starts[1:] -= np.cumsum(np.add.reduceat(dropped, starts[:-1], dtype=np.int64))
        codes, kinds = codes[~dropped], kinds[~dropped]
    return NormalizedTexts(codes, kinds, starts)


def compute_keys(texts: NormalizedTexts) -> np.ndarray:
    """uint64 (texts,): equal where the normalised texts are."""
    data = texts.codes.data.cast("B")
    bounds = (texts.starts * 4).tolist()
    blake2b = hashlib.blake2b
    digests = [blake2b(data[start:end], digest_size=8).digest() for start, end in itertools.pairwise(bounds)]
    return np.frombuffer(b"".join(digests), np.uint64)


def compute_kinds(codes: np.ndarray) -> np.ndarray:
    """uint8 (characters,): what each character is, SEPARATOR to IDEOGRAPHIC.

    Args:
        codes: unsigned integers (characters,), code points.
    """
    table = _build_table()
    if not len(codes) or int(codes.max()) < _TABLE_END:
        return table[codes]
    kinds = np.where(codes < _TABLE_END, table[np.minimum(codes, _TABLE_END - 1)], np.uint8(SEPARATOR))
    first, last = _HIGH_IDEOGRAPHIC
    kinds[(codes >= first) & (codes <= last)] = IDEOGRAPHIC
    return kinds


@functools.cache
def _build_table() -> np.ndarray:
    """uint8 (131072,): each code point's kind. Letters, marks, digits, currency, arithmetic and other symbols make
    words."""
    table = np.zeros(_TABLE_END, np.uint8)
    for code in range(_TABLE_END):
        category = unicodedata.category(chr(code))
        if category[0] in "LMN" or category in ("Sc", "Sm", "So"):
            table[code] = ALPHABETIC
    for kind, ranges in ((SYLLABIC, _SYLLABIC), (IDEOGRAPHIC, _IDEOGRAPHIC)):
        for first, last in ranges:
            part = table[first : last + 1]
            part[part == ALPHABETIC] = kind
    return table
