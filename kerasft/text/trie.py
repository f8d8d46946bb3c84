"""A trie of word pieces as three arrays, so that walking it takes nothing but gathers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Trie:
    """A double-array trie: from `node`, symbol c leads to `base[node] + c` if `owner[base[node] + c] == node`.

    Attributes:
        base: int32 (slots,), where a node's children begin.
        owner: int32 (slots,), the node a slot is a child of; -1 where there is none.
        piece: int32 (slots,), the id of the piece that ends at a node; -1 where none does.
        roots: one node for each family of pieces.

    Source: Aoe 1989, "An efficient digital search algorithm by using a double-array structure".
    """

    base: np.ndarray
    owner: np.ndarray
    piece: np.ndarray
    roots: tuple[int, ...]


def build_trie(families: Sequence[Sequence[tuple[Sequence[int], int]]], num_symbols: int) -> Trie:
    """Builds one trie with a root for each family.

    Args:
        families: for each root, pairs of (a piece's symbols, all in [1, num_symbols), not empty) and its id.
        num_symbols: how many symbols there are.
    """
    parents, symbols, pieces = _list_nodes(families, num_symbols)
    slots, base, size = _place(parents, symbols, len(families), num_symbols)
    owner = np.full(size, -1, np.int32)
    piece = np.full(size, -1, np.int32)
    bases = np.zeros(size, np.int32)
    inner = parents >= 0
    owner[slots[inner]] = slots[parents[inner]]
    piece[slots] = pieces
    bases[slots] = base
    return Trie(base=bases, owner=owner, piece=piece, roots=tuple(slots[: len(families)].tolist()))


def _list_nodes(families, num_symbols: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each node's parent (-1 for roots, which come first), the symbol that leads to it, and its piece or -1."""
    entries = [(root, sequence, piece) for root, family in enumerate(families) for sequence, piece in family]
    lengths = np.array([len(sequence) for _, sequence, _ in entries], np.int64)
    depth = int(lengths.max(initial=0))
    matrix = np.zeros((len(entries), depth), np.int64)
    matrix[np.arange(depth)[None, :] < lengths[:, None]] = [c for _, sequence, _ in entries for c in sequence]
    ids = np.array([piece for _, _, piece in entries], np.int64)
    at = np.array([root for root, _, _ in entries], np.int64)
    parents, symbols = [np.full(len(families), -1, np.int64)], [np.zeros(len(families), np.int64)]
    count = len(families)
    for level in range(depth):
        active = np.flatnonzero(lengths > level)
        keys, inverse = np.unique(at[active] * num_symbols + matrix[active, level], return_inverse=True)
        parents.append(keys // num_symbols)
        symbols.append(keys % num_symbols)
        at[active] = count + inverse
        count += len(keys)
    pieces = np.full(count, -1, np.int64)
    pieces[at] = ids
    return np.concatenate(parents), np.concatenate(symbols), pieces


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
        found, tries = _fit(taken, offsets, search_from)
        # Where free slots are so scattered that many were tried in vain, later families start behind them.
        search_from = max(search_from, found + offsets[0] - num_symbols) if tries > 64 else search_from
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


def _fit(taken: bytearray, offsets: list[int], search_from: int) -> tuple[int, int]:
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
