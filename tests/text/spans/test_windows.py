"""Windows over the units of long texts: what they hold, and which speaks for a unit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.text.spans.windows import choose_overlap, cut_windows

LENGTHS = st.lists(st.one_of(st.integers(1, 3), st.integers(1, 30)), max_size=40)


def cut(lengths: list[int], max_length: int, overlap: int | None = None):
    bounds = np.cumsum([0, *lengths])
    return cut_windows(bounds[:-1], bounds[-1], max_length, overlap)


def choose_slowly(lengths: list[int], windows, room: int) -> list[int]:
    """By the definition: the window in which a unit has the most pieces on its narrower side."""
    places = np.cumsum([0, *np.minimum(lengths, room)]).astype(int)
    chosen = []
    for unit in range(len(lengths)):
        contexts = []
        for first, end in zip(windows.first_units, windows.end_units, strict=True):
            before = places[unit] - places[first] if first > 0 else np.inf
            after = places[end] - places[unit + 1] if end < len(lengths) else np.inf
            contexts.append(min(before, after) if first <= unit < end else -1)
        assert max(contexts) >= 0
        chosen.append(int(np.argmax(contexts)))
    return chosen


@given(lengths=LENGTHS, max_length=st.integers(3, 20), data=st.data())
@settings(max_examples=300, deadline=None)
def test_windows_hold_whole_units_fit_and_speak_for_each_unit_where_it_has_most_context(
    lengths, max_length, data
):
    room = max_length - 2
    overlap = data.draw(st.one_of(st.none(), st.integers(0, room - 1)))
    windows = cut(lengths, max_length, overlap)
    bounds = np.cumsum([0, *lengths])
    assert (windows.first_units[0], windows.end_units[-1]) == (0, len(lengths))
    np.testing.assert_array_equal(windows.first_pieces, bounds[windows.first_units])
    whole = np.minimum(bounds[windows.end_units], windows.first_pieces + room)
    np.testing.assert_array_equal(windows.end_pieces, whole)
    # No unit is left out between two windows, and each window brings new ones.
    assert np.all(windows.first_units[1:] <= windows.end_units[:-1])
    assert np.all(np.diff(windows.first_units) > 0)
    assert np.all(np.diff(windows.end_units) > 0)
    # Only a unit that alone is longer than a window is cut.
    cut_short = windows.end_pieces < bounds[windows.end_units]
    assert np.all(windows.end_units[cut_short] - windows.first_units[cut_short] == 1)
    shared = windows.end_pieces[:-1] - windows.first_pieces[1:]
    limit = choose_overlap(max_length) if overlap is None else overlap
    # The last window goes back as far as it has room.
    assert np.all(shared[:-1] <= limit)
    assert windows.unit_windows.tolist() == choose_slowly(lengths, windows, room)
    assert all(column.dtype == np.int32 for column in windows)


def test_a_text_that_fits_has_one_window():
    windows = cut([1, 2, 3], 8)
    assert [column.tolist() for column in windows] == [[0], [3], [0], [6], [0, 0, 0]]


def test_a_text_without_units_has_one_empty_window():
    windows = cut([], 8)
    assert [column.tolist() for column in windows] == [[0], [0], [0], [0], []]


def test_windows_share_what_is_asked_and_the_last_one_is_full():
    windows = cut([1] * 20, 10, 2)
    assert windows.first_units.tolist() == [0, 6, 12]
    assert windows.end_units.tolist() == [8, 14, 20]
    windows = cut([1] * 17, 10, 2)
    assert windows.first_units.tolist() == [0, 6, 9]
    # Units 9 to 13 stand in both of the last two: the middle of what is shared parts them.
    assert windows.unit_windows.tolist() == [0] * 7 + [1] * 5 + [2] * 5


def test_windows_share_less_where_the_next_unit_would_not_fit():
    assert cut([1] * 8 + [7], 10, 4).first_units.tolist() == [0, 7]


def test_a_unit_longer_than_a_window_has_one_to_itself_and_loses_its_end():
    windows = cut([2, 25, 3], 10, 3)
    assert list(zip(windows.first_pieces.tolist(), windows.end_pieces.tolist(), strict=True)) == [
        (0, 2),
        (2, 10),
        (27, 30),
    ]
    assert windows.unit_windows.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("max_length", "overlap", "message"),
    [
        (2, None, "max_length must be at least 3"),
        (10, 8, r"overlap must be in \[0, 8\)"),
        (10, -1, "overlap must be in"),
    ],
)
def test_windows_without_room_or_progress_are_refused(max_length, overlap, message):
    with pytest.raises(ValueError, match=message):
        cut([1, 1], max_length, overlap)


def test_the_chosen_overlap_is_a_quarter_and_always_allowed():
    assert choose_overlap(128) == 32
    for max_length in range(3, 12):
        cut([1] * 30, max_length)
