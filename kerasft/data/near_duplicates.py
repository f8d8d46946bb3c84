"""Near duplicates among any number of texts: MinHash signatures, locality-sensitive buckets, exact Jaccard at the end.

Texts are compared as sets of character n-grams, so the language does not matter. Time is linear in the number of
texts, and what is kept in memory is a few dozen bytes a text: signatures lie on disk, one file a band.

Source: Broder 1997, "On the resemblance and containment of documents"; Indyk and Motwani 1998 for the banding;
Li and König 2010, "b-bit minwise hashing", for the sketches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kerasft.data.normalization import NormalizedTexts, normalize_texts
from kerasft.progress import Progress, Silent

GRAM_WEIGHT = 5
"""An n-gram is the shortest run of characters of this weight, where a letter weighs 1, a syllabic sign 2, an
ideograph 3: five letters, three kana or Hangul syllables, two ideographs, which all say about as much."""
BANDS = 32
ROWS_PER_BAND = 3
"""A pair of similarity s meets in a bucket with probability 1 - (1 - s³)³²: 0.95 at 0.45, 0.99 at 0.52."""
HASHES = BANDS * ROWS_PER_BAND
SKETCH_WORDS = 2 * HASHES // 32
"""A sketch holds two bits of each hash, to drop most chance meetings without reading the texts."""
SKETCH_MARGIN = 0.17
"""How far below the wanted similarity a sketch's estimate may lie: 2.5 of its standard deviations."""
NEIGHBOURS = 8
"""With how many of its bucket each text is compared, so that a bucket of any size costs linear time."""
MAX_CANDIDATES = 6
"""How many earlier texts a text is compared with in full."""

_MIX = np.uint32(0x9E3779B1)
_CHUNK_PAIRS = 2000


class NearPairs(NamedTuple):
    """Pairs of near duplicates."""

    first: np.ndarray
    """int64 (pairs,), the smaller index."""
    second: np.ndarray
    """int64 (pairs,), the larger."""
    similarity: np.ndarray
    """float32 (pairs,), Jaccard similarity of the two texts' n-gram sets."""


def compute_grams(texts: NormalizedTexts) -> tuple[np.ndarray, np.ndarray]:
    """Hashes every n-gram; a text too short for one is one n-gram as a whole.

    Returns:
        grams: uint32 (grams,), text after text.
        starts: int64 (texts + 1,), where each text's begin.
    """
    codes, kinds, starts = texts
    count = len(codes)
    lengths = np.diff(starts)
    left = np.repeat(starts[1:], lengths) - np.arange(count)
    hashes = np.zeros(count, np.uint32)
    weight = np.zeros(count, np.uint8)
    plain = bool((kinds == 1).all())
    for k in range(GRAM_WEIGHT):
        size = max(count - k, 0)
        mixed = (hashes[:size] ^ (hashes[:size] >> np.uint32(15))) * _MIX + codes[k:] * np.uint32(0x85EBCA6B)
        taken = left[:size] > k
        if not plain:
            taken &= weight[:size] < GRAM_WEIGHT
        hashes[:size] = np.where(taken, mixed, hashes[:size])
        weight[:size] += np.where(taken, kinds[k:], np.uint8(0))
    whole = weight >= GRAM_WEIGHT
    firsts = starts[:-1]
    whole[firsts] = True
    ends = np.cumsum(whole)
    hashes ^= hashes >> np.uint32(16)
    hashes *= np.uint32(0x7FEB352D)
    hashes ^= hashes >> np.uint32(15)
    gram_starts = np.append(ends[firsts] - 1, ends[-1])
    return hashes[whole], gram_starts


def compute_signatures(grams: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """MinHash signatures, folded.

    Returns:
        bands: uint32 (BANDS, texts), equal where all hashes of the band are.
        sketches: uint32 (texts, SKETCH_WORDS), two bits a hash.
    """
    multipliers, offsets = _build_hashes()
    texts = len(starts) - 1
    bands = np.zeros((BANDS, texts), np.uint32)
    bits = np.zeros((2, HASHES, texts), bool)
    hashed = np.empty_like(grams)
    firsts = starts[:-1]
    for h in range(HASHES):
        np.multiply(grams, multipliers[h], out=hashed)
        np.add(hashed, offsets[h], out=hashed)
        least = np.minimum.reduceat(hashed, firsts)
        band = bands[h // ROWS_PER_BAND]
        band ^= least
        band *= _MIX
        band ^= band >> np.uint32(15)
        spread = least * np.uint32(0xC2B2AE35)
        bits[0, h] = spread >> np.uint32(31)
        bits[1, h] = (spread >> np.uint32(30)) & np.uint32(1)
    packed = np.packbits(bits, axis=1)
    return bands, np.ascontiguousarray(packed.transpose(2, 0, 1)).reshape(texts, -1).view(np.uint32)


def _build_hashes() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(20240229)
    multipliers = random.integers(0, 2**32, HASHES, dtype=np.uint32) | np.uint32(1)
    return multipliers, random.integers(0, 2**32, HASHES, dtype=np.uint32)


class SignatureFiles:
    """Signatures on disk, added batch by batch and read band by band. A context manager."""

    def __init__(self, folder: Path):
        self._bands = [folder / f"band-{band:02d}.uint32" for band in range(BANDS)]
        self._sketches = folder / "sketches.uint32"
        self._stack = ExitStack()
        self._files = [self._stack.enter_context(path.open("wb")) for path in [*self._bands, self._sketches]]

    def __enter__(self) -> SignatureFiles:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def append(self, bands: np.ndarray, sketches: np.ndarray) -> None:
        for file, values in zip(self._files, [*bands, sketches], strict=True):
            file.write(np.ascontiguousarray(values).data)

    def flush(self) -> None:
        for file in self._files:
            file.flush()

    def read_band(self, band: int) -> np.ndarray:
        return np.fromfile(self._bands[band], np.uint32)

    def read_sketches(self) -> np.ndarray:
        return np.fromfile(self._sketches, np.uint32).reshape(-1, SKETCH_WORDS)


def find_candidates(
    signatures: SignatureFiles,
    rows: np.ndarray,
    boundaries: Sequence[int],
    similarity: float,
    progress: Progress | None = None,
) -> np.ndarray:
    """Pairs that may be near duplicates.

    In each bucket every text is compared with the `NEIGHBOURS` before it, and every text of a later split with as
    many of each earlier split, by their sketches.

    Args:
        signatures: of all texts.
        rows: uint32 (some,), rising; the texts to look at.
        boundaries: where each split begins, and the number of texts.
        similarity: the one wanted.
        progress: shows a bar.

    Returns:
        uint64 (pairs,), sorted, each `earlier << 32 | later`.
    """
    sketches = signatures.read_sketches()
    limit = int((1 - max(similarity - SKETCH_MARGIN, 0.0)) * 0.75 * HASHES)
    taken = np.zeros(int(boundaries[-1]), np.uint8)
    found = np.empty(0, np.uint64)
    for band in _track(range(BANDS), "comparing texts", 1, progress):
        keys = signatures.read_band(band)[rows].astype(np.uint64) << np.uint64(32) | rows
        keys.sort()
        hashes, order = (keys >> np.uint64(32)).astype(np.uint32), keys.astype(np.uint32)
        del keys
        pairs = [
            first.astype(np.uint64) << np.uint64(32) | second
            for places, earlier in _meet(hashes, order, boundaries)
            for first, second in [_keep_similar(order[earlier], order[places], sketches, limit)]
        ]
        new = np.unique(np.concatenate(pairs))
        new = new[~np.isin(new, found)]
        new = _limit_by_row(new, taken)
        found = np.union1d(found, new)
    return found


def _meet(
    hashes: np.ndarray, order: np.ndarray, boundaries: Sequence[int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields (places, earlier places) of texts in the same bucket."""
    places = np.arange(1, len(hashes))
    for distance in range(1, NEIGHBOURS + 1):
        places = places[places >= distance]
        places = places[hashes[places] == hashes[places - distance]]
        if not len(places):
            break
        yield places, places - distance
    for boundary in boundaries[1:-1]:
        late = np.flatnonzero(order >= boundary)
        keys = hashes[late].astype(np.uint64) << np.uint64(32) | np.uint64(boundary)
        ends = np.searchsorted(hashes.astype(np.uint64) << np.uint64(32) | order, keys)
        for distance in range(1, NEIGHBOURS + 1):
            earlier = ends - distance
            inside = (earlier >= 0) & (late - earlier > NEIGHBOURS)
            inside[inside] = hashes[earlier[inside]] == hashes[late[inside]]
            yield late[inside], earlier[inside]


def _keep_similar(
    first: np.ndarray, second: np.ndarray, sketches: np.ndarray, limit: int
) -> tuple[np.ndarray, np.ndarray]:
    half = SKETCH_WORDS // 2
    keep = np.empty(len(first), bool)
    for start in range(0, len(first), 1 << 16):
        part = slice(start, start + (1 << 16))
        different = sketches[first[part]] ^ sketches[second[part]]
        either = different[:, :half] | different[:, half:]
        keep[part] = np.bitwise_count(either).sum(axis=1) <= limit
    return first[keep], second[keep]


def _limit_by_row(pairs: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Drops pairs of texts that already have `MAX_CANDIDATES` earlier ones; counts the others in `taken`."""
    later = pairs.astype(np.uint32)
    pairs = pairs[np.argsort(later, kind="stable")]
    later = pairs.astype(np.uint32)
    rank = np.arange(len(later)) - np.searchsorted(later, later)
    keep = taken[later] + rank < MAX_CANDIDATES
    np.add.at(taken, later[keep], 1)
    return pairs[keep]


def _track(items: range, description: str, amount: int, progress: Progress | None) -> Iterator[int]:
    with (progress or Silent()).bar(description, len(items) * amount, "steps") as bar:
        for item in items:
            yield item
            bar.advance(amount)


def verify_pairs(
    pairs: np.ndarray,
    read_texts: Callable[[np.ndarray], list[str]],
    similarity: float,
    progress: Progress | None = None,
) -> NearPairs:
    """Keeps the pairs whose texts' n-gram sets have at least the wanted Jaccard similarity.

    Args:
        pairs: uint64 (pairs,), each `earlier << 32 | later`.
        read_texts: indices → texts.
        similarity: the one wanted.
        progress: shows a bar.
    """
    parts = []
    for start in _track(
        range(0, len(pairs), _CHUNK_PAIRS), "verifying near duplicates", _CHUNK_PAIRS, progress
    ):
        part = pairs[start : start + _CHUNK_PAIRS]
        first, second = (part >> np.uint64(32)).astype(np.int64), part.astype(np.uint32).astype(np.int64)
        rows, places = np.unique(np.concatenate([first, second]), return_inverse=True)
        grams, starts = compute_grams(normalize_texts(read_texts(rows)))
        values = compute_jaccard(grams, starts, places[: len(first)], places[len(first) :])
        keep = values >= similarity
        parts.append((first[keep], second[keep], values[keep]))
    if not parts:
        return NearPairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    return NearPairs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


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
    unique = np.unique(texts << np.uint64(32) | grams)
    sizes = np.bincount((unique >> np.uint64(32)).astype(np.int64), minlength=len(lengths))
    begins = np.concatenate(([0], np.cumsum(sizes)))
    both = np.concatenate([_gather(unique, begins, sizes, side) for side in (first, second)])
    both.sort()
    shared_pairs = (both[1:][both[1:] == both[:-1]] >> np.uint64(32)).astype(np.int64)
    shared = np.bincount(shared_pairs, minlength=len(first))
    return (shared / (sizes[first] + sizes[second] - shared)).astype(np.float32)


def _gather(unique: np.ndarray, begins: np.ndarray, sizes: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """uint64: `pair << 32 | gram` for each n-gram of each pair's text."""
    counts = sizes[texts]
    pairs = np.repeat(np.arange(len(texts), dtype=np.uint64), counts)
    ends = np.cumsum(counts)
    places = np.arange(ends[-1]) + np.repeat(begins[texts] - ends + counts, counts)
    return pairs << np.uint64(32) | (unique[places] & np.uint64(0xFFFFFFFF))
