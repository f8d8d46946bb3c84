"""A trie of word pieces as three arrays, so that walking it takes nothing but gathers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np


@dataclass(frozen=True)
class Trie:
    """A double-array trie: from `node`, symbol c leads to `base[node] + c` if `owner[base[node] + c] == node`.

    Attributes:
        base: int32 (slots,), where a node's children begin.
        owner: int32 (slots,), the node a slot is a child of; -1 where there is none.
        piece: int32 (slots,), the id of the longest piece on the way from the root to a node; -1 where there is none.
        length: int32 (slots,), how many symbols that piece has.
        roots: one node for each family of pieces.

    Source: Aoe 1989, "An efficient digital search algorithm by using a double-array structure".
    """

    base: np.ndarray
    owner: np.ndarray
    piece: np.ndarray
    length: np.ndarray
    roots: tuple[int, ...]


@dataclass(frozen=True)
class _Nodes:
    """The trie's nodes, roots first, then level by level: each one's parent, the symbol to it, its longest piece."""

    parents: np.ndarray
    symbols: np.ndarray
    pieces: np.ndarray
    lengths: np.ndarray


def build_trie(families: Sequence[Sequence[tuple[Sequence[int], int]]], num_symbols: int) -> Trie:
    """Builds one trie with a root for each family.

    Args:
        families: for each root, pairs of (a piece's symbols, all in [1, num_symbols), not empty) and its id.
        num_symbols: how many symbols there are.
    """
    nodes = _list_nodes(families, num_symbols)
    slots, base, size = _place(nodes.parents, nodes.symbols, len(families), num_symbols)
    owner = np.full(size, -1, np.int32)
    inner = nodes.parents >= 0
    owner[slots[inner]] = slots[nodes.parents[inner]]
    arrays = {name: np.zeros(size, np.int32) for name in ("base", "piece", "length")}
    arrays["base"][slots] = base
    arrays["piece"][slots] = nodes.pieces
    arrays["length"][slots] = nodes.lengths
    return Trie(owner=owner, roots=tuple(slots[: len(families)].tolist()), **arrays)


def _list_nodes(families: Sequence[Sequence[tuple[Sequence[int], int]]], num_symbols: int) -> _Nodes:
    entries = [(root, sequence, piece) for root, family in enumerate(families) for sequence, piece in family]
    spelled = np.array([len(sequence) for _, sequence, _ in entries], np.int64)
    depth = int(spelled.max(initial=0))
    matrix = np.zeros((len(entries), depth), np.int64)
    matrix[np.arange(depth)[None, :] < spelled[:, None]] = list(chain.from_iterable(e[1] for e in entries))
    ids = np.array([piece for _, _, piece in entries], np.int64)
    # Where each entry stands in the level being read, and what is known of that level's nodes.
    at = np.array([root for root, _, _ in entries], np.int64)
    pieces, lengths = np.full(len(families), -1, np.int64), np.zeros(len(families), np.int64)
    levels = [(np.full(len(families), -1, np.int64), np.zeros(len(families), np.int64), pieces, lengths)]
    first = 0
    for level in range(depth):
        active = np.flatnonzero(spelled > level)
        keys, inverse = np.unique(at[active] * num_symbols + matrix[active, level], return_inverse=True)
        above = keys // num_symbols
        pieces, lengths = pieces[above], lengths[above]
        at[active] = inverse
        complete = np.flatnonzero(spelled == level + 1)
        pieces[at[complete]], lengths[at[complete]] = ids[complete], level + 1
        levels.append((first + above, keys % num_symbols, pieces, lengths))
        first += len(levels[-2][0])
    return _Nodes(*(np.concatenate(column) for column in zip(*levels, strict=True)))


def _place(
    parents: np.ndarray, symbols: np.ndarray, num_roots: int, num_symbols: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Gives every node a slot: first fit for the large families of children, any free slot for only children."""
    order = np.argsort(parents, kind="stable")[num_roots:]
    owners, firsts, counts = np.unique(parents[order], return_index=True, return_counts=True)
    slots = np.full(len(parents), -1, np.int64)
    base = np.zeros(len(parents), np.int64)
    slots[:num_roots] = np.arange(num_roots)
    taken = bytearray(num_roots + 2 * len(parents) + 4 * num_symbols)
    taken[:num_roots] = b"\1" * num_roots
    search_from = num_symbols
    for family in np.argsort(-counts, kind="stable"):
        if counts[family] == 1:
            break
        children = order[firsts[family] : firsts[family] + counts[family]]
        offsets = symbols[children].tolist()
        found, tries = find_room(taken, offsets, search_from)
        # Where free slots are so scattered that some were tried in vain, later families start behind them:
        # the holes go to only children.
        search_from = max(search_from, found + offsets[0]) if tries > 4 else search_from
        base[owners[family]] = found
        slots[children] = found + symbols[children]
        for offset in offsets:
            taken[found + offset] = 1
    only = counts == 1
    lone = order[firsts[only]]
    free = num_symbols + np.flatnonzero(np.frombuffer(taken, np.uint8)[num_symbols:] == 0)[: len(lone)]
    slots[lone] = free
    base[owners[only]] = free - symbols[lone]
    return slots, base, int(max(slots.max(), base.max())) + num_symbols + 1


def find_room(taken: bytearray, offsets: list[int], search_from: int) -> tuple[int, int]:
    """The first base from which every offset falls on a free slot, and how many were tried."""
    tries = 0
    position = max(search_from, offsets[0])
    while True:
        position = taken.find(0, position)
        found = position - offsets[0]
        tries += 1
        if found >= 0 and not any(taken[found + offset] for offset in offsets):
            return found, tries
        position += 1
