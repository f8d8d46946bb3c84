"""Near duplicates of examples with several inputs, against the definition."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.data.duplicates.exact import mix_keys
from kerasft.data.duplicates.near import NO_PAIRS, NearPairs
from kerasft.data.duplicates.several import join_pairs

SPREAD = np.uint64(0x9E3779B97F4A7C15)


ALIKE = {frozenset((0, 1)): 0.5, frozenset((1, 2)): 0.75, frozenset((3, 4)): 0.625}
ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=25)


def relate(values: list[int]) -> NearPairs:
    """Near pairs among the first rows of each value, as `ALIKE` says."""
    firsts = [row for row, value in enumerate(values) if values.index(value) == row]
    found = [
        (i, j, ALIKE[pair])
        for i, j in itertools.combinations(firsts, 2)
        if (pair := frozenset((values[i], values[j]))) in ALIKE
    ]
    return NearPairs(*map(np.array, zip(*found, strict=True))) if found else NO_PAIRS


@settings(deadline=None)
@given(ROWS, st.integers(2, 3))
def test_a_pair_is_near_where_each_input_is_the_same_or_near(rows, inputs):
    rows = [row[:inputs] for row in rows]
    columns = [[row[i] for row in rows] for i in range(inputs)]
    keys = [np.array(column, np.uint64) * SPREAD for column in columns]
    found = join_pairs(keys, [relate(column) for column in columns])
    seen = list(dict.fromkeys(rows))
    expected = {}
    for one, other in itertools.combinations(seen, 2):
        alike = [
            1.0 if a == b else ALIKE.get(frozenset((a, b)), 0.0) for a, b in zip(one, other, strict=True)
        ]
        if min(alike) > 0:
            expected[rows.index(one), rows.index(other)] = min(alike)
    got = dict(
        zip(
            zip(found.first.tolist(), found.second.tolist(), strict=True),
            found.similarity.tolist(),
            strict=True,
        )
    )
    assert got == expected
    assert len(found.first) == len(got)


def test_one_input_keeps_its_keys_and_pairs():
    keys = np.array([3, 1, 3, 7], np.uint64)
    pairs = NearPairs(np.array([0, 0]), np.array([1, 3]), np.array([0.5, 0.75], np.float32))
    assert mix_keys([keys]) is keys
    assert [sorted(map(float, part)) for part in join_pairs([keys], [pairs])] == [[0, 0], [1, 3], [0.5, 0.75]]


def test_mixed_keys_know_the_order_of_inputs():
    first, second = np.array([1, 2, 1], np.uint64), np.array([2, 1, 2], np.uint64)
    mixed = mix_keys([first, second])
    assert mixed[0] == mixed[2]
    assert mixed[0] != mixed[1]
    assert (mix_keys([first, second]) == mix_keys([first.copy(), second.copy()])).all()


def test_an_input_that_is_the_same_everywhere_costs_no_more_than_the_others():
    """A prompt before each of 20,000 texts: the pairs are those of the texts."""
    count = 20_000
    prompt, texts = np.zeros(count, np.uint64), np.arange(count, dtype=np.uint64) * SPREAD
    pairs = NearPairs(np.arange(0, count, 2), np.arange(1, count, 2), np.full(count // 2, 0.5, np.float32))
    found = join_pairs([prompt, texts], [NO_PAIRS, pairs])
    assert np.array_equal(found.first, pairs.first)
    assert np.array_equal(found.second, pairs.second)
