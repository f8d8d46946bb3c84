"""The loss of a detector, by hand, and how many objects it tells the optimizer of."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.optimizers.denominators import take_denominator
from kerasft.tasks.object_detection.losses import (
    CenterAccuracy,
    DetectionLoss,
    compute_focal_loss,
    compute_overlaps,
)
from kerasft.tasks.object_detection.targets import IGNORED, OBJECT

LN2 = math.log(2.0)


def make_output(logits: list[float], sides: list[float], quality: float | None = 0.0) -> np.ndarray:
    """Of one cell of 8 pixels; the last number is the threshold."""
    told = [] if quality is None else [quality]
    return np.array([*logits, *sides, *told, 0.3], np.float32).reshape(1, 1, 1, -1)


def compute_loss(labels: list[tuple[float, ...]], output: np.ndarray, classes: int = 1) -> float:
    loss = DetectionLoss(classes, 8)
    return float(loss(np.array([labels], np.float32).reshape(1, -1, 6), output))


@pytest.mark.parametrize(
    ("logit", "heat", "expected"),
    [
        (0.0, 1.0, 0.25 * LN2),
        (0.0, 0.0, 0.25 * LN2),
        (0.0, 0.5, 0.25 * LN2 / 16),
        (math.log(3.0), 1.0, math.log(4 / 3) / 16),
        (math.log(3.0), 0.0, 9 / 16 * math.log(4.0)),
    ],
)
def test_the_focal_loss_is_reduced_where_it_is_easy_and_near_middles(
    logit: float, heat: float, expected: float
) -> None:
    found = compute_focal_loss(tf.constant(logit), tf.constant(heat))
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("one", "other", "overlap", "generalized"),
    [
        ([0, 0, 2, 2], [1, 1, 3, 3], 1 / 7, 1 / 7 - 2 / 9),
        ([0, 0, 1, 1], [2, 0, 3, 1], 0.0, -1 / 3),
        ([1, 2, 3, 4], [1, 2, 3, 4], 1.0, 1.0),
        ([0, 0, 4, 4], [1, 1, 3, 3], 0.25, 0.25),
        ([0, 0, 0, 0], [0, 0, 0, 0], 0.0, 0.0),
    ],
)
def test_overlaps_are_those_of_the_definition(one, other, overlap: float, generalized: float) -> None:
    found = compute_overlaps(tf.constant([one], tf.float32), tf.constant([other], tf.float32))
    np.testing.assert_allclose(np.ravel(found), [overlap, generalized], rtol=1e-6, atol=1e-7)


def test_the_loss_of_a_fitting_box_is_that_of_its_score_and_its_quality() -> None:
    found = compute_loss([(0, 0, 8, 8, 0, OBJECT)], make_output([0.0], [4, 4, 4, 4]))
    assert found == pytest.approx(0.25 * LN2 + LN2, rel=1e-5)


def test_the_loss_of_a_box_that_does_not_fit_is_five_times_what_giou_lacks() -> None:
    found = compute_loss([(0, 0, 8, 8, 0, OBJECT)], make_output([0.0], [2, 2, 2, 2]))
    assert found == pytest.approx(0.25 * LN2 + 5 * 0.75 + LN2, rel=1e-5)


def test_quality_learns_the_overlap() -> None:
    labels = tf.constant([[(0, 0, 8, 8, 0, OBJECT)]], tf.float32)
    for logit, is_right in ((-math.log(3.0), True), (0.0, False)):
        output = tf.Variable(make_output([0.0], [2, 2, 2, 2], quality=logit))
        with tf.GradientTape() as tape:
            loss = DetectionLoss(1, 8)(labels, output)
        # where σ(quality) is 1/4, as the overlap, nothing is left to learn of it
        slope = abs(tape.gradient(loss, output).numpy()[0, 0, 0, 5])
        assert (slope < 1e-6) == is_right


def test_without_quality_it_is_left_out() -> None:
    found = compute_loss([(0, 0, 8, 8, 0, OBJECT)], make_output([0.0], [4, 4, 4, 4], quality=None))
    assert found == pytest.approx(0.25 * LN2, rel=1e-5)


def test_what_is_ignored_has_no_loss_and_other_classes_have_theirs() -> None:
    output = make_output([2.0, 0.0], [4, 4, 4, 4])
    assert compute_loss([(0, 0, 8, 8, 0, IGNORED)], output, 2) == pytest.approx(0.25 * LN2, rel=1e-5)
    assert compute_loss([(0, 0, 8, 8, -1, IGNORED)], output, 2) == 0.0


def test_a_picture_without_objects_has_the_loss_of_its_background() -> None:
    assert compute_loss([], make_output([0.0], [4, 4, 4, 4])) == pytest.approx(0.25 * LN2, rel=1e-5)


def test_batches_weigh_as_many_objects_as_they_have() -> None:
    generator = np.random.default_rng(0)
    outputs = generator.normal(size=(4, 4, 4, 8)).astype(np.float32)
    outputs[..., 2:6] = np.exp(outputs[..., 2:6]) * 8
    labels = np.zeros((4, 3, 6), np.float32)
    for picture, count in enumerate((3, 0, 1, 2)):
        labels[picture, :count, :2] = generator.uniform(0, 10, (count, 2))
        labels[picture, :count, 2:4] = labels[picture, :count, :2] + generator.uniform(8, 20, (count, 2))
        labels[picture, :count, 4] = generator.integers(0, 2, count)
        labels[picture, :count, 5] = OBJECT
    loss = DetectionLoss(2, 8)
    sums, counts = [], []
    for part in (slice(0, 1), slice(1, 4)):
        value = float(loss(labels[part], outputs[part]))
        count = float(take_denominator())
        sums.append(value * count)
        counts.append(count)
    assert counts == [3.0, 3.0]
    whole = float(loss(labels, outputs))
    assert float(take_denominator()) == 6.0
    assert sum(sums) / sum(counts) == pytest.approx(whole, rel=1e-5)


def test_gradients_are_finite_where_boxes_are_far_off_or_nothing_is_there() -> None:
    output = tf.Variable(np.tile(make_output([30.0], [1e-3, 3e3, 1e-3, 3e3]), (1, 4, 4, 1)))
    for rows in ([], [(1, 1, 3, 2, 0, OBJECT)], [(0, 0, 32, 32, 0, IGNORED)]):
        labels = tf.constant(np.array([rows], np.float32).reshape(1, -1, 6))
        with tf.GradientTape() as tape:
            loss = DetectionLoss(1, 8)(labels, output)
        assert np.isfinite(float(loss))
        assert np.isfinite(tape.gradient(loss, output).numpy()).all()


def test_sample_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="no sample weights"):
        DetectionLoss(1, 8)(np.zeros((1, 0, 6)), make_output([0.0], [1, 1, 1, 1]), np.ones(1))


def test_center_accuracy_is_of_objects_alone() -> None:
    output = np.zeros((1, 2, 2, 7), np.float32)
    output[0, 0, 0, :2] = 1, 2
    output[0, 1, 1, :2] = 3, 2
    labels = np.array(
        [[(0, 0, 8, 8, 1, OBJECT), (8, 8, 16, 16, 1, OBJECT), (8, 8, 16, 16, 1, IGNORED), (0,) * 6]],
        np.float32,
    )
    metric = CenterAccuracy(2, 8)
    metric.update_state(labels, tf.constant(output))
    assert float(metric.result()) == pytest.approx(0.5)
    metric.reset_state()
    assert float(metric.result()) == 0.0


def test_the_loss_can_be_made_again_from_its_config() -> None:
    again = keras.losses.deserialize(keras.losses.serialize(DetectionLoss(3, 4)))
    assert (again.num_classes, again.stride) == (3, 4)
