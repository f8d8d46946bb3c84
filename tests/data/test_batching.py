"""The plan of an epoch's batches: a pure function that uses each example once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasft.data.batching import POOL_BATCHES, count_batches, plan_batches

LENGTHS = st.lists(st.integers(0, 300), min_size=1, max_size=400)
SETTINGS = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32 - 1),
        "epoch": st.integers(0, 1000),
        "shuffle": st.booleans(),
        "group_lengths": st.booleans(),
        "width_multiple": st.sampled_from([1, 2, 4, 8]),
    }
)


@given(LENGTHS, st.integers(1, 40), SETTINGS)
def test_each_example_comes_once_in_batches_of_the_size(lengths, batch_size, settings) -> None:
    plan = plan_batches(np.array(lengths), batch_size, **settings)
    np.testing.assert_array_equal(np.sort(np.concatenate(plan.batches)), np.arange(len(lengths)))
    assert len(plan) == len(plan.widths) == count_batches(len(lengths), batch_size)
    sizes = sorted((len(batch) for batch in plan.batches), reverse=True)
    assert all(size == batch_size for size in sizes[:-1])
    assert 1 <= sizes[-1] <= batch_size


@given(LENGTHS, st.integers(1, 40), SETTINGS)
def test_widths_hold_the_longest_and_no_more_than_the_multiple_asks(lengths, batch_size, settings) -> None:
    lengths = np.array(lengths)
    plan = plan_batches(lengths, batch_size, **settings)
    multiple = settings["width_multiple"]
    for batch, width in zip(plan.batches, plan.widths, strict=True):
        longest = lengths[batch].max()
        assert width >= max(longest, 1)
        # a model may have no more positions than the longest example
        assert width % multiple == 0 or width == lengths.max() or (longest == 0 and width == 1)
        assert width <= max(lengths.max(), 1)
        assert width - longest < max(multiple, 2)


@given(LENGTHS, st.integers(1, 40), SETTINGS)
def test_the_padding_share_is_as_counted_on_masks(lengths, batch_size, settings) -> None:
    plan = plan_batches(np.array(lengths), batch_size, **settings)
    masks = [
        np.arange(width) < np.array(lengths)[batch][:, None]
        for batch, width in zip(plan.batches, plan.widths, strict=True)
    ]
    positions = sum(mask.size for mask in masks)
    assert plan.padding_share == pytest.approx(sum((~mask).sum() for mask in masks) / positions)
    assert 0 <= plan.padding_share <= 1


@given(LENGTHS, st.integers(1, 40), SETTINGS)
def test_the_plan_is_a_pure_function(lengths, batch_size, settings) -> None:
    given_lengths = np.array(lengths)
    first = plan_batches(given_lengths, batch_size, **settings)
    np.random.seed(1)  # other generators must not matter
    plan_batches(given_lengths, batch_size, **{**settings, "epoch": settings["epoch"] + 1})
    again = plan_batches(list(lengths), batch_size, **settings)
    np.testing.assert_array_equal(given_lengths, lengths)
    np.testing.assert_array_equal(first.widths, again.widths)
    for a, b in zip(first.batches, again.batches, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("other", [{"seed": 1, "epoch": 0}, {"seed": 0, "epoch": 1}])
def test_another_seed_or_epoch_has_another_order(other) -> None:
    lengths = np.arange(1, 200)
    first = np.concatenate(plan_batches(lengths, 8, seed=0, epoch=0).batches)
    assert (np.concatenate(plan_batches(lengths, 8, **other).batches) != first).any()


def test_seed_and_epoch_are_not_added_up() -> None:
    lengths = np.arange(1, 200)
    a = np.concatenate(plan_batches(lengths, 8, seed=1, epoch=2).batches)
    b = np.concatenate(plan_batches(lengths, 8, seed=2, epoch=1).batches)
    assert (a != b).any()


def test_grouping_leaves_little_padding_and_still_mixes() -> None:
    lengths = np.random.default_rng(0).geometric(0.05, 10_000)
    grouped = plan_batches(lengths, 32, seed=0, epoch=0)
    random = plan_batches(lengths, 32, seed=0, epoch=0, group_lengths=False)
    assert grouped.padding_share < 0.1 < 0.5 < random.padding_share
    means = np.array([lengths[batch].mean() for batch in grouped.batches])
    # not from short to long: neighbouring steps are unlike
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.2


def test_a_pool_is_sorted_by_length() -> None:
    lengths = np.random.default_rng(0).permutation(POOL_BATCHES * 4)
    plan = plan_batches(lengths, 4, seed=0, epoch=0)
    assert all(np.ptp(lengths[batch]) == 3 for batch in plan.batches)


def test_without_shuffling_the_order_is_the_given_one_or_by_length() -> None:
    lengths = np.array([3, 9, 1, 9, 5])
    kept = plan_batches(lengths, 2, seed=0, epoch=0, shuffle=False, group_lengths=False)
    assert [batch.tolist() for batch in kept.batches] == [[0, 1], [2, 3], [4]]
    by_length = plan_batches(lengths, 2, seed=5, epoch=3, shuffle=False)
    assert [batch.tolist() for batch in by_length.batches] == [[1, 3], [4, 0], [2]]
    assert by_length.widths.tolist() == [9, 5, 1]


@pytest.mark.parametrize(
    ("lengths", "settings"),
    [
        ([], {}),
        ([[1, 2]], {}),
        ([1], {"batch_size": 0}),
        ([1], {"width_multiple": 0}),
    ],
)
def test_what_cannot_be_planned_is_refused(lengths, settings) -> None:
    with pytest.raises(ValueError, match="must be"):
        plan_batches(np.array(lengths), **{"batch_size": 2, "seed": 0, "epoch": 0, **settings})


def test_kept_near_neighbours_are_sorted_within_pools_and_small_splits_as_ever() -> None:
    lengths = np.random.default_rng(0).geometric(0.05, POOL_BATCHES * 4 * 3 + 5)
    plan = plan_batches(lengths, 4, seed=0, epoch=0, shuffle=False, keep_near=True)
    for pool in range(4):
        rows = np.concatenate(plan.batches[pool * POOL_BATCHES : (pool + 1) * POOL_BATCHES])
        assert set(rows // (POOL_BATCHES * 4)) == {pool}
        assert (np.diff(lengths[rows]) <= 0).all()
    few = lengths[: POOL_BATCHES * 4]
    for near, far in zip(
        plan_batches(few, 4, seed=0, epoch=0, shuffle=False, keep_near=True).batches,
        plan_batches(few, 4, seed=0, epoch=0, shuffle=False).batches,
        strict=True,
    ):
        np.testing.assert_array_equal(near, far)
