"""The trie's arrays hold every piece, under its own root, and nothing else."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kerasft.text.tokenizers.trie import Trie, build_trie

NUM_SYMBOLS = 9
SEQUENCES = st.lists(st.integers(1, NUM_SYMBOLS - 1), min_size=1, max_size=6).map(tuple)


def walk(trie: Trie, root: int, sequence) -> tuple[int, int] | None:
    """The longest piece on the way and its length, or None where the way ends early."""
    node = trie.roots[root]
    for symbol in sequence:
        slot = trie.base[node] + symbol
        if trie.owner[slot] != node:
            return None
        node = slot
    return int(trie.piece[node]), int(trie.length[node])


@given(families=st.lists(st.lists(SEQUENCES, unique=True, max_size=40), min_size=2, max_size=2))
def test_each_way_exists_exactly_if_a_piece_begins_with_it(families):
    trie = build_trie(
        [[(sequence, place) for place, sequence in enumerate(family)] for family in families], NUM_SYMBOLS
    )
    for root, family in enumerate(families):
        places = {sequence: place for place, sequence in enumerate(family)}
        ways = {sequence[:length] for sequence in family for length in range(1, len(sequence) + 1)}
        for way in ways:
            longest = max((way[:n] for n in range(1, len(way) + 1) if way[:n] in places), key=len, default=())
            assert walk(trie, root, way) == (places.get(longest, -1), len(longest))
            for symbol in range(NUM_SYMBOLS):
                longer = (*way, symbol)
                assert (walk(trie, root, longer) is not None) == (longer in ways)


def test_every_step_from_every_node_stays_inside_the_arrays():
    random = np.random.default_rng(0)
    pieces = {tuple(random.integers(1, 500, size=random.integers(1, 8)).tolist()) for _ in range(3000)}
    trie = build_trie([[(piece, place) for place, piece in enumerate(sorted(pieces))], []], 500)
    assert int(trie.base.min()) >= 0
    assert int(trie.base.max()) + 499 < len(trie.owner)
    assert trie.base.shape == trie.owner.shape == trie.piece.shape == trie.length.shape


def test_families_without_pieces_have_roots_without_children():
    trie = build_trie([[], []], 3)
    assert walk(trie, 0, [1]) is None
    assert walk(trie, 1, [2]) is None
