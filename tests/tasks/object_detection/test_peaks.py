"""From maps to boxes: peaks, their scores, at most so many, in the pictures' own pixels."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from kerasft.models.image.detectors import DetectorOutput
from kerasft.tasks.object_detection.peaks import answer_pictures, find_peaks
from kerasft.vision.decoding.letterbox import Letterbox

STRIDE = 8


def make_output(
    logits: np.ndarray, *, side: float = 4.0, quality: np.ndarray | None = None
) -> DetectorOutput:
    sides = np.full((*logits.shape[:3], 4), side, np.float32)
    told = None if quality is None else tf.constant(quality, tf.float32)
    return DetectorOutput(tf.constant(logits, tf.float32), tf.constant(sides), told, tf.constant([0.3]))


def make_logits(**cells: float) -> np.ndarray:
    """float32 (1, 5, 6, 2), −9 but in the cells that are named by row, column and class: `c121=2.0`."""
    logits = np.full((1, 5, 6, 2), -9.0, np.float32)
    for name, value in cells.items():
        row, column, label = map(int, name[1:])
        logits[0, row, column, label] = value
    return logits


def test_a_cell_that_none_beside_it_exceeds_is_a_peak_and_its_box_lies_around_its_middle() -> None:
    peaks = find_peaks(make_output(make_logits(c120=2.0, c130=1.0, c340=0.0, c121=1.5)), STRIDE, 3)
    np.testing.assert_array_equal(peaks.labels[0], [0, 1, 0])
    np.testing.assert_allclose(peaks.scores[0], tf.sigmoid([2.0, 1.5, 0.0]), rtol=1e-6)
    np.testing.assert_array_equal(peaks.boxes[0], [[16, 8, 24, 16], [16, 8, 24, 16], [32, 24, 40, 32]])


def test_the_quality_of_a_box_counts_in_its_score_and_in_the_order() -> None:
    logits = make_logits(c000=2.0, c440=1.0)
    quality = np.zeros((1, 5, 6), np.float32)
    quality[0, 0, 0], quality[0, 4, 4] = -3.0, 3.0
    peaks = find_peaks(make_output(logits, quality=quality), STRIDE, 2)
    expected = [np.sqrt(tf.sigmoid(1.0) * tf.sigmoid(3.0)), np.sqrt(tf.sigmoid(2.0) * tf.sigmoid(-3.0))]
    np.testing.assert_allclose(peaks.scores[0], expected, rtol=1e-6)
    np.testing.assert_array_equal(peaks.boxes[0][0], [32, 32, 40, 40])


def test_no_more_boxes_than_cells_and_classes() -> None:
    peaks = find_peaks(make_output(make_logits()), STRIDE, 1000)
    assert peaks.boxes.shape == (1, 60, 4)


@pytest.mark.parametrize("count", [1, 4])
def test_pictures_of_a_batch_have_their_own_peaks(count: int) -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(4, 5, 6, 2)).astype(np.float32)
    whole = find_peaks(make_output(logits), STRIDE, 10)
    for start in range(0, 4, count):
        part = find_peaks(make_output(logits[start : start + count]), STRIDE, 10)
        for one, other in zip(part, whole, strict=True):
            np.testing.assert_allclose(one, other[start : start + count], rtol=1e-6)


@pytest.mark.parametrize(("asked", "threshold"), [(None, 0.3), (0.75, 0.75)])
def test_answers_are_in_the_pictures_own_pixels_and_inside_them(
    asked: float | None, threshold: float
) -> None:
    logits = make_logits(c120=2.0, c051=1.0)
    output = np.concatenate([logits, np.full((1, 5, 6, 4), 8.0), np.full((1, 5, 6, 1), 0.3)], axis=-1).astype(
        np.float32
    )
    letterbox = Letterbox(
        scale=tf.constant([0.5]), offset=tf.constant([[0.0, 4.0]]), size=tf.constant([[64, 90]])
    )
    said = answer_pictures(
        tf.constant(output), letterbox, num_classes=2, stride=STRIDE, max_detections=2, threshold=asked
    )
    # the first lies from 12 to 28 and from 4 to 20 in the input, the second beyond the picture's upper right corner
    np.testing.assert_allclose(said["boxes"][0], [[24, 0, 56, 32], [72, 0, 90, 16]])
    np.testing.assert_array_equal(said["labels"][0], [0, 1])
    np.testing.assert_allclose(said["threshold"], [threshold], rtol=1e-6)


def test_with_a_threshold_of_0_what_is_no_peak_is_still_no_answer() -> None:
    logits = make_logits(c120=2.0, c121=1.5)
    output = np.concatenate([logits, np.ones((1, 5, 6, 5))], axis=-1).astype(np.float32)
    letterbox = Letterbox(scale=tf.ones([1]), offset=tf.zeros([1, 2]), size=tf.constant([[40, 48]]))
    said = answer_pictures(
        tf.constant(output), letterbox, num_classes=2, stride=STRIDE, max_detections=60, threshold=0.0
    )
    counts = np.asarray(said["scores"] >= said["threshold"][:, None])
    assert 2 <= counts.sum() < 60
    np.testing.assert_array_equal(counts, said["scores"] > 0.0)
