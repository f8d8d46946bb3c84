"""The exported image classifier: from encoded pictures to label, probabilities and logits."""

from __future__ import annotations

import io
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


def draw_probes() -> list[dict[str, bytes]]:
    """Files that decoders stumble over, of every format that is read, and some that must be refused."""
    from PIL import Image

    from kerasft.vision.files.jpeg import ADOBE

    gradient = Image.linear_gradient("L").resize((97, 61))
    colour = Image.merge("RGB", (gradient, gradient.transpose(Image.Transpose.ROTATE_180), gradient))
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = colour.copy()
    clear.putalpha(gradient.point(lambda value: 255 - value))
    few, ink = colour.quantize(16), colour.convert("CMYK")
    frames = {"save_all": True, "append_images": [few.transpose(Image.Transpose.ROTATE_180)]}
    pictures: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (colour, "JPEG", {}),
        (colour, "JPEG", {"exif": turned}),
        (gradient, "JPEG", {"quality": 30, "progressive": True}),
        (ink, "JPEG", {}),
        (clear, "PNG", {}),
        (colour, "PNG", {"exif": turned}),
        (gradient, "PNG", {}),
        (clear.convert("LA"), "PNG", {}),
        (gradient.convert("I;16"), "PNG", {}),
        (few, "PNG", {}),
        (few, "PNG", {"transparency": 1, "bits": 4}),
        (colour.quantize(4), "PNG", {"bits": 2}),
        (gradient.convert("1"), "PNG", {}),
        (colour, "PNG", {**frames, "append_images": [clear.convert("RGB")]}),
        (colour.resize((8, 8)), "PNG", {}),
        (colour.resize((1200, 9)), "PNG", {}),
        (colour, "GIF", {}),
        (few, "GIF", {"transparency": 1}),
        (few, "GIF", frames),
        (colour, "BMP", {}),
        (few, "BMP", {}),
        (colour.convert("1"), "BMP", {}),
        (clear, "BMP", {}),
        (colour, "WEBP", {"lossless": True}),
        (colour, "WEBP", {"quality": 70, "exif": turned}),
        (clear, "WEBP", {"quality": 70}),
        (colour, "WEBP", {**frames, "append_images": [clear], "lossless": True}),
    ]
    files = [_save(image, format, options) for image, format, options in pictures]
    marked = _save(ink, "JPEG", {})
    start = marked.index(ADOBE[:4])
    files.append(marked[:start] + marked[start + len(ADOBE) :])
    refused = [b"", b"no picture", _save(colour.resize((7, 7)), "PNG", {}), files[4][:-20], files[16][:200]]
    wide = files[4][:16] + (20_000).to_bytes(4, "big") * 2 + files[4][24:]
    return [{"image": file} for file in (*files, *refused, wide)]


def _save(image: Any, format: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()
