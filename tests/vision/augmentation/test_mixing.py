"""MixUp and CutMix: pictures and labels in the same shares, partners of the same batch."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from kerasft.vision.augmentation.keys import compute_step_key
from kerasft.vision.augmentation.mixing import blend, mix_batch, paste


def make_batch(count: int = 6) -> tuple[tf.Tensor, tf.Tensor]:
    """Picture i is 10·i all over, and its label is class i: what became of it can be read off any pixel."""
    levels = 10.0 * tf.range(count, dtype=tf.float32)
    return tf.ones([count, 16, 20, 3]) * levels[:, None, None, None], tf.eye(count)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0, 8.0])
@pytest.mark.parametrize("step", range(4))
def test_blended_pictures_have_their_labels_shares(step, alpha):
    images, labels = blend(*make_batch(), tf.constant(compute_step_key(0, 0, step)), alpha)
    np.testing.assert_allclose(tf.reduce_sum(labels, axis=1), 1.0, atol=1e-6)
    expected = tf.linalg.matvec(labels, 10.0 * tf.range(6, dtype=tf.float32))
    np.testing.assert_allclose(
        images, tf.broadcast_to(expected[:, None, None, None], images.shape), atol=1e-3
    )


@pytest.mark.parametrize("step", range(6))
def test_a_pasted_rectangle_counts_by_its_pixels(step):
    images, labels = paste(*make_batch(), tf.constant(compute_step_key(0, 0, step)), 1.0)
    for place, (image, label) in enumerate(zip(images.numpy(), labels.numpy(), strict=True)):
        theirs = image[..., 0] != 10.0 * place
        assert label[place] == pytest.approx(1.0 - theirs.mean(), abs=1e-6)
        if theirs.any():
            (level,) = np.unique(image[theirs])
            assert label[int(level / 10)] == pytest.approx(theirs.mean(), abs=1e-6)
            rows, columns = np.flatnonzero(theirs.any(axis=1)), np.flatnonzero(theirs.any(axis=0))
            assert theirs[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


def test_no_picture_is_its_own_partner_and_each_is_one_once():
    for step in range(10):
        _, labels = blend(*make_batch(5), tf.constant(compute_step_key(1, 0, step)), 1.0)
        others = labels.numpy() * (1.0 - np.eye(5))
        assert ((others > 0).sum(axis=1) <= 1).all()
        assert ((others > 0).sum(axis=0) <= 1).all()
        assert (others > 0).sum() >= 4


@pytest.mark.parametrize("function", [blend, paste])
def test_a_batch_of_one_or_none_stays(function):
    key = tf.constant([3, 4])
    images, labels = make_batch(1)
    mixed, mixed_labels = function(images + 5.0, labels, key, 1.0)
    np.testing.assert_allclose(mixed, images + 5.0, atol=1e-5)
    np.testing.assert_allclose(mixed_labels, labels, atol=1e-6)
    empty, _ = function(images[:0], labels[:0], key, 1.0)
    assert empty.shape == (0, 16, 20, 3)


def test_the_same_step_mixes_the_same_and_another_does_not():
    mix = tf.function(lambda key: mix_batch(*make_batch(), key, mixup=0.2, cutmix=1.0), autograph=False)
    first, again, other = (mix(tf.constant(compute_step_key(0, 2, step))) for step in (5, 5, 6))
    np.testing.assert_array_equal(first[0], again[0])
    assert np.abs(first[1] - other[1]).max() > 1e-3


def test_with_both_some_batches_are_blended_and_some_pasted():
    batch = make_batch()
    kinds = set()
    for step in range(12):
        images, _ = mix_batch(*batch, tf.constant(compute_step_key(0, 0, step)), mixup=1.0, cutmix=1.0)
        kinds.add(bool(np.all(images.numpy() % 10.0 == 0.0)))
    assert kinds == {True, False}


def test_shares_follow_the_beta_distribution():
    _, labels = blend(tf.zeros([4000, 1, 1, 1]), tf.eye(4000), tf.constant([5, 6]), 0.4)
    shares = np.diag(labels)
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(1.0 / (4.0 * (2.0 * 0.4 + 1.0)), abs=0.01)
