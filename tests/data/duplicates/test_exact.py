"""Duplicates inside splits and leaks between them, on rows made by hand."""

import numpy as np

from kerasft.data.duplicates.exact import DROPPED, Duplicates, group_by_key
from kerasft.data.duplicates.near import NO_PAIRS, NearPairs


def test_rows_are_grouped_under_the_first_with_their_key():
    keys = np.array([7, 3, 7, 9, 3, 7], np.uint64)
    assert group_by_key(keys).tolist() == [0, 1, 0, 3, 1, 0]


def build(groups, splits, labels, pairs=()):
    first, second = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    near = NearPairs(np.array(first, int), np.array(second, int), np.full(len(pairs), 0.8, np.float32))
    return Duplicates(
        np.array(groups, np.uint32),
        near if pairs else NO_PAIRS,
        np.array(splits, np.uint8),
        np.array(labels, np.int32),
    )


def test_duplicates_inside_a_split_are_counted_apart_from_those_in_others():
    duplicates = build([0, 1, 0, 0, 1], [0, 0, 0, 1, 1], [0, 0, 1, 0, 0], [(0, 1)])
    train, validation = duplicates.find_in(0), duplicates.find_in(1)
    assert (train.exact, train.conflicting.tolist(), train.near) == (1, [0, 2], 3)
    assert (validation.exact, validation.conflicting.tolist(), validation.near) == (0, [], 2)


def test_leaks_are_exact_or_near_and_name_the_rows_of_both_sides():
    #                 train       test
    duplicates = build([0, 1, 2, 3, 0, 5, 6], [0, 0, 0, 0, 2, 2, 2], [0] * 7, [(1, 5), (0, 2)])
    leaks = duplicates.find_leaks(0, 2)
    assert leaks.exact.tolist() == [4]
    assert leaks.near.tolist() == [5]
    assert leaks.sources.tolist() == [0, 1, 2]
    assert duplicates.find_partner(4, 0) == (0, 1.0)
    row, similarity = duplicates.find_partner(5, 0)
    assert (row, round(similarity, 3)) == (1, 0.8)


def test_dropped_rows_count_nowhere():
    duplicates = build([0, 0, 0], [DROPPED, 0, 2], [0, 1, 0])
    assert duplicates.find_in(0).exact == 0
    assert duplicates.find_leaks(0, 2).sources.tolist() == [1]
