"""A table of pairs as three arrays, so that looking a pair up takes nothing but gathers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kerasft.text.tokenizers.trie import find_room


@dataclass(frozen=True)
class PairTable:
    """The pair (a, b) stands in slot `base[a] + b` if `owner[base[a] + b] == a`.

    Attributes:
        base: int32 (first parts,).
        owner: int32 (slots,), the first part of the pair in a slot; -1 where there is none.
        pair: int32 (slots,), which pair it is; -1 where there is none.

    Source: Tarjan and Yao 1979, "Storing a sparse table" (row displacement).
    """

    base: np.ndarray
    owner: np.ndarray
    pair: np.ndarray


def build_pair_table(pairs: np.ndarray, size: int) -> PairTable:
    """Builds the table.

    Args:
        pairs: int (n, 2), all different; the parts are in [0, size).
        size: how many different parts there may be.
    """
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    firsts, starts, counts = np.unique(pairs[order, 0], return_index=True, return_counts=True)
    base = np.zeros(size, np.int64)
    taken = bytearray(2 * len(pairs) + 4 * size + 1)
    slots = np.zeros(len(pairs), np.int64)
    search_from = 0
    for row in np.argsort(-counts, kind="stable"):
        members = order[starts[row] : starts[row] + counts[row]]
        offsets = pairs[members, 1].tolist()
        found, tries = find_room(taken, offsets, search_from)
        # Behind slots that are so full that some were tried in vain, room is found sooner.
        search_from = max(search_from, found + offsets[0]) if tries > 64 else search_from
        base[firsts[row]] = found
        slots[members] = [found + offset for offset in offsets]
        for offset in offsets:
            taken[found + offset] = 1
    owner = np.full(int(base.max(initial=0)) + size, -1, np.int32)
    pair = owner.copy()
    owner[slots], pair[slots] = pairs[:, 0], np.arange(len(pairs))
    return PairTable(base.astype(np.int32), owner, pair)
