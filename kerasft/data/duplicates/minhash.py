"""MinHash signatures of n-gram sets, and their Jaccard similarity.

Source: Broder 1997, "On the resemblance and containment of documents"; Dahlgaard, Knudsen and Thorup 2017, "Fast
similarity sketching", arXiv:1704.04370, for signatures of which one pass fills many places; Li and König 2010, "b-bit
minwise hashing", for the sketches.
"""

from __future__ import annotations

import numpy as np

BANDS = 32
ROWS_PER_BAND = 3
"""A pair of similarity s meets in a bucket with probability 1 - (1 - s³)³²: 0.91 at 0.42, 0.99 at 0.52."""
HASHES = BANDS * ROWS_PER_BAND
SKETCH_BITS = 4
"""A sketch holds some bits of each hash: enough to drop most chance meetings without reading the texts."""
SKETCH_WORDS = SKETCH_BITS * HASHES // 32

_MIX = np.uint32(0x9E3779B1)
_ROUNDS = 16
_CHUNK = 1 << 16
_NOTHING = np.uint32(0xFFFFFFFF)


def compute_signatures(grams: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """MinHash signatures, folded.

    Args:
        grams: uint32 (grams,), hashes of n-grams, text after text.
        starts: int64 (texts + 1,), where each text's begin; none is empty.

    Returns:
        bands: uint32 (BANDS, texts), equal where all hashes of the band are.
        sketches: uint32 (texts, SKETCH_WORDS), some bits of each hash: its first bits, then its second, and so on.
    """
    least = _compute_least(grams, starts)
    bands = np.zeros((BANDS, len(least)), np.uint32)
    for row in range(ROWS_PER_BAND):
        bands ^= least[:, row::ROWS_PER_BAND].T
        bands *= _MIX
        bands ^= bands >> np.uint32(15)
    spread = least * np.uint32(0xC2B2AE35)
    bits = [spread >> np.uint32(31 - bit) & np.uint32(1) for bit in range(SKETCH_BITS)]
    packed = np.packbits(np.stack(bits, axis=1).astype(bool), axis=2)
    return bands, packed.reshape(len(least), -1).view(np.uint32)


def _compute_least(grams: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """uint32 (texts, HASHES): of two texts, as many places are equal as their similarity says.

    In each round every n-gram falls to one place of its text at random, and a place that had nothing before keeps its
    least. A text of a thousand n-grams is done after one round. Places that are empty after all rounds, as those of
    texts of a few n-grams are, get the least of all the text's n-grams.
    """
    least = np.full((len(starts) - 1, HASHES), _NOTHING)
    lengths = np.diff(starts)
    texts = np.arange(len(lengths))
    for number in range(_ROUNDS):
        found = _find_least(grams, lengths, number)
        own = least[texts]
        least[texts] = np.where(own == _NOTHING, found, own)
        open_texts = (least[texts] == _NOTHING).any(axis=1)
        if not open_texts.any():
            return least
        grams = grams[np.repeat(open_texts, lengths)]
        texts, lengths = texts[open_texts], lengths[open_texts]
    firsts = np.cumsum(lengths) - lengths
    for place in range(HASHES):
        empty = least[texts, place] == _NOTHING
        if empty.any():
            hashed = np.minimum.reduceat(_mix(grams, _ROUNDS + place), firsts)
            least[texts[empty], place] = hashed[empty]
    return least


def _find_least(grams: np.ndarray, lengths: np.ndarray, number: int) -> np.ndarray:
    """uint32 (texts, HASHES): the least of the n-grams that fall to each place in one round.

    Args:
        grams: uint32 (grams,), text after text.
        lengths: int64 (texts,), how many are each text's.
        number: the round's.
    """
    found = np.full((len(lengths), HASHES), _NOTHING)
    ends = np.cumsum(lengths)
    firsts = np.arange(len(lengths)) * HASHES
    for start in range(0, len(grams), _CHUNK):
        hashed = _mix(grams[start : start + _CHUNK], number)
        places = ((hashed >> np.uint32(16)) * np.uint32(HASHES) >> np.uint32(16)).astype(np.intp)
        inside = np.diff(np.clip(ends, start, start + len(hashed)), prepend=start)
        places += np.repeat(firsts, inside)
        hashed *= _MIX
        np.minimum.at(found.reshape(-1), places, hashed)
    return found


def _mix(grams: np.ndarray, number: int) -> np.ndarray:
    """uint32: one of many hashes of each n-gram."""
    hashed = grams ^ np.uint32(number * 0x85EBCA6B & 0xFFFFFFFF)
    for multiplier in (0x7FEB352D, 0x846CA68B):
        hashed *= np.uint32(multiplier)
        hashed ^= hashed >> np.uint32(15)
    return hashed


def estimate_similarity(sketches: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float32 (pairs,): an unbiased estimate of Jaccard similarity with a standard deviation of about 0.05.

    Args:
        sketches: uint32 (texts, SKETCH_WORDS).
        first: int (pairs,), texts.
        second: int (pairs,), texts.
    """
    different = (sketches[first] ^ sketches[second]).reshape(len(first), SKETCH_BITS, -1)
    share = np.bitwise_count(np.bitwise_or.reduce(different, axis=1)).sum(axis=1, dtype=np.float32) / HASHES
    return 1 - share / np.float32(1 - 2.0**-SKETCH_BITS)


def compute_jaccard(
    grams: np.ndarray, starts: np.ndarray, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """float32 (pairs,): |A ∩ B| / |A ∪ B| of the n-gram sets of texts `first` and `second`.

    Args:
        grams: uint32 (grams,), text after text.
        starts: int64 (texts + 1,), where each text's begin.
        first: int (pairs,), texts.
        second: int (pairs,), texts.
    """
    lengths = np.diff(starts)
    texts = np.repeat(np.arange(len(lengths), dtype=np.uint64), lengths)
    unique = sort_distinct(texts << np.uint64(32) | grams)
    sizes = np.bincount((unique >> np.uint64(32)).astype(np.int64), minlength=len(lengths))
    begins = np.concatenate(([0], np.cumsum(sizes)))
    both = np.concatenate([_gather(unique, begins, sizes, side) for side in (first, second)])
    both.sort()
    shared_pairs = (both[1:][both[1:] == both[:-1]] >> np.uint64(32)).astype(np.int64)
    shared = np.bincount(shared_pairs, minlength=len(first))
    return (shared / (sizes[first] + sizes[second] - shared)).astype(np.float32)


def sort_distinct(values: np.ndarray) -> np.ndarray:
    """The different values, rising; sorts in place. (`np.unique` hashes, which is several times slower here.)"""
    values.sort()
    keep = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=keep[1:])
    return values[keep]


def _gather(unique: np.ndarray, begins: np.ndarray, sizes: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """uint64: `pair << 32 | gram` for each n-gram of each pair's text."""
    counts = sizes[texts]
    pairs = np.repeat(np.arange(len(texts), dtype=np.uint64), counts)
    ends = np.cumsum(counts)
    places = np.arange(ends[-1]) + np.repeat(begins[texts] - ends + counts, counts)
    return pairs << np.uint64(32) | (unique[places] & np.uint64(0xFFFFFFFF))
