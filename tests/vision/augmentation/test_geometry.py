"""Where points go: against numbers worked by hand, and image, mask and boxes against each other."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerasft.vision.augmentation.geometry import (
    Geometry,
    compute_matrix,
    draw_geometry,
    warp_boxes,
    warp_image,
    warp_mask,
)
from kerasft.vision.augmentation.keys import compute_keys
from kerasft.vision.config import Augmentation

QUARTER_TURN = [[0.0, 1.0, 0.0], [-1.0, 0.0, 8.0], [0.0, 0.0, 1.0]]  # counterclockwise in 8 × 8 pixels


def make_geometry(corner=(0.0, 0.0), box_size=(8.0, 8.0), turn=None, mirrored=None) -> Geometry:
    return Geometry(
        tf.constant(corner),
        tf.constant(box_size),
        None if turn is None else tf.constant(turn),
        None if mirrored is None else tf.constant(mirrored),
        0,
    )


def make_picture(height: int = 8, width: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_a_quarter_turn_is_counterclockwise():
    picture = make_picture()
    turned = warp_image(picture, make_geometry(turn=QUARTER_TURN), (8, 8))
    np.testing.assert_allclose(turned, np.rot90(picture), atol=1e-3)


def test_mirrored_twice_is_the_picture():
    picture, geometry = make_picture(), make_geometry(mirrored=True)
    once = warp_image(picture, geometry, (8, 8))
    np.testing.assert_array_equal(once, picture[:, ::-1])
    np.testing.assert_array_equal(warp_image(once, geometry, (8, 8)), picture)


def test_a_crop_is_pillows_resized_box():
    picture = make_picture(30, 40)
    ours = warp_image(picture, make_geometry((3.5, 7.25), (21.0, 30.5)), (10, 12))
    box = (7.25, 3.5, 37.75, 24.5)
    theirs = np.asarray(Image.fromarray(picture).resize((12, 10), Image.Resampling.BILINEAR, box=box), float)
    # Pillow does not look beyond the box at its edges
    np.testing.assert_allclose(ours[1:-1, 1:-1], theirs[1:-1, 1:-1], atol=1.01)


def test_boxes_move_as_worked_by_hand():
    # the part from (x 10, y 20), 40 wide and 80 high, becomes 20 × 20: x is halved, y quartered
    geometry = make_geometry((20.0, 10.0), (80.0, 40.0))
    boxes = tf.constant([[20.0, 40.0, 30.0, 60.0], [0.0, 20.0, 20.0, 100.0], [60.0, 20.0, 90.0, 40.0]])
    moved, shares = warp_boxes(boxes, compute_matrix(geometry, (20, 20)), (20, 20))
    np.testing.assert_allclose(moved, [[5, 5, 10, 10], [0, 0, 5, 20], [20, 0, 20, 5]], atol=1e-4)
    np.testing.assert_allclose(shares, [1.0, 0.5, 0.0], atol=1e-5)
    mirrored = compute_matrix(geometry._replace(mirrored=tf.constant(True)), (20, 20))
    np.testing.assert_allclose(warp_boxes(boxes, mirrored, (20, 20))[0][0], [10, 5, 15, 10], atol=1e-4)


def test_boxes_follow_a_turn():
    boxes = tf.constant([[1.0, 2.0, 4.0, 3.0]])
    moved, shares = warp_boxes(boxes, tf.constant(QUARTER_TURN), (8, 8))
    np.testing.assert_allclose(moved, [[2, 4, 3, 7]], atol=1e-5)
    np.testing.assert_allclose(shares, [1.0])
    half = math.sqrt(0.5)
    eighth = tf.constant([[half, half, 0.0], [-half, half, 10.0], [0.0, 0.0, 1.0]])
    # a square of side 2 on its corner is √8 wide
    moved, _ = warp_boxes(tf.constant([[2.0, 2.0, 4.0, 4.0]]), eighth, (20, 20))
    np.testing.assert_allclose(moved[0, 2:] - moved[0, :2], [math.sqrt(8.0)] * 2, rtol=1e-5)


def test_no_boxes_stay_no_boxes():
    moved, shares = warp_boxes(tf.zeros([0, 4]), tf.eye(3), (8, 8))
    assert moved.shape == (0, 4)
    assert shares.shape == (0,)


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("layers", [0, 2])
def test_image_mask_and_boxes_move_together(resize, layers):
    augmentation = Augmentation(flip=True, crop=(0.5, 1.0), rotation_degrees=30.0, layers=layers)
    picture = np.zeros((60, 80, 1), np.uint8)
    picture[24:34, 35:47] = 200
    box = tf.constant([[35.0, 24.0, 47.0, 34.0]])
    for key in compute_keys(0, 0, np.arange(20)):
        geometry = draw_geometry(key, tf.constant([60.0, 80.0]), (48, 48), augmentation, resize)
        matrix = compute_matrix(geometry, (48, 48))
        image = warp_image(picture, geometry, (48, 48)).numpy()[..., 0]
        mask = warp_mask(picture, matrix, (48, 48)).numpy()[..., 0]
        assert set(np.unique(mask)) <= {0, 200}
        # they differ along edges alone
        assert np.abs(image - mask).sum() / 200 < 0.3 * max(np.sum(mask) / 200, 40)
        (moved,), _ = warp_boxes(box, matrix, (48, 48))
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows):
            around = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            np.testing.assert_allclose(around, moved, atol=1.5)


def test_a_mask_has_the_id_asked_for_outside():
    mask = np.ones((8, 8, 1), np.uint8)
    shifted = warp_mask(mask, tf.constant([[1.0, 0, 3], [0, 1.0, 0], [0, 0, 1.0]]), (8, 8), outside=255)
    assert (shifted.numpy()[:, :3] == 255).all()
    assert (shifted.numpy()[:, 3:] == 1).all()


def test_turning_a_crop_brings_in_picture_and_no_black():
    white = np.full((100, 100, 3), 255, np.uint8)
    augmentation = Augmentation(rotation_degrees=45.0)
    for key in compute_keys(0, 0, np.arange(10)):
        drawn = draw_geometry(key, tf.constant([100.0, 100.0]), (32, 32), augmentation, "crop")
        inner = drawn._replace(corner=tf.constant([30.0, 30.0]), box_size=tf.constant([40.0, 40.0]))
        np.testing.assert_allclose(warp_image(white, inner, (32, 32)), 255.0, atol=1e-2)


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
def test_crops_have_the_asked_share_of_what_evaluation_sees(resize):
    augmentation = Augmentation(crop=(0.3, 0.6))
    image_size = tf.constant([60.0, 90.0])
    whole = {"crop": 60 * 60, "pad": 90 * 90, "stretch": 60 * 90}[resize]
    draw = tf.function(lambda key: draw_geometry(key, image_size, (32, 32), augmentation, resize)[:2])
    corners, shares = [], []
    for key in compute_keys(0, 0, np.arange(200)):
        corner, box_size = draw(tf.constant(key))
        corners.append(corner.numpy())
        shares.append(np.prod(box_size) / whole)
        if resize != "pad":
            assert (corner >= 0.0).numpy().all()
            assert (corner + box_size <= image_size + 1e-3).numpy().all()
    assert min(shares) == pytest.approx(0.3, abs=0.02)
    assert max(shares) == pytest.approx(0.6, abs=0.02)
    assert np.std(corners, axis=0).min() > 4.0
