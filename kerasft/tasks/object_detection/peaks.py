"""From a detector's maps to boxes: the peaks of the heat, the surest first. There is nothing to suppress.

Source: Zhou et al. 2019, arXiv:1904.07850: a peak is what no cell beside it exceeds.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from kerasft.models.image.detectors import DetectorOutput, split_output
from kerasft.tasks.object_detection.targets import place_cells
from kerasft.vision.decoding.letterbox import Letterbox, move_to_picture

_LEAST_THRESHOLD = 1e-6
"""No score is below it but 0, which stands for no answer, and must not become one."""


class Peaks(NamedTuple):
    """The surest answers of each picture, `k` of them."""

    boxes: tf.Tensor
    """float32 (batch, k, 4): left, top, right, bottom, in pixels of the input."""
    scores: tf.Tensor
    """float32 (batch, k), from 0 to 1, falling; 0 stands for no answer."""
    labels: tf.Tensor
    """int32 (batch, k): the classes' numbers."""


@tf.autograph.experimental.do_not_convert
def find_peaks(output: DetectorOutput, stride: int, max_detections: int) -> Peaks:
    """The surest peaks.

    The score of a peak is its probability; where the detector says how well its boxes fit, the root of the product of
    both.

    Args:
        output: a detector's.
        stride: pixels of the input a cell.
        max_detections: how many, at most; k is less where there are fewer cells.
    """
    logits, sides, quality, _ = output
    rows, columns, classes = logits.shape[1:]
    is_peak = logits >= tf.nn.max_pool2d(logits, 3, 1, "SAME")
    scores = tf.sigmoid(logits)
    if quality is not None:
        scores = tf.sqrt(scores * tf.sigmoid(quality)[..., None])
    flat = tf.reshape(tf.where(is_peak, scores, 0.0), [-1, rows * columns * classes])
    best, places = tf.math.top_k(flat, min(max_detections, rows * columns * classes))
    cells = places // classes
    told = tf.gather(tf.reshape(sides, [-1, rows * columns, 4]), cells, batch_dims=1)
    middles = tf.gather(tf.reshape(place_cells((rows, columns), stride), [-1, 2]), cells)
    boxes = tf.concat([middles - told[..., :2], middles + told[..., 2:]], axis=-1)
    return Peaks(boxes, best, places % classes)


def answer_pictures(
    output: tf.Tensor,
    letterbox: Letterbox,
    *,
    num_classes: int,
    stride: int,
    max_detections: int,
    threshold: float | None,
) -> dict[str, tf.Tensor]:
    """What a detector says of pictures, in their own pixels.

    Args:
        output: a detector's, float32 (batch, rows, columns, …).
        letterbox: where the pictures lie in its input.
        num_classes: classes of objects.
        stride, max_detections: as for `find_peaks`.
        threshold: the score from which on a box is an answer; None: the detector's own.

    Returns:
        `boxes` float32 (batch, k, 4), `scores` float32 (batch, k), falling, `labels` int32 (batch, k), and `threshold`
        float32 (batch,). Boxes below the threshold are among them.
    """
    said = split_output(output, num_classes)
    peaks = find_peaks(said, stride, max_detections)
    settled = said.threshold if threshold is None else tf.fill(tf.shape(said.threshold), threshold)
    settled = tf.maximum(settled, _LEAST_THRESHOLD)
    return {
        "boxes": move_to_picture(peaks.boxes, letterbox),
        "scores": peaks.scores,
        "labels": peaks.labels,
        "threshold": settled,
    }
