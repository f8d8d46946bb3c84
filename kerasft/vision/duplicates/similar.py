"""Near duplicates among pictures: resized, recompressed, mirrored or slightly cropped copies.

A picture's signature is a few dozen low frequencies of its thumbnail. Pairs whose signatures agree are candidates;
their thumbnails are laid on each other, shifted and stretched until they fit best, and compared.

All pairs of signatures are multiplied, block by block: time grows with the square of the number of pictures, memory
does not.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from kerasft.progress import Progress, Silent
from kerasft.vision.duplicates.hashing import GREY_SIDE, PictureHashes

SIMILARITY = 0.95
"""Correlation of two thumbnails from which pictures are near duplicates."""
SIGNATURE_SIMILARITY = 0.85
"""Cosine of two signatures from which thumbnails are compared."""
MAX_CANDIDATES = 16
"""With how many earlier pictures of each split a picture is compared in full: those most alike by signature."""
MIN_CONTRAST = 2.0
"""Standard deviation, in grey levels, below which a picture is one flat surface: any two would be alike."""
MAX_COLOUR_DIFFERENCE = 10.0
"""Mean difference of colours, in levels of 255, up to which pictures are near duplicates."""
MIN_COLOUR = 3.0
"""Mean colour, in levels, below which a picture is black and white: it may be the copy of a coloured one."""

_FREQUENCIES = 9
_DOWN, _ACROSS = np.array(
    sorted(
        ((y, x) for y in range(_FREQUENCIES) for x in range(_FREQUENCIES - y) if y + x),
        key=lambda place: place[1] % 2,
    )
).T
_EVEN = int((_ACROSS % 2 == 0).sum())
"""How many numbers of a signature a mirror leaves alone; it changes the others' signs."""
_BLOCK_ROWS = 2048
_CHUNK_PAIRS = 2048
_STEPS = 6
_MARGIN = 3
_MAX_SHIFT = 4.0
_MAX_STRETCH = 0.16


class SimilarPairs(NamedTuple):
    """Pairs of near duplicates, by first and second row."""

    first: np.ndarray
    """int64 (pairs,), the smaller row."""
    second: np.ndarray
    """int64 (pairs,), the larger."""
    similarity: np.ndarray
    """float32 (pairs,), correlation of the thumbnails where they fit best, 0 to 1."""


def find_similar(
    hashes: PictureHashes,
    rows: np.ndarray | None = None,
    boundaries: Sequence[int] | None = None,
    similarity: float = SIMILARITY,
    progress: Progress | None = None,
) -> SimilarPairs:
    """Near duplicates among some pictures.

    Args:
        hashes: of all pictures, split by split.
        rows: int (some,), rising; the pictures to look at, for example the first of each that are equal. None: all.
        boundaries: where each split begins, and the number of pictures. None: there is one.
        similarity: from which two pictures are near duplicates, 0 to 1.
        progress: shows bars.

    Returns:
        Pairs of rows of `hashes`. Flat pictures (`MIN_CONTRAST`) are in none.
    """
    progress = progress or Silent()
    rows = np.arange(len(hashes.greys)) if rows is None else np.asarray(rows, np.int64)
    rows = rows[_measure_contrast(hashes.greys, rows) >= MIN_CONTRAST]
    limits = np.searchsorted(rows, boundaries if boundaries is not None else [0, len(hashes.greys)])
    signatures = compute_signatures(hashes.greys, rows)
    later, earlier = _find_candidates(signatures, [int(limit) for limit in limits], progress)
    first, second = rows[earlier], rows[later]
    values = np.empty(len(first), np.float32)
    with progress.bar("comparing pictures in full", len(first), "pairs") as bar:
        for start in range(0, len(first), _CHUNK_PAIRS):
            part = slice(start, start + _CHUNK_PAIRS)
            values[part] = compare_pictures(hashes, first[part], second[part])
            bar.advance(len(first[part]))
    keep = values >= similarity
    order = np.lexsort((second[keep], first[keep]))
    return SimilarPairs(first[keep][order], second[keep][order], values[keep][order])


def _measure_contrast(greys: np.ndarray, rows: np.ndarray) -> np.ndarray:
    parts = [greys[part].std(axis=(1, 2), dtype=np.float32) for part in _cut(rows, _BLOCK_ROWS)]
    return np.concatenate([np.empty(0, np.float32), *parts])


def _cut(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def compute_signatures(greys: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Low frequencies of thumbnails, those that a mirror leaves alone first; what is at the edges counts less.

    Returns:
        float32 (rows, 44), of length 1.

    Source: Zauner 2010, "Implementation and benchmarking of perceptual image hash functions", for the transform.
    """
    window = np.hanning(GREY_SIDE + 2)[1:-1].astype(np.float32) ** 0.25
    places = np.arange(GREY_SIDE) + 0.5
    transform = np.cos(np.pi / GREY_SIDE * np.outer(np.arange(_FREQUENCIES), places)).astype(np.float32)
    transform[1:] -= (transform[1:] @ window / window.sum())[:, None]  # brightness shall not matter
    signatures = np.empty((len(rows), len(_DOWN)), np.float32)
    for start in range(0, len(rows), _BLOCK_ROWS):
        part = rows[start : start + _BLOCK_ROWS]
        waves = (transform * window) @ greys[part].astype(np.float32) @ (transform * window).T
        # a photograph's frequencies fade as 1 / f
        chosen = waves[:, _DOWN, _ACROSS] * np.hypot(_DOWN, _ACROSS) ** 0.5
        signatures[start : start + len(part)] = chosen / np.linalg.norm(chosen, axis=1, keepdims=True)
    return signatures


def _find_candidates(
    signatures: np.ndarray, limits: Sequence[int], progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """int64 (pairs,) twice: the later and the earlier of pictures whose signatures agree, mirrored or not."""
    even = _EVEN
    found: list[tuple[np.ndarray, np.ndarray]] = [(np.empty(0, np.int64), np.empty(0, np.int64))]
    count = len(signatures)
    with progress.bar("comparing pictures", count, "pictures") as bar:
        for start in range(0, count, _BLOCK_ROWS):
            stop = min(start + _BLOCK_ROWS, count)
            mine = signatures[start:stop]
            for low, high in itertools.pairwise(limits):
                best = _Best(start)
                for begin in range(low, min(high, stop), _BLOCK_ROWS):
                    end = min(begin + _BLOCK_ROWS, high, stop)
                    others = signatures[begin:end]
                    # what does not change by mirroring adds up; the rest counts in whichever direction agrees
                    scores = mine[:, :even] @ others[:, :even].T
                    turned = mine[:, even:] @ others[:, even:].T
                    scores += np.abs(turned, out=turned)
                    best.add(scores, begin)
                found.append(best.get())
            bar.advance(stop - start)
    later, earlier = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return later, earlier


class _Best:
    """For each row of a block the earlier rows that it agrees with most."""

    def __init__(self, start: int):
        self._start = start
        self._later = self._earlier = np.empty(0, np.int64)
        self._scores = np.empty(0, np.float32)

    def add(self, scores: np.ndarray, begin: int) -> None:
        """float32 (rows, others): how much they agree; the others begin at `begin`."""
        places = np.flatnonzero(scores >= SIGNATURE_SIMILARITY)
        if not len(places):
            return
        later, earlier = np.divmod(places, scores.shape[1])
        later, earlier = later + self._start, earlier + begin
        keep = earlier < later
        self._later = np.concatenate([self._later, later[keep]])
        self._earlier = np.concatenate([self._earlier, earlier[keep]])
        self._scores = np.concatenate([self._scores, scores.ravel()[places[keep]]])
        order = np.lexsort((self._earlier, -self._scores, self._later))
        ordered = self._later[order]
        order = order[np.arange(len(order)) - np.searchsorted(ordered, ordered) < MAX_CANDIDATES]
        self._later, self._earlier, self._scores = (
            self._later[order],
            self._earlier[order],
            self._scores[order],
        )

    def get(self) -> tuple[np.ndarray, np.ndarray]:
        return self._later, self._earlier


def compare_pictures(hashes: PictureHashes, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """float32 (pairs,): how alike pictures are, 0 to 1; 0 where their colours differ.

    Args:
        hashes: of all pictures.
        first: int (pairs,), rows.
        second: int (pairs,), rows.
    """
    # the pictures themselves say which is laid on which, not their order
    swap = hashes.keys[first] > hashes.keys[second]
    first, second = np.where(swap, second, first), np.where(swap, first, second)
    mine, other = hashes.greys[first].astype(np.float32), hashes.greys[second].astype(np.float32)
    mine_signed, other_signed = (
        compute_signatures(hashes.greys, first),
        compute_signatures(hashes.greys, second),
    )
    mirrored = (mine_signed[:, _EVEN:] * other_signed[:, _EVEN:]).sum(axis=1) < 0
    other[mirrored] = other[mirrored, :, ::-1]
    other_colours = hashes.colours[second].astype(np.float32) - 128
    other_colours[mirrored] = other_colours[mirrored, :, ::-1]
    values = align(mine, other)
    values[_differ(hashes.colours[first].astype(np.float32) - 128, other_colours)] = 0
    return values


def _differ(mine: np.ndarray, other: np.ndarray) -> np.ndarray:
    """bool (pairs,): the colours are not those of a copy, nor is one of the two black and white."""
    pale = np.minimum(np.abs(mine).mean((1, 2, 3)), np.abs(other).mean((1, 2, 3))) < MIN_COLOUR
    return ~pale & (np.abs(mine - other).mean((1, 2, 3)) > MAX_COLOUR_DIFFERENCE)


def align(mine: np.ndarray, other: np.ndarray) -> np.ndarray:
    """float32 (pairs,): correlation of thumbnails once the second is shifted and stretched to fit the first best.

    Args:
        mine: float32 (pairs, 32, 32); all but the margin is compared.
        other: float32 (pairs, 32, 32).

    Source: Lucas and Kanade 1981, "An iterative image registration technique"; Evangelidis and Psarakis 2008 for
    brightness and contrast that differ.
    """
    inner = slice(_MARGIN, -_MARGIN)
    target = _standardize(mine[:, inner, inner])
    other_down, other_across = np.gradient(other, axis=(1, 2))
    places = np.arange(GREY_SIDE, dtype=np.float32) - (GREY_SIDE - 1) / 2
    inside = places[inner]
    # shift down, stretch down, shift across, stretch across
    warp = np.zeros((len(mine), 4), np.float32)
    best = np.full(len(mine), -1, np.float32)
    for _ in range(_STEPS):
        down = inside * (1 + warp[:, 1:2]) + warp[:, 0:1]
        across = inside * (1 + warp[:, 3:4]) + warp[:, 2:3]
        rows, columns = _build_hats(down), _build_hats(across).transpose(0, 2, 1)
        seen = rows @ other @ columns
        contrast = np.maximum(seen.std(axis=(1, 2), keepdims=True), 1e-3)
        shown = _standardize(seen)
        best = np.maximum(best, (shown * target).mean(axis=(1, 2)))
        by_row, by_column = rows @ other_down @ columns, rows @ other_across @ columns
        slopes = np.stack([by_row, by_row * inside[:, None], by_column, by_column * inside], axis=1)
        slopes = slopes.reshape(len(mine), 4, -1) / contrast
        slopes -= slopes.mean(axis=2, keepdims=True)
        flat = shown.reshape(len(mine), -1, 1)
        slopes -= (slopes @ flat / flat.shape[1]) * flat.transpose(0, 2, 1)
        wanted = slopes @ (target - shown).reshape(len(mine), -1, 1)
        square = slopes @ slopes.transpose(0, 2, 1) + np.diag([0.1, 10.0, 0.1, 10.0]).astype(np.float32)
        warp += np.linalg.solve(square, wanted)[..., 0]
        np.clip(warp, [-_MAX_SHIFT, -_MAX_STRETCH] * 2, [_MAX_SHIFT, _MAX_STRETCH] * 2, out=warp)
    return np.clip(best, 0, 1)


def _standardize(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(axis=(1, 2), keepdims=True)
    return centred / np.maximum(centred.std(axis=(1, 2), keepdims=True), 1e-3)


def _build_hats(places: np.ndarray) -> np.ndarray:
    """float32 (pairs, places, 32): each pixel's weight at places that are told from the thumbnail's middle."""
    places = np.clip(places + (GREY_SIDE - 1) / 2, 0, GREY_SIDE - 1)
    return np.maximum(1 - np.abs(places[..., None] - np.arange(GREY_SIDE, dtype=np.float32)), 0)
