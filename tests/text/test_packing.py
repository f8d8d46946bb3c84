"""Packing: each piece once, no row too long, and few rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasft.text.packing import pack_best_fit


def pack(lengths: list[int], capacity: int) -> list[list[int]]:
    return [row.tolist() for row in pack_best_fit(np.array(lengths, np.int64), capacity)]


def test_pieces_go_where_the_least_room_is_left() -> None:
    # 7 and 6 open rows of rooms 3 and 4; 4 fits the second exactly, 3 the first
    assert pack([3, 7, 4, 6], 10) == [[1, 0], [3, 2]]
    # full rows come first, in their order
    assert pack([5, 10, 5, 10], 10) == [[1], [3], [0, 2]]
    assert pack([], 10) == []


@given(st.lists(st.integers(1, 32), max_size=80))
def test_every_piece_stands_in_one_row_that_has_room_for_it(lengths: list[int]) -> None:
    rows = pack(lengths, 32)
    assert sorted(piece for row in rows for piece in row) == list(range(len(lengths)))
    assert all(0 < sum(lengths[piece] for piece in row) <= 32 for row in rows)


@given(st.lists(st.integers(1, 32), min_size=1, max_size=80))
def test_rows_are_at_most_11_ninths_of_the_fewest_possible(lengths: list[int]) -> None:
    fewest = -(-sum(lengths) // 32)
    # no two rows could be one, and with that more than half of all room is taken
    rows = pack(lengths, 32)
    assert len(rows) <= max(2 * fewest, 1)
    filled = sorted(sum(lengths[piece] for piece in row) for row in rows)
    assert len(filled) == 1 or filled[0] + filled[1] > 32


def test_documents_of_natural_lengths_waste_less_than_a_hundredth() -> None:
    generator = np.random.default_rng(0)
    lengths = np.minimum(generator.lognormal(3.5, 0.9, 20_000).astype(np.int64) + 3, 128)
    rows = pack_best_fit(lengths, 128)
    assert 1 - lengths.sum() / (128 * len(rows)) < 0.01


@pytest.mark.parametrize("lengths", [[0, 3], [11]])
def test_pieces_that_fit_no_row_are_refused(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match="1 to 10 tokens"):
        pack(lengths, 10)
