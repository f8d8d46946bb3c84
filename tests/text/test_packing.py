"""Packing: each piece once, no row too long, and few rows."""

from __future__ import annotations

import tracemalloc

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
def test_no_two_rows_could_be_one(lengths: list[int]) -> None:
    filled = sorted(sum(lengths[piece] for piece in row) for row in pack(lengths, 32))
    assert len(filled) == 1 or filled[0] + filled[1] > 32


@pytest.mark.parametrize("most_pieces", [2, 3, 4, 6, 10])
@pytest.mark.parametrize("seed", range(4))
def test_rows_are_at_most_11_ninths_of_the_fewest_possible_and_four_more(most_pieces: int, seed: int) -> None:
    """Full rows are cut into pieces, so that they are the fewest possible; then the pieces are mixed."""
    generator = np.random.default_rng(seed)
    lengths: list[int] = []
    for _ in range(300):
        cuts = generator.choice(np.arange(1, 100), generator.integers(1, most_pieces), replace=False)
        lengths += np.diff([0, *sorted(cuts), 100]).tolist()
    generator.shuffle(lengths)
    assert 300 <= len(pack(lengths, 100)) <= 300 * 11 / 9 + 4


@pytest.mark.parametrize("times", [1, 20])
def test_in_the_worst_case_known_rows_are_11_ninths_of_the_fewest(times: int) -> None:
    """51 + 26 + 23 and 27 + 27 + 23 + 23 fill rows; but 27 is put beside 51, and then nothing else fits."""
    lengths = [51, 26, 23] * (6 * times) + [27, 27, 23, 23] * (3 * times)
    assert sum(lengths) == 100 * 9 * times
    assert len(pack(lengths, 100)) == 11 * times


def test_rows_of_some_documents_are_these() -> None:
    lengths = [7, 16, 3, 9, 12, 4, 4, 1, 16, 10, 6, 2, 5, 13, 8, 3, 11, 1, 14, 6]
    rows = pack_best_fit(np.array(lengths), 16)
    golden = [[1], [8], [18, 7, 17], [13, 2], [4, 5], [16, 12], [9, 10], [3, 0], [14, 19, 11], [6, 15]]
    assert [row.tolist() for row in rows] == golden
    assert rows.pieces.dtype == np.int32
    assert rows.pieces.tolist() == [piece for row in golden for piece in row]
    assert rows.splits.tolist() == np.cumsum([0, *map(len, golden)]).tolist()
    assert rows.add_up(np.array(lengths)).tolist() == [sum(lengths[i] for i in row) for row in golden]
    with pytest.raises(IndexError, match=f"row {len(golden)} of {len(golden)}"):
        rows[len(golden)]


def test_memory_is_a_few_numbers_a_piece() -> None:
    lengths = np.random.default_rng(0).integers(1, 65, 100_000)
    tracemalloc.start()
    try:
        rows = pack_best_fit(lengths, 128)
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept <= 4 * len(lengths) + 8 * (len(rows) + 1) + 10_000
    assert most < 40 * len(lengths)


def test_documents_of_natural_lengths_waste_less_than_a_hundredth() -> None:
    generator = np.random.default_rng(0)
    lengths = np.minimum(generator.lognormal(3.5, 0.9, 20_000).astype(np.int64) + 3, 128)
    rows = pack_best_fit(lengths, 128)
    assert 1 - lengths.sum() / (128 * len(rows)) < 0.01


@pytest.mark.parametrize("lengths", [[0, 3], [11]])
def test_pieces_that_fit_no_row_are_refused(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match="1 to 10 tokens"):
        pack(lengths, 10)
