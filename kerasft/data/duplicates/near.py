"""Near duplicates among any number of texts: MinHash signatures, locality-sensitive buckets, exact Jaccard at the end.

Texts are compared as sets of character n-grams, so the language does not matter. Time is linear in the number of
texts, and what is kept in memory is a few dozen bytes a text: signatures lie on disk, one file a band.

Source: Indyk and Motwani 1998, "Approximate nearest neighbors", for the banding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from kerasft.data.duplicates.grams import GRAM_WEIGHT, compute_grams
from kerasft.data.duplicates.minhash import (
    BANDS,
    SKETCH_WORDS,
    compute_jaccard,
    estimate_similarity,
    sort_distinct,
)
from kerasft.data.duplicates.normalization import normalize_texts
from kerasft.progress import Progress, Silent

SIMILARITY = 0.42
"""Jaccard similarity from which two texts count as near duplicates by default."""
CORPUS_SIMILARITY = 0.6
"""The same of documents, which are compared by longer n-grams, and dropped: one word of twenty may be another."""
SKETCH_MARGIN = 0.12
"""How far below the wanted similarity a sketch's estimate may lie: two and a half of its standard deviations."""
SHORT_WEIGHT = 35
"""Texts lighter than this (seven words of five letters, twelve ideographs) share their n-grams by chance more easily:
the similarity asked of them rises, in a straight line, to 1 for a text of nothing."""
NEIGHBOURS = 8
"""With how many of its bucket each text is compared, so that a bucket of any size costs linear time."""
MAX_CANDIDATES = 4
"""How many earlier texts a text is compared with in full."""
CLUSTER_PARTNERS = 8
"""With how many of its cluster's last texts every text of a cluster is compared at the end."""

_CHUNK_SKETCHES = 1 << 15
_CHUNK_BYTES = 1 << 17
_MOST_GRAMS = 1 << 19


class Texts(Protocol):
    """Where texts are read from."""

    @property
    def lengths(self) -> np.ndarray:
        """uint32 (texts,), bytes."""

    def read_texts(self, indices: np.ndarray) -> list[str]:
        """Texts of any rows."""


class NearPairs(NamedTuple):
    """Pairs of near duplicates."""

    first: np.ndarray
    """int64 (pairs,), the smaller index."""
    second: np.ndarray
    """int64 (pairs,), the larger."""
    similarity: np.ndarray
    """float32 (pairs,), Jaccard similarity of the two texts' n-gram sets."""


NO_PAIRS = NearPairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))


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
    progress: Progress,
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
    taken = np.zeros(int(boundaries[-1]), np.uint8)
    found = np.empty(0, np.uint64)
    with progress.bar("comparing texts", BANDS, "bands") as bar:
        for band in range(BANDS):
            keys = signatures.read_band(band)[rows].astype(np.uint64) << np.uint64(32) | rows
            keys.sort()
            hashes, order = (keys >> np.uint64(32)).astype(np.uint32), keys.astype(np.uint32)
            del keys
            pairs = [np.empty(0, np.uint64)]
            for places, earlier_places in _meet(hashes, order, boundaries):
                earlier, later = order[earlier_places], order[places]
                keep = _keep_similar(earlier, later, sketches, similarity)
                pairs.append(earlier[keep].astype(np.uint64) << np.uint64(32) | later[keep])
            new = _subtract(sort_distinct(np.concatenate(pairs)), found)
            found = sort_distinct(np.concatenate([found, _limit_by_row(new, taken)]))
            bar.advance()
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
    first: np.ndarray, second: np.ndarray, sketches: np.ndarray, similarity: float
) -> np.ndarray:
    """bool (pairs,): the sketches do not rule out that the texts have the wanted similarity."""
    keep = np.empty(len(first), bool)
    for start in range(0, len(first), _CHUNK_SKETCHES):
        part = slice(start, start + _CHUNK_SKETCHES)
        keep[part] = estimate_similarity(sketches, first[part], second[part]) >= similarity - SKETCH_MARGIN
    return keep


def _subtract(values: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The values that are not among others; both rise."""
    if not len(others):
        return values
    places = np.minimum(np.searchsorted(others, values), len(others) - 1)
    return values[others[places] != values]


def _limit_by_row(pairs: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Drops pairs of texts that already have `MAX_CANDIDATES` earlier ones; counts the others in `taken`."""
    later = pairs.astype(np.uint32)
    pairs = pairs[np.argsort(later, kind="stable")]
    later = pairs.astype(np.uint32)
    rank = np.arange(len(later)) - np.searchsorted(later, later)
    keep = taken[later] + rank < MAX_CANDIDATES
    np.add.at(taken, later[keep], 1)
    return pairs[keep]


def _verify(
    pairs: np.ndarray, texts: Texts, similarity: float, progress: Progress, gram_weight: int
) -> NearPairs:
    """Keeps the pairs whose texts' n-gram sets have at least the wanted Jaccard similarity (more for short texts)."""
    parts = [NO_PAIRS]
    lengths = texts.lengths
    sizes = lengths[pairs >> np.uint64(32)].astype(np.int64) + lengths[pairs.astype(np.uint32)]
    alone = sizes[:-1] > _CHUNK_BYTES
    chunks = np.cumsum(sizes) // _CHUNK_BYTES
    with progress.bar("verifying near duplicates", len(pairs), "pairs") as bar:
        for part in np.split(pairs, np.flatnonzero((np.diff(chunks) > 0) | alone) + 1):
            parts.append(_verify_some(part, texts, similarity, gram_weight))
            bar.advance(len(part))
    return NearPairs(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _verify_some(pairs: np.ndarray, texts: Texts, similarity: float, gram_weight: int) -> NearPairs:
    first, second = (pairs >> np.uint64(32)).astype(np.int64), pairs.astype(np.uint32).astype(np.int64)
    both = np.concatenate([first, second])
    rows = sort_distinct(both.copy())
    places = np.searchsorted(rows, both)
    if not len(rows):
        return NO_PAIRS
    normalized = normalize_texts(texts.read_texts(rows))
    mine, other = places[: len(first)], places[len(first) :]
    grams, starts = compute_grams(normalized, gram_weight)
    if len(grams) > _MOST_GRAMS and len(rows) == 2:
        grams, starts = _sample(grams, starts)
    values = compute_jaccard(grams, starts, mine, other)
    weights = np.add.reduceat(normalized.kinds, normalized.starts[:-1], dtype=np.float64)
    shortness = np.maximum(1 - np.maximum(weights[mine], weights[other]) / SHORT_WEIGHT, 0)
    keep = values >= similarity + (1 - similarity) * shortness
    return NearPairs(first[keep], second[keep], values[keep])


def _sample(grams: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The n-grams of long texts with small hashes: of so many a share says as much as all."""
    kept = grams < np.uint32(_MOST_GRAMS / len(grams) * 2**32)
    return grams[kept], np.concatenate(([0], np.cumsum(np.add.reduceat(kept, starts[:-1], dtype=np.int64))))


def connect(groups: np.ndarray, pairs: NearPairs) -> np.ndarray:
    """uint32 (rows,): for each row the first row that it is joined to by its group or a chain of near pairs.

    Args:
        groups: uint32 (rows,), the first row with the same text.
        pairs: near duplicates among first rows.
    """
    roots = np.arange(len(groups), dtype=np.uint32)
    while True:
        first, second = roots[pairs.first], roots[pairs.second]
        different = first != second
        if not different.any():
            return roots[groups]
        low, high = np.minimum(first, second)[different], np.maximum(first, second)[different]
        np.minimum.at(roots, high, low)
        while not np.array_equal(roots[roots], roots):
            roots = roots[roots]


def _complete(pairs: NearPairs, candidates: np.ndarray, count: int) -> np.ndarray:
    """Pairs not looked at yet, of each text in a cluster with the cluster's last `CLUSTER_PARTNERS`: all pairs of a
    small cluster; and of a large one, each text of train with some of the later splits.

    Returns:
        uint64 (pairs,), each `earlier << 32 | later`.
    """
    rows = sort_distinct(np.concatenate([pairs.first, pairs.second]))
    roots = connect(np.arange(count, dtype=np.uint32), pairs)[rows]
    order = np.lexsort((rows, roots))
    rows, roots = rows[order].astype(np.uint64), roots[order]
    ends = np.searchsorted(roots, roots, side="right")
    found = []
    for distance in range(1, CLUSTER_PARTNERS + 1):
        partners = ends - distance
        inside = partners > np.arange(len(rows))
        found.append(rows[inside] << np.uint64(32) | rows[partners[inside]])
    return _subtract(sort_distinct(np.concatenate(found)), candidates)


def find_near_pairs(
    signatures: SignatureFiles,
    rows: np.ndarray,
    boundaries: Sequence[int],
    similarity: float,
    texts: Texts,
    progress: Progress | None = None,
    *,
    gram_weight: int = GRAM_WEIGHT,
) -> NearPairs:
    """Near duplicates among some texts.

    Args:
        signatures: of all texts.
        rows: uint32 (some,), rising; the texts to look at.
        boundaries: where each split begins, and the number of texts.
        similarity: Jaccard similarity of n-gram sets from which two texts are near duplicates.
        texts: all texts.
        progress: shows bars.
        gram_weight: of an n-gram; the signatures' own.
    """
    progress = progress or Silent()
    candidates = find_candidates(signatures, rows, boundaries, similarity, progress)
    pairs = _verify(candidates, texts, similarity, progress, gram_weight)
    if not len(pairs.first):
        return pairs
    others = _complete(pairs, candidates, int(boundaries[-1]))
    keep = _keep_similar(
        others >> np.uint64(32), others.astype(np.uint32), signatures.read_sketches(), similarity
    )
    more = _verify(others[keep], texts, similarity, progress, gram_weight)
    return NearPairs(*(np.concatenate(columns) for columns in zip(pairs, more, strict=True)))
