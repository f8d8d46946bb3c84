"""Near duplicates of examples with several inputs: all inputs must be the same or nearly the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasft.data.duplicates.exact import group_by_key, mix_keys
from kerasft.data.duplicates.near import NO_PAIRS, NearPairs

_CHUNK_ROWS = 1 << 16


def join_pairs(keys: Sequence[np.ndarray], pairs: Sequence[NearPairs]) -> NearPairs:
    """Pairs of rows of which each input is the same or a near duplicate, and one at least is no more than near.

    For each row, every choice of partners of its inputs is looked up among the rows that there are: the time grows with
    the number of near duplicates, however often one input stands beside others.

    Args:
        keys: of each input, uint64 (rows,), equal where two values are the same.
        pairs: of each input, near duplicates among the first rows of each value.

    Returns:
        Pairs among the first rows of each combination; their similarity is that of their least similar input.
    """
    groups = [group_by_key(values) for values in keys]
    partners = [_Partners(found, len(values)) for found, values in zip(pairs, keys, strict=True)]
    mixed = mix_keys(keys)
    firsts = np.flatnonzero(group_by_key(mixed) == np.arange(len(mixed)))
    order = firsts[np.argsort(mixed[firsts])]
    near = np.zeros(len(firsts), bool)
    for group, partner in zip(groups, partners, strict=True):
        near |= partner.counts[group[firsts]] > 0
    rows = firsts[near]
    found = [
        _look_up(rows[start : start + _CHUNK_ROWS], keys, groups, partners, mixed[order], order)
        for start in range(0, len(rows), _CHUNK_ROWS)
    ]
    return NearPairs(*map(np.concatenate, zip(*found, strict=True))) if found else NO_PAIRS


class _Partners:
    """Each first row's near duplicates, and how similar they are."""

    def __init__(self, pairs: NearPairs, rows: int):
        ours = np.concatenate([pairs.first, pairs.second])
        order = np.argsort(ours, kind="stable")
        self.counts = np.bincount(ours, minlength=rows)
        self.starts = np.cumsum(self.counts) - self.counts
        # a last entry that is never chosen, so that there is one where there are no pairs
        self.rows = np.append(np.concatenate([pairs.second, pairs.first])[order], 0)
        self.similarity = np.append(np.tile(pairs.similarity, 2)[order], np.float32(0))


def _look_up(
    rows: np.ndarray,
    keys: Sequence[np.ndarray],
    groups: Sequence[np.ndarray],
    partners: Sequence[_Partners],
    known: np.ndarray,
    known_rows: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(first rows, second rows, similarity) of pairs whose first row is one of `rows`."""
    owners = rows
    chosen: list[np.ndarray] = []
    similarity = np.ones(len(rows), np.float32)
    for values, group, partner in zip(keys, groups, partners, strict=True):
        own = group[owners].astype(np.int64)
        counts = partner.counts[own] + 1
        ends = np.cumsum(counts)
        choice = np.arange(counts.sum()) - np.repeat(ends - counts, counts)
        own, starts = np.repeat(own, counts), np.repeat(partner.starts[own], counts)
        places = np.where(choice > 0, starts + choice - 1, len(partner.rows) - 1)
        taken = np.where(choice > 0, partner.rows[places], own)
        chosen = [np.repeat(each, counts) for each in chosen] + [values[taken]]
        alike = np.where(choice > 0, partner.similarity[places], np.float32(1))
        similarity = np.minimum(np.repeat(similarity, counts), alike)
        owners = np.repeat(owners, counts)
    wanted = mix_keys(chosen)
    places = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    others = known_rows[places]
    kept = (known[places] == wanted) & (others > owners)
    return owners[kept].astype(np.int64), others[kept].astype(np.int64), similarity[kept]
