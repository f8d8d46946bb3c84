"""Losses against distributions over labels, from logits, with label smoothing and class weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.optimizers.denominators import CountedLoss


class _WeightedLoss(CountedLoss):
    def __init__(self, smoothing: float = 0.0, class_weights: Sequence[float] | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.smoothing = smoothing
        self.class_weights = None if class_weights is None else [float(weight) for weight in class_weights]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "smoothing": self.smoothing, "class_weights": self.class_weights}


@keras.saving.register_keras_serializable(package="kerasft")
class DistributionCrossentropy(_WeightedLoss):
    """Cross-entropy of softmax: −Σ w_c·((1 − ε)·y_c + ε/classes)·log p_c, averaged over the batch.

    Args:
        smoothing: ε, in [0, 1).
        class_weights: w, one a class; None: ones.

    Source: Szegedy et al. 2016, arXiv:1512.00567.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        classes = y_pred.shape[-1]
        targets = tf.cast(y_true, tf.float32) * (1.0 - self.smoothing) + self.smoothing / classes
        if self.class_weights is not None:
            targets = targets * tf.constant(self.class_weights, tf.float32)
        return -tf.reduce_sum(targets * tf.nn.log_softmax(tf.cast(y_pred, tf.float32)), -1)


@keras.saving.register_keras_serializable(package="kerasft")
class MultiLabelCrossentropy(_WeightedLoss):
    """Cross-entropy of sigmoids: the mean over classes of −w_c·y·log p − (1 − y)·log(1 − p), with y moved by ε to ½.

    Args:
        smoothing: ε, in [0, 1).
        class_weights: w, the weight of a label that holds, one a class; None: ones.
    """

    def call(self, y_true: Any, y_pred: Any) -> Any:
        targets = tf.cast(y_true, tf.float32) * (1.0 - self.smoothing) + 0.5 * self.smoothing
        weights = 1.0 if self.class_weights is None else tf.constant(self.class_weights, tf.float32)
        logits = tf.cast(y_pred, tf.float32)
        return tf.reduce_mean(tf.nn.weighted_cross_entropy_with_logits(targets, logits, weights), -1)


def compute_class_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Weights that let each label count as much as any other.

    Of one label an example: examples / (classes · examples of the class). Of any number: those without the label for
    each one with it. A label that no example has weighs 1.

    Args:
        labels: int (examples,), or (examples, classes) of 0 and 1.
        num_classes: how many there are.

    Returns:
        float64 (classes,).
    """
    if labels.ndim == 1:
        counts = np.bincount(labels, minlength=num_classes)
        weights = len(labels) / (num_classes * np.maximum(counts, 1))
    else:
        counts = labels.astype(np.int64).sum(0)
        weights = (len(labels) - counts) / np.maximum(counts, 1)
    return np.where(counts == 0, 1.0, weights)
