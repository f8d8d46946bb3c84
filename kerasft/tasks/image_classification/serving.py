"""The served form of an image classifier: encoded pictures in; label, probabilities and logits out."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from kerasft.vision.decoding import decode_batch
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
        """image string (batch,), JPEG, PNG, GIF or BMP files → label string (batch,), the most probable; probabilities
        and logits float32 (batch, classes)."""
        images = tf.cast(decode_batch(image, self._size, resize=self._resize), tf.float32)
        logits = self._untracked[0](images)
        return {
            "label": tf.gather(self.label_names, tf.argmax(logits, -1)),
            "probabilities": tf.sigmoid(logits) if self._multi_label else tf.nn.softmax(logits),
            "logits": logits,
        }

    @property
    def signatures(self) -> dict[str, Any]:
        """For `tf.saved_model.save`."""
        return {"serving_default": self.serving_default}


def draw_probes() -> list[bytes]:
    """Files that decoders stumble over: grey, transparent, turned, tiny and long pictures of several formats."""
    from PIL import Image

    gradient = Image.linear_gradient("L").resize((97, 61))
    colour = Image.merge("RGB", (gradient, gradient.transpose(Image.Transpose.ROTATE_180), gradient))
    turned = Image.Exif()
    turned[0x0112] = 6
    transparent = colour.copy()
    transparent.putalpha(gradient.point(lambda value: 255 - value))
    probes: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (colour, "JPEG", {}),
        (colour, "JPEG", {"exif": turned}),
        (gradient, "JPEG", {"quality": 30, "progressive": True}),
        (colour.convert("CMYK"), "JPEG", {}),
        (transparent, "PNG", {}),
        (gradient, "PNG", {}),
        (colour.quantize(16), "PNG", {}),
        (colour.resize((8, 8)), "PNG", {}),
        (colour.resize((1200, 9)), "PNG", {}),
        (colour, "GIF", {}),
        (colour, "BMP", {}),
    ]
    files = []
    for image, format, options in probes:
        buffer = io.BytesIO()
        image.save(buffer, format, **options)
        files.append(buffer.getvalue())
    return files
