"""The exported detector: from encoded pictures of any size to boxes in their own pixels, scores and names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.data.feed import Output
from kerasft.tasks.object_detection.peaks import answer_pictures
from kerasft.tasks.served import STATUS_LINE
from kerasft.vision.decoding.letterbox import decode_letterbox_or_explain

ANSWER_LINES = (
    STATUS_LINE,
    "- `count`: int32 (batch,), how many boxes the picture has; what stands behind them in its rows is filler;",
    "- `boxes`: float32 (batch, boxes, 4), left, top, right and bottom in the picture's pixels, from its upper left "
    "corner, the surest first;",
    "- `scores`: float32 (batch, boxes), from 0 to 1;",
    "- `labels`: string (batch, boxes), the classes.",
)
_PX = 1e-3
"""A difference of so much in a score weighs as a pixel does."""


class ObjectDetectorModule(tf.Module):
    """Decoder, net, head and peaks in one graph of core TensorFlow ops.

    Args:
        model: of `build_detector`.
        size_px: height and width of its input.
        label_names: the classes, in the order of its outputs.
        options: further arguments of `answer_pictures`.
    """

    def __init__(
        self, model: Any, size_px: tuple[int, int], label_names: Sequence[str], options: Mapping[str, Any]
    ):
        super().__init__(name="object_detector")
        # the variables alone are tracked: a Keras model in a SavedModel would bring its own metadata along
        self.weights = [variable.value for variable in model.weights]
        self._size = size_px
        self.label_names = tf.constant(list(label_names))
        self._untracked = [
            lambda images, letterbox: answer_pictures(
                model({"image": images}, training=False), letterbox, **options
            )
        ]

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image")])
    def serving_default(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """image string (batch,), JPEG, PNG, GIF, BMP or WebP files → boxes float32 (batch, k, 4) in the pictures' own
        pixels; scores float32 and labels string (batch, k); count int32 (batch,), how many of the k count; status
        string (batch,), why a picture has no answer: then it has no boxes."""
        images, letterbox, status = decode_letterbox_or_explain(image, self._size)
        said = self._untracked[0](tf.cast(images, tf.float32), letterbox)
        sure = (said["scores"] >= said["threshold"][:, None]) & tf.equal(status, "")[:, None]
        return {
            "boxes": tf.where(sure[..., None], said["boxes"], tf.zeros_like(said["boxes"])),
            "scores": tf.where(sure, said["scores"], tf.zeros_like(said["scores"])),
            "labels": tf.where(sure, tf.gather(self.label_names, said["labels"]), ""),
            "count": tf.reduce_sum(tf.cast(sure, tf.int32), axis=1),
            "status": status,
        }

    @property
    def signatures(self) -> dict[str, Any]:
        """For `tf.saved_model.save`."""
        return {"serving_default": self.serving_default}


def measure_boxes(
    answers: Mapping[str, np.ndarray], outputs: Sequence[Output], label_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """See `Served.measure`. Each answer is held against the model's nearest box of its class; a pixel between them
    weighs as much as a thousandth of a score. What is only on one side of the threshold differs by how far it is from
    it."""
    differences, equal = np.zeros(len(outputs)), np.ones(len(outputs), bool)
    for index, output in enumerate(outputs):
        count = int(answers["count"][index])
        names = np.array(label_names)[output["labels"]]
        free = np.ones(len(names), bool)
        for place in range(count):
            box, score = answers["boxes"][index, place], answers["scores"][index, place]
            same = free & (names == answers["labels"][index, place])
            apart = np.maximum(np.abs(output["boxes"] - box).max(-1) * _PX, np.abs(output["scores"] - score))
            apart = np.where(same, apart, np.inf)
            if not same.any() or apart.min() > score:
                differences[index], equal[index] = max(differences[index], float(score)), False
                continue
            nearest = int(apart.argmin())
            free[nearest] = False
            differences[index] = max(differences[index], float(apart[nearest]))
        missed = free & (output["scores"] >= output["threshold"])
        equal[index] &= count == np.count_nonzero(output["scores"] >= output["threshold"])
        if missed.any():
            beyond = float((output["scores"][missed] - output["threshold"]).max())
            differences[index] = max(differences[index], beyond)
    return differences, equal
