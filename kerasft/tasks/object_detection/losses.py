"""The loss of a detector: where the objects are, how well their boxes fit, and how well it says so.

    loss = (Σ focal + 5·Σ w·(1 − GIoU) + Σ w·crossentropy(quality, IoU)) / max(objects, 1)

Over the cells of a batch; w is `Targets.weights`. The focal loss is reduced near the middles:

    −(1 − p)²·ln p               where the heat y is 1,
    −(1 − y)⁴·p²·ln(1 − p)       elsewhere.

Source: the focal loss is that of Law and Deng 2018, arXiv:1808.01244, with α = 2 and β = 4 as in Zhou et al. 2019,
arXiv:1904.07850; GIoU of Rezatofighi et al. 2019, arXiv:1902.09630, weighed as in Liu et al. 2020, arXiv:1909.00700;
the quality of Wu et al. 2020, arXiv:1912.05992.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kerasft.models.image.detectors import split_output
from kerasft.optimizers.denominators import set_denominator
from kerasft.tasks.object_detection.targets import OBJECT, compute_targets, find_middles, place_cells

_PLACE_WEIGHT = 5.0


@keras.saving.register_keras_serializable(package="kerasft")
class DetectionLoss(keras.losses.Loss):
    """The loss above, of labels float32 (batch, boxes, 6), as `compute_targets` takes them, and a detector's output.

    Each object counts the same, whichever picture it is in, and whichever of the batches that make one update.

    Args:
        num_classes: classes of objects.
        stride: pixels of the input a cell.
    """

    def __init__(self, num_classes: int, stride: int, name: str = "detection_loss", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.num_classes, self.stride = num_classes, stride

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if sample_weight is not None:
            raise ValueError("pictures of a detector have no sample weights")
        with tf.name_scope(self.name):
            said = split_output(tf.cast(y_pred, tf.float32), self.num_classes)
            rows, columns = y_pred.shape[1:3]
            targets = compute_targets(y_true, (rows, columns), self.stride, self.num_classes)
            focal = compute_focal_loss(said.logits, targets.heat)
            total = tf.reduce_sum(focal * targets.counted)
            overlap, generalized = compute_overlaps(
                make_boxes(said.sides, (rows, columns), self.stride), targets.boxes
            )
            total += _PLACE_WEIGHT * tf.reduce_sum(targets.weights * (1.0 - generalized))
            if said.quality is not None:
                quality = tf.nn.sigmoid_cross_entropy_with_logits(tf.stop_gradient(overlap), said.quality)
                total += tf.reduce_sum(targets.weights * quality)
            count = tf.maximum(targets.count, 1.0)
            set_denominator(self, count)
            # as Keras does with its own, so that gradients can be summed over replicas
            replicas = tf.distribute.get_strategy().num_replicas_in_sync
            return total / count / replicas if replicas > 1 else total / count

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_classes": self.num_classes, "stride": self.stride}


def compute_focal_loss(logits: tf.Tensor, heat: tf.Tensor) -> tf.Tensor:
    """The focal loss of each number of the heat map, nats; both float32 of one shape, `heat` from 0 to 1."""
    probability = tf.sigmoid(logits)
    positive = tf.square(1.0 - probability) * tf.nn.softplus(-logits)
    negative = tf.pow(1.0 - heat, 4.0) * tf.square(probability) * tf.nn.softplus(logits)
    return tf.where(heat >= 1.0, positive, negative)


def make_boxes(sides: tf.Tensor, size: tuple[int, int], stride: int) -> tf.Tensor:
    """float32 (batch, rows, columns, 4): left, top, right and bottom of the boxes that a map's distances make.

    Args:
        sides: float32 (batch, rows, columns, 4), pixels of the input.
        size: rows and columns.
        stride: pixels of the input a cell.
    """
    middles = place_cells(size, stride)
    return tf.concat([middles - sides[..., :2], middles + sides[..., 2:]], axis=-1)


def compute_overlaps(one: tf.Tensor, other: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """IoU and GIoU of boxes side by side.

        GIoU = IoU − (C − union) / C, with C the area of the smallest box around both

    Args:
        one, other: float32 (…, 4): left, top, right, bottom. A box without area overlaps nothing.

    Returns:
        float32 (…), from 0 to 1 and from −1 to 1.
    """
    inner = _compute_area(tf.maximum(one[..., :2], other[..., :2]), tf.minimum(one[..., 2:], other[..., 2:]))
    outer = _compute_area(tf.minimum(one[..., :2], other[..., :2]), tf.maximum(one[..., 2:], other[..., 2:]))
    union = _compute_area(one[..., :2], one[..., 2:]) + _compute_area(other[..., :2], other[..., 2:]) - inner
    overlap = tf.math.divide_no_nan(inner, union)
    return overlap, overlap - tf.math.divide_no_nan(outer - union, outer)


def _compute_area(corner: tf.Tensor, opposite: tf.Tensor) -> tf.Tensor:
    return tf.reduce_prod(tf.maximum(opposite - corner, 0.0), axis=-1)


class CenterAccuracy(keras.metrics.Metric):
    """The share of objects whose class is the likeliest in the cell of their middle.

    Args:
        num_classes, stride: as in `DetectionLoss`.
    """

    def __init__(self, num_classes: int, stride: int, name: str = "center_accuracy", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self._num_classes, self._stride = num_classes, stride
        self._right = self.add_weight(name="right", initializer="zeros")
        self._objects = self.add_weight(name="objects", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        labels = tf.cast(y_true, tf.float32)
        size = y_pred.shape[1:3]
        middles = find_middles(labels[..., :4], (size[0], size[1]), self._stride)
        places = middles[..., 1] * size[1] + middles[..., 0]
        likeliest = tf.argmax(y_pred[..., : self._num_classes], axis=-1, output_type=tf.int32)
        flat = tf.reshape(likeliest, [-1, size[0] * size[1]])
        told = tf.gather(flat, places, batch_dims=1)
        is_object = tf.equal(labels[..., 5], float(OBJECT)) & (labels[..., 4] >= 0)
        right = is_object & tf.equal(told, tf.cast(labels[..., 4], tf.int32))
        self._right.assign_add(tf.reduce_sum(tf.cast(right, tf.float32)))
        self._objects.assign_add(tf.reduce_sum(tf.cast(is_object, tf.float32)))

    def result(self) -> Any:
        return tf.math.divide_no_nan(self._right.value, self._objects.value)
