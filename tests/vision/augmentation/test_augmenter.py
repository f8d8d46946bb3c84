"""Augmentation as a whole: the same pixels for the same key, within range, as configured."""

from __future__ import annotations

import numpy as np
import pydantic
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.vision.augmentation.augmenter import build_augmenter
from kerasft.vision.augmentation.erasing import erase_rectangle
from kerasft.vision.augmentation.keys import compute_keys, compute_step_key
from kerasft.vision.config import Augmentation, AugmentationConfig, RandAugmentConfig
from kerasft.vision.decoding.graph import decode_image

SIZE = (24, 20)
EVERYTHING = AugmentationConfig(
    policy="strong", rotation_degrees=20.0, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1, erasing=0.5
)


def make_pictures(count: int = 12, height: int = 40, width: int = 50) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (count, 5, 5, 3)).astype(np.float32)
    return tf.image.resize(coarse, (height, width)).numpy().astype(np.uint8)


def augment_all(config: AugmentationConfig, keys: np.ndarray, order=None, threads: int = 1) -> np.ndarray:
    """All pictures through a tf.data pipeline; the result in the pictures' order whatever that of the work."""
    pictures = make_pictures(len(keys))
    order = np.arange(len(keys)) if order is None else order
    augmenter = build_augmenter(config, SIZE)
    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    dataset = tf.data.Dataset.from_tensor_slices((pictures[order], keys[order]))
    dataset = dataset.map(augmenter.augment, num_parallel_calls=threads).with_options(options)
    results = np.stack(list(dataset.as_numpy_iterator()))
    return results[np.argsort(order)]


def test_pixels_are_the_same_whatever_the_threads_and_the_order():
    keys = compute_keys(7, 3, np.arange(12))
    once = augment_all(EVERYTHING, keys)
    assert once.shape == (12, *SIZE, 3)
    assert once.dtype == np.float32
    shuffled = augment_all(EVERYTHING, keys, np.random.default_rng(1).permutation(12), threads=8)
    np.testing.assert_array_equal(once, shuffled)


def test_epochs_examples_and_seeds_differ():
    keys = np.concatenate(
        [compute_keys(seed, epoch, np.arange(4)) for seed, epoch in ((7, 0), (7, 1), (8, 0))]
    )
    pictures = np.repeat(make_pictures(1), 12, axis=0)
    augmenter = build_augmenter(EVERYTHING, SIZE)
    dataset = tf.data.Dataset.from_tensor_slices((pictures, keys)).map(augmenter.augment)
    results = np.stack(list(dataset.as_numpy_iterator()))
    differences = np.abs(results[:, None] - results[None]).mean(axis=(2, 3, 4))
    assert (differences + np.eye(12) > 0.9).all()


def test_keys_are_known_numbers_and_never_meet():
    assert compute_keys(0, 0, np.array([0, 1])).tolist() == [
        [-638695082, -494823971],
        [1474307265, 1067605526],
    ]
    keys = [compute_keys(seed, epoch, np.arange(2000)) for seed in (0, 1, 2**40) for epoch in (0, 1, 2)]
    keys += [
        compute_step_key(seed, epoch, step)[None] for seed in (0, 1) for epoch in (0, 1) for step in range(50)
    ]
    together = np.concatenate(keys)
    assert together.dtype == np.int32
    assert len(np.unique(together, axis=0)) == len(together)
    np.testing.assert_array_equal(compute_keys(3, 1, np.array([9, 4]))[1:], compute_keys(3, 1, np.array([4])))


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_no_augmentation_is_what_evaluation_sees(resize):
    augmenter = build_augmenter(AugmentationConfig(policy="none"), SIZE, resize)
    assert augmenter.is_identity
    assert augmenter.mix is None
    picture = make_pictures(1)[0]
    expected = decode_image(tf.io.encode_png(picture), SIZE, resize=resize)
    np.testing.assert_allclose(augmenter.augment(picture, tf.constant([1, 2])), expected, atol=0.51)


def test_half_the_pictures_are_mirrored_and_a_mirrored_one_is_the_mirror_image():
    config = AugmentationConfig(policy="none", flip=True)
    picture = make_pictures(1)[0]
    plain = (
        build_augmenter(AugmentationConfig(policy="none"), SIZE).augment(picture, tf.constant([0, 0])).numpy()
    )
    augmenter = build_augmenter(config, SIZE)
    results = [augmenter.augment(picture, key).numpy() for key in compute_keys(0, 0, np.arange(100))]
    mirrored = [np.array_equal(result, plain[:, ::-1]) for result in results]
    assert all(
        flipped or np.array_equal(result, plain) for flipped, result in zip(mirrored, results, strict=True)
    )
    assert 35 <= sum(mirrored) <= 65
    both = build_augmenter(config, SIZE[::-1]).augment(
        picture.transpose(1, 0, 2)[:, ::-1], tf.constant([0, 0])
    )
    assert both.shape == (*SIZE[::-1], 3)


@st.composite
def draw_config(draw):
    def up_to(most):
        return draw(st.sampled_from([None, 0.0, most / 2, most]))

    return AugmentationConfig(
        policy=draw(st.sampled_from(["none", "light", "medium", "strong"])),
        flip=draw(st.sampled_from([None, False, True])),
        crop=draw(st.sampled_from([None, (0.01, 0.02), (0.5, 1.0), (1.0, 1.0)])),
        rotation_degrees=up_to(180.0),
        brightness=up_to(1.0),
        contrast=up_to(1.0),
        saturation=up_to(1.0),
        hue=up_to(0.5),
        rand_augment=draw(
            st.none() | st.builds(RandAugmentConfig, layers=st.integers(0, 3), magnitude=st.floats(0, 10))
        ),
        erasing=up_to(1.0),
        mixup=up_to(10.0),
        cutmix=up_to(10.0),
    )


@given(
    draw_config(),
    st.integers(0, 2**40),
    st.sampled_from(["crop", "pad", "stretch"]),
    st.integers(1, 60),
    st.integers(1, 60),
)
@settings(max_examples=25, deadline=None)
def test_any_config_and_picture_stays_in_range(config, seed, resize, height, width):
    augmenter = build_augmenter(config, (9, 12), resize)
    picture = np.random.default_rng(seed % 1000).integers(0, 256, (height, width, 3)).astype(np.uint8)
    keys = compute_keys(seed, 0, np.arange(3))
    images = np.stack([augmenter.augment(picture, key) for key in keys])
    assert images.shape == (3, 9, 12, 3)
    labels = np.eye(3, dtype=np.float32)
    if augmenter.mix:
        images, labels = augmenter.mix(images, labels, compute_step_key(seed, 0, 0))
    assert np.isfinite(images).all()
    assert np.min(images) >= 0.0
    assert np.max(images) <= 255.0
    np.testing.assert_allclose(np.sum(labels, axis=1), 1.0, atol=1e-5)
    assert np.min(labels) >= -1e-6


def test_contrast_that_is_stretched_to_the_end_stays_in_range():
    augmenter = build_augmenter(AugmentationConfig(policy="strong", crop=(0.01, 0.02)), (9, 12), "crop")
    picture = np.random.default_rng(0).integers(0, 256, (1, 16, 3)).astype(np.uint8)
    images = [augmenter.augment(picture, key).numpy() for key in compute_keys(0, 0, np.arange(3))]
    assert max(image.max() for image in images) <= 255.0


def test_erasing_fills_one_rectangle_with_noise():
    image = tf.fill([40, 40, 3], 7.0)
    shares = []
    for key in compute_keys(1, 0, np.arange(40)):
        changed = (erase_rectangle(image, key, 1.0).numpy() != 7.0).any(axis=-1)
        rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        shares.append(changed.mean())
    assert 0.005 < min(shares) < 0.1
    assert 0.25 < max(shares) < 0.45
    np.testing.assert_array_equal(erase_rectangle(image, tf.constant([1, 2]), 0.0), image)


def test_erasing_happens_as_often_as_asked():
    image = tf.zeros([8, 8, 3])
    erased = sum(
        bool(np.any(erase_rectangle(image, key, 0.25))) for key in compute_keys(0, 0, np.arange(200))
    )
    assert 30 <= erased <= 70


def test_a_given_key_replaces_what_the_policy_says():
    light = AugmentationConfig().resolve()
    assert AugmentationConfig(mixup=0.2).resolve() == light._replace(mixup=0.2)
    assert AugmentationConfig(flip=False, brightness=0.0).resolve() == light._replace(
        flip=False, brightness=0.0
    )
    assert AugmentationConfig(policy="none").resolve() == Augmentation()
    without = AugmentationConfig(policy="strong", rand_augment=RandAugmentConfig(layers=0)).resolve()
    assert without.layers == 0
    assert without.cutmix == 1.0


@pytest.mark.parametrize(
    "wrong",
    [{"crop": [0.9, 0.5]}, {"crop": [0.0, 1.0]}, {"crop": [0.5, 1.2]}, {"hue": 0.6}, {"policy": "mild"}],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(pydantic.ValidationError):
        AugmentationConfig(**wrong)


def test_the_fingerprint_tells_what_changes_pixels():
    def fingerprint(size_px=SIZE, resize="crop", **keys):
        return build_augmenter(AugmentationConfig(**keys), size_px, resize).fingerprint

    assert fingerprint() == fingerprint(policy="light", flip=True)
    assert fingerprint() == fingerprint(rand_augment=RandAugmentConfig(layers=0, magnitude=3.0))
    assert len({fingerprint(), fingerprint(mixup=0.1), fingerprint(resize="pad"), fingerprint((20, 24))}) == 4
