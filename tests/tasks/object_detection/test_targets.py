"""What a detector learns of each cell, by hand: Gaussians, whose cells they are, what is ignored."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kerasft.tasks.object_detection.targets import (
    IGNORED,
    OBJECT,
    PADDING,
    compute_targets,
    find_middles,
    place_cells,
)

STRIDE, SIZE = 8, (8, 8)
NEXT, SECOND = math.exp(-0.72), math.exp(-2.88)
"""A Gaussian with radius 2 has a deviation of 5/6 cells: exp(−½·(6/5)²) beside its middle, then exp(−½·(12/5)²)."""


def make_labels(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array([rows], np.float32).reshape(1, -1, 6)


def compute(*rows: tuple[float, ...], classes: int = 2) -> tuple[np.ndarray, ...]:
    targets = compute_targets(make_labels(*rows), SIZE, STRIDE, classes)
    return tuple(part.numpy()[0] if part.shape.rank else part.numpy() for part in targets)


def test_a_box_is_a_gaussian_of_its_class_around_its_middle() -> None:
    heat, counted, boxes, weights, count = compute((0, 0, 64, 64, 1, OBJECT))
    expected = np.zeros(8)
    expected[2:7] = [SECOND, NEXT, 1.0, NEXT, SECOND]
    np.testing.assert_allclose(heat[..., 1], np.outer(expected, expected), rtol=1e-5, atol=1e-7)
    assert heat[4, 4, 1] == 1.0
    assert not heat[..., 0].any()
    assert counted.all()
    assert count == 1
    np.testing.assert_allclose(weights, np.outer(expected, expected) / expected.sum() ** 2, rtol=1e-5)
    np.testing.assert_array_equal(boxes[weights > 0], np.tile([0, 0, 64, 64], (25, 1)))


def test_a_small_box_is_one_cell_and_a_wide_one_a_row_of_cells() -> None:
    heat, _, _, weights, _ = compute((26, 18, 30, 22, 0, OBJECT))
    assert np.argwhere(heat).tolist() == [[2, 3, 0]]
    assert np.argwhere(weights).tolist() == [[2, 3]]
    heat, *_ = compute((0, 28, 64, 36, 0, OBJECT))
    assert np.argwhere(heat[..., 0]).tolist() == [[4, column] for column in range(2, 7)]


def test_where_boxes_lie_on_one_another_the_smallest_is_learned_and_each_counts_the_same() -> None:
    large, small = (0, 0, 64, 64, 0, OBJECT), (42, 34, 46, 38, 0, OBJECT)
    heat, _, boxes, weights, count = compute(large, small)
    assert count == 2
    assert heat[4, 4, 0] == heat[4, 5, 0] == 1.0
    np.testing.assert_array_equal(boxes[4, 5], small[:4])
    np.testing.assert_array_equal(boxes[4, 4], large[:4])
    assert weights[4, 5] == 1.0
    assert weights.sum() == pytest.approx(2.0)


def test_padding_and_pictures_without_boxes_teach_that_there_is_nothing() -> None:
    heat, counted, _, weights, count = compute((0, 0, 0, 0, -1, PADDING))
    assert not heat.any()
    assert not weights.any()
    assert count == 0
    assert counted.all()
    targets = compute_targets(np.zeros((3, 0, 6), np.float32), SIZE, STRIDE, 2)
    assert targets.heat.shape == (3, 8, 8, 2)
    assert not targets.heat.numpy().any()
    assert targets.counted.numpy().all()


def test_an_ignored_box_is_neither_object_nor_background_of_its_class() -> None:
    heat, counted, _, weights, count = compute((8, 16, 25, 32, 1, IGNORED))
    assert not heat.any()
    assert not weights.any()
    assert count == 0
    assert counted[..., 0].all()
    touched = np.zeros(SIZE, bool)
    touched[2:4, 1:4] = True
    np.testing.assert_array_equal(counted[..., 1] == 0, touched)


def test_an_ignored_box_without_a_class_is_ignored_for_all_classes() -> None:
    _, counted, *_ = compute((0, 0, 8, 8, -1, IGNORED))
    assert (counted == 0).sum() == 2
    assert not counted[0, 0].any()


def test_an_object_in_a_crowd_is_learned_all_the_same() -> None:
    heat, counted, *_ = compute((0, 0, 64, 64, 0, IGNORED), (34, 34, 38, 38, 0, OBJECT))
    assert np.argwhere(counted[..., 0]).tolist() == [[4, 4]]
    assert heat[4, 4, 0] == 1.0


def test_pictures_of_a_batch_do_not_mix() -> None:
    first, second = (0, 0, 64, 64, 0, OBJECT), (0, 0, 16, 16, 1, OBJECT)
    together = compute_targets(np.array([[first], [second]], np.float32), SIZE, STRIDE, 2)
    for row, label in enumerate((first, second)):
        alone = compute_targets(make_labels(label), SIZE, STRIDE, 2)
        for name in ("heat", "counted", "boxes", "weights"):
            np.testing.assert_array_equal(getattr(together, name)[row], getattr(alone, name)[0], name)
    assert together.count == 2


def test_a_middle_on_the_edge_lies_in_the_last_cell() -> None:
    boxes = np.array([[62, 0, 66, 2], [0, 0, 16, 32]], np.float32)
    np.testing.assert_array_equal(find_middles(boxes, (8, 8), STRIDE), [[7, 0], [1, 2]])


def test_cells_are_placed_by_their_middles() -> None:
    cells = place_cells((2, 3), 4).numpy()
    assert cells.shape == (2, 3, 2)
    np.testing.assert_array_equal(cells[1, 2], [10, 6])
