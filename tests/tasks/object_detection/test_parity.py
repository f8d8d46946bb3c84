"""How far an export's boxes are from the model's: order does not matter, what is missing does."""

from __future__ import annotations

import numpy as np
import pytest

from kerasft.tasks.object_detection.serving import measure_boxes

NAMES = ["cat", "dog"]
BOXES = np.array([[0, 0, 10, 10], [20, 20, 40, 40], [50, 0, 60, 9]], np.float32)
SCORES = np.array([0.9, 0.6, 0.2], np.float32)


def make_output(**changes):
    output = {"boxes": BOXES, "scores": SCORES, "labels": np.array([0, 1, 0]), "threshold": np.float32(0.3)}
    return {**output, **changes}


def make_answers(order=(0, 1), **changes):
    order = list(order)
    answers = {
        "boxes": BOXES[None, order],
        "scores": SCORES[None, order],
        "labels": np.array([["cat", "dog", "cat"]])[:, order],
        "count": np.array([len(order)]),
    }
    return {**answers, **changes}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_same_boxes_in_any_order_do_not_differ(order) -> None:
    differences, equal = measure_boxes(make_answers(order), [make_output()], NAMES)
    assert differences[0] == 0.0
    assert equal.all()


def test_scores_differ_as_they_are_and_a_pixel_as_a_thousandth() -> None:
    moved = make_answers(boxes=BOXES[None, [0, 1]] + np.float32(0.05))
    differences, equal = measure_boxes(moved, [make_output()], NAMES)
    assert differences[0] == pytest.approx(5e-5, rel=1e-2)
    assert equal.all()
    surer = make_answers(scores=np.array([[0.9, 0.61]], np.float32))
    assert measure_boxes(surer, [make_output()], NAMES)[0][0] == pytest.approx(0.01, rel=1e-3)


def test_a_box_that_is_missed_differs_by_how_far_it_is_beyond_the_threshold() -> None:
    differences, equal = measure_boxes(make_answers((0,)), [make_output()], NAMES)
    assert differences[0] == pytest.approx(0.3, rel=1e-5)
    assert not equal.any()


def test_a_box_of_another_class_differs_by_its_whole_score() -> None:
    other = make_answers(labels=np.array([["cat", "bird"]]))
    differences, equal = measure_boxes(other, [make_output()], NAMES)
    assert differences[0] == pytest.approx(0.6)
    assert not equal.any()


def test_a_picture_without_boxes_answers_so() -> None:
    differences, equal = measure_boxes(make_answers(()), [make_output(scores=SCORES / 10)], NAMES)
    assert differences[0] == 0.0
    assert equal.all()
