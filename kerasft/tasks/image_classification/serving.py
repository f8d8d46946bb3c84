"""The exported image classifier: from encoded pictures to label, probabilities and logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kerasft.tasks.served import answer_classes
from kerasft.vision.decoding.graph import decode_or_explain
from kerasft.vision.resampling import Resize


class ImageClassifierModule(tf.Module):
    """Decoder, net and head in one graph of core TensorFlow ops.

    Args:
        model: from pictures, float32 (batch, size, size, 3), to logits.
        forward: what is done with it: pictures → logits (batch, classes).
        size_px: height and width of the pictures.
        resize: how they are brought to it.
        label_names: the classes, in the order of the logits.
        multi_label: whether any number of them may hold.
    """

    def __init__(
        self,
        model: Any,
        forward: Callable[[Any], Any],
        size_px: int,
        resize: Resize,
        label_names: Sequence[str],
        multi_label: bool,
    ):
        super().__init__(name="image_classifier")
        # the variables alone are tracked: a Keras model in a SavedModel would bring its own metadata along
        self.weights = [variable.value for variable in model.weights]
        self._size, self._resize, self._multi_label = (size_px, size_px), resize, multi_label
        self.label_names = tf.constant(list(label_names))
        self._untracked = [lambda images: forward(images)]

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image")])
    def serving_default(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        """image string (batch,), JPEG, PNG, GIF, BMP or WebP files → label string (batch,), the most probable;
        probabilities and logits float32 (batch, classes); status string (batch,), why a picture has no answer: then
        its label is empty and its numbers are 0."""
        images, status = decode_or_explain(image, self._size, resize=self._resize)
        logits = self._untracked[0](tf.cast(images, tf.float32))
        probabilities = tf.sigmoid(logits) if self._multi_label else tf.nn.softmax(logits)
        return answer_classes(logits, probabilities, self.label_names, status)

    @property
    def signatures(self) -> dict[str, Any]:
        """For `tf.saved_model.save`."""
        return {"serving_default": self.serving_default}
