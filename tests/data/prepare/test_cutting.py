"""Cutting splits from train."""

import numpy as np
import pytest

from kerasft.data.prepare.cutting import cut


def rows(count, seed=0, labels=3):
    random = np.random.default_rng(seed)
    keys = random.integers(0, 2**63, count, dtype=np.uint64)
    chosen = random.choice(labels, count, p=[0.7, 0.25, 0.05]).astype(np.int32)
    own = np.arange(count, dtype=np.uint32)
    return keys, chosen, own


def test_each_label_gives_its_share():
    keys, labels, own = rows(5000)
    splits = cut(keys, labels, own, own, {1: 0.1, 2: 0.2}, seed=3)
    for label in range(3):
        count = (labels == label).sum()
        assert (splits[labels == label] == 1).sum() == round(count * 0.1)
        assert (splits[labels == label] == 2).sum() == round(count * 0.2)


def test_the_cut_follows_from_the_seed_and_not_from_the_rows_order():
    keys, labels, own = rows(1000)
    splits = cut(keys, labels, own, own, {1: 0.1, 2: 0.1}, seed=5)
    np.testing.assert_array_equal(splits, cut(keys, labels, own, own, {1: 0.1, 2: 0.1}, seed=5))
    assert (splits != cut(keys, labels, own, own, {1: 0.1, 2: 0.1}, seed=6)).any()
    order = np.random.default_rng(1).permutation(1000)
    np.testing.assert_array_equal(
        splits[order], cut(keys[order], labels[order], own, own, {1: 0.1, 2: 0.1}, seed=5)
    )


def test_equal_texts_and_near_ones_stay_together():
    keys, labels, own = rows(2000)
    clusters = own // 4 * 4
    groups = own // 2 * 2
    splits = cut(keys, labels, groups, clusters, {1: 0.2, 2: 0.2}, seed=0)
    assert (splits.reshape(-1, 4) == splits[::4, None]).all()
    assert np.bincount(splits).tolist() == pytest.approx([1200, 400, 400], abs=12)


def test_a_cluster_of_nearly_everything_is_told_apart_by_exact_text():
    keys, labels, own = rows(1000)
    splits = cut(keys, labels, own, np.zeros(1000, np.uint32), {1: 0.1}, seed=0)
    assert (splits == 1).sum() == pytest.approx(100, abs=2)


def test_a_text_that_stands_everywhere_stays_in_train():
    keys, labels, own = rows(1000)
    labels[:] = 0
    groups = own.copy()
    groups[:600] = 0
    keys[:600] = keys[0]
    splits = cut(keys, labels, groups, groups, {1: 0.1, 2: 0.1}, seed=0)
    assert not splits[:600].any()
    assert np.bincount(splits).tolist() == [800, 100, 100]


def test_a_rare_label_gives_one_row_to_each_split():
    keys, labels, own = rows(100)
    labels[:] = 0
    labels[10:13] = 1
    splits = cut(keys, labels, own, own, {1: 0.1, 2: 0.1}, seed=0)
    assert sorted(splits[10:13].tolist()) == [0, 1, 2]


def test_of_few_rows_texts_that_stand_twice_are_cut_together():
    keys, _, own = rows(200)
    pairs = own // 2 * 2
    labels = np.zeros(200, np.int32)
    for groups in (pairs, own):
        splits = cut(keys[pairs], labels, groups, pairs, {1: 0.1, 2: 0.1}, seed=0)
        np.testing.assert_array_equal(splits[::2], splits[1::2])
        assert np.bincount(splits).tolist() == [160, 20, 20]


@pytest.mark.parametrize("seed", range(5))
def test_train_keeps_rows_of_each_label_though_near_duplicates_are_cut_together(seed):
    keys, _, own = rows(10, seed)
    labels = np.array([0, 1] * 5, np.int32)
    clusters = np.array([0, 1, 0, 1, 0, 1, 6, 7, 6, 7], np.uint32)
    splits = cut(keys, labels, own, clusters, {1: 0.1, 2: 0.1}, seed)
    for label in (0, 1):
        assert np.bincount(splits[labels == label]).tolist() == [3, 1, 1]


def test_a_label_of_one_text_stays_in_train():
    keys, _, own = rows(20)
    labels = np.zeros(20, np.int32)
    labels[:3] = 1
    groups = own.copy()
    groups[:3] = 0
    splits = cut(keys, labels, groups, groups, {1: 0.1, 2: 0.1}, seed=0)
    assert not splits[:3].any()
    assert splits.any()
