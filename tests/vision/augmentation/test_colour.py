"""Operations on colours: against Pillow's, and numbers worked by hand."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from kerasft.vision.augmentation import random_augment
from kerasft.vision.augmentation.colour import change_colours, jitter_colours
from kerasft.vision.augmentation.keys import compute_keys
from kerasft.vision.config import Augmentation

PICTURE = np.random.default_rng(3).integers(20, 200, (24, 30, 3)).astype(np.uint8)
IMAGE = tf.constant(PICTURE, tf.float32)


def assert_like_pillow(ours, theirs: Image.Image, most: float = 1.5):
    # Pillow rounds grey and cuts fractions off
    np.testing.assert_allclose(ours, np.asarray(theirs, np.float32), atol=most)


@pytest.mark.parametrize("factor", [0.1, 0.7, 1.0, 1.9])
def test_colours_change_as_in_pillow(factor):
    picture = Image.fromarray(PICTURE)
    assert_like_pillow(
        change_colours(IMAGE, brightness=factor), ImageEnhance.Brightness(picture).enhance(factor)
    )
    assert_like_pillow(change_colours(IMAGE, saturation=factor), ImageEnhance.Color(picture).enhance(factor))
    assert_like_pillow(change_colours(IMAGE, contrast=factor), ImageEnhance.Contrast(picture).enhance(factor))
    sharper = ImageEnhance.Sharpness(picture).enhance(factor)
    assert_like_pillow(random_augment.sharpen(IMAGE, factor), sharper)


def test_operations_are_those_of_pillow():
    picture = Image.fromarray(PICTURE)
    assert_like_pillow(random_augment.stretch_to_full_range(IMAGE), ImageOps.autocontrast(picture))
    assert_like_pillow(random_augment.equalize(IMAGE), ImageOps.equalize(picture), 0)
    assert_like_pillow(random_augment.solarize(IMAGE, 90.0), ImageOps.solarize(picture, 90), 0)
    assert_like_pillow(random_augment.posterize(IMAGE, 5), ImageOps.posterize(picture, 5), 0)


@pytest.mark.parametrize("value", [0.0, 77.0, 255.0])
def test_a_picture_of_one_colour_survives(value):
    flat = tf.fill([9, 9, 3], value)
    for operation in (random_augment.stretch_to_full_range, random_augment.equalize):
        np.testing.assert_array_equal(operation(flat), flat)
    np.testing.assert_allclose(random_augment.sharpen(flat, 1.9), flat, atol=1e-3)
    np.testing.assert_allclose(change_colours(flat, 1.0, 0.3, 1.7, 0.2), flat, atol=0.05)


def test_hue_turns_colours_and_keeps_grey_and_its_brightness():
    image = tf.constant([[[160.0, 100.0, 90.0], [120.0, 120.0, 120.0]]])
    turned = change_colours(image, hue=1 / 3).numpy()[0]
    np.testing.assert_allclose(turned[1], 120.0, atol=0.05)
    luma = np.array([0.299, 0.587, 0.114])
    assert turned[0] @ luma == pytest.approx(image[0, 0].numpy() @ luma, abs=0.1)
    before = colorsys.rgb_to_hsv(*(image[0, 0].numpy() / 255))[0]
    after = colorsys.rgb_to_hsv(*(turned[0] / 255))[0]
    assert abs((after - before) % 1 - 1 / 3) < 0.08 or abs((before - after) % 1 - 1 / 3) < 0.08
    np.testing.assert_allclose(change_colours(image, hue=1.0), image, atol=0.1)


def test_one_matrix_is_one_change_after_the_other():
    image = 90.0 + IMAGE * 0.2
    at_once = change_colours(image, 1.1, 0.8, 1.2, 0.05)
    for change in ({"brightness": 1.1}, {"saturation": 0.8}, {"hue": 0.05}, {"contrast": 1.2}):
        image = change_colours(image, **change)
    np.testing.assert_allclose(at_once, image, atol=0.05)


def test_jitter_stays_within_its_limits_and_uses_them():
    grey = tf.fill([4, 4, 3], 100.0)
    limits = Augmentation(brightness=0.2)
    keys = tf.constant(compute_keys(0, 0, np.arange(300)))
    jitter = tf.function(lambda key: jitter_colours(grey, key, limits)[0, 0, 0])
    values = [float(jitter(key)) for key in keys]
    assert 80.0 <= min(values) < 82.0
    assert 118.0 < max(values) <= 120.0
    assert jitter_colours(grey, tf.constant([1, 2]), Augmentation()) is grey


def test_every_operation_is_drawn_about_as_often():
    keys = tf.constant(compute_keys(0, 0, np.arange(400)))
    draw = tf.function(lambda key: random_augment.draw_operations(key, 2).kinds)
    kinds = np.concatenate([draw(key) for key in keys])
    counts = np.bincount(kinds, minlength=len(random_augment.NAMES))
    assert len(counts) == len(random_augment.NAMES) == 14
    assert counts.min() > 30
    assert counts.max() < 85


def test_an_operation_is_the_one_that_its_name_says():
    strength, magnitude = 0.5, 5.0
    expected = {
        "identity": IMAGE,
        "autocontrast": random_augment.stretch_to_full_range(IMAGE),
        "equalize": random_augment.equalize(IMAGE),
        "solarize": random_augment.solarize(IMAGE, 128.0),
        "posterize": random_augment.posterize(IMAGE, 6),
        "color": change_colours(IMAGE, saturation=1 + strength * 0.9),
        "contrast": change_colours(IMAGE, contrast=1 + strength * 0.9),
        "brightness": change_colours(IMAGE, brightness=1 + strength * 0.9),
        "sharpness": random_augment.sharpen(IMAGE, 1 + strength * 0.9),
    }
    for place, name in enumerate(random_augment.NAMES):
        drawn = random_augment.Operations(tf.constant([place]), tf.constant([1.0]))
        result = random_augment.apply_colour_operations(IMAGE, drawn, magnitude)
        np.testing.assert_allclose(result, expected.get(name, IMAGE), atol=1e-3)
        (matrix,) = random_augment.list_movements(drawn, magnitude, (24, 30))
        assert (name in random_augment.MOVING_OPERATIONS) == (not np.allclose(matrix, np.eye(3)))
