"""Augments training pictures: a pure function of (seed, epoch, index)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import tensorflow as tf

from kerasft.vision.augmentation.colour import jitter_colours
from kerasft.vision.augmentation.erasing import erase_rectangle
from kerasft.vision.augmentation.geometry import Geometry, draw_geometry, warp_image
from kerasft.vision.augmentation.mixing import mix_batch
from kerasft.vision.augmentation.random_augment import apply_colour_operations, draw_operations
from kerasft.vision.config import Augmentation, AugmentationConfig
from kerasft.vision.resampling import Resize

VERSION = 1
"""Changes whenever the same key gives other pixels."""

Mix = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class Augmenter:
    """What is done to training pictures on their way into a batch.

    `augment` goes into a `tf.data` map over examples, with a key of `keys.compute_keys`; `mix` into one over batches,
    with a key of `keys.compute_step_key`. Neither draws from a generator that has a state.

    With boxes or masks, `draw_geometry` is drawn once, `warp_image`, `warp_boxes` and `warp_mask` of `geometry` move
    all of them, and `change_colours` does the rest.

    Args:
        augmentation: what is done.
        size_px: the pictures' height and width in the end.
        resize: how evaluation meets the pictures' proportions, see `decoding.decode_image`.
    """

    def __init__(self, augmentation: Augmentation, size_px: tuple[int, int], resize: Resize = "crop"):
        self.augmentation = augmentation
        self.size_px = size_px
        self.resize = resize

    @property
    def is_identity(self) -> bool:
        """Whether pictures are as in evaluation, resized alone, and never mixed."""
        return self == Augmenter(Augmentation(), self.size_px, self.resize)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Augmenter) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @property
    def fingerprint(self) -> str:
        """Differs where the same key gives other pixels: 16 hexadecimal digits."""
        done = self.augmentation
        if not done.layers:
            done = done._replace(magnitude=0.0)
        settings = json.dumps([VERSION, done._asdict(), self.size_px, self.resize], sort_keys=True)
        return hashlib.sha256(settings.encode()).hexdigest()[:16]

    @property
    def smallest_crop(self) -> float:
        """The least share of the area that a crop takes: what `decoding.decode_near` has to leave pixels for."""
        return self.augmentation.crop[0]

    @tf.autograph.experimental.do_not_convert
    def augment(self, image: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """One picture, varied and in its final size.

        Args:
            image: uint8 or float32 (height, width, 3) in 0..255, of any size; best as `decoding.decode_near` gives it.
            key: int32 (2,), the example's in this epoch.

        Returns:
            float32 (*size_px, 3) in 0..255.
        """
        geometry = self.draw_geometry(tf.shape(image)[:2], key)
        return self.change_colours(warp_image(image, geometry, self.size_px), key)

    def draw_geometry(self, image_size: tf.Tensor, key: tf.Tensor) -> Geometry:
        """How the example's points move: for its picture, its boxes and its masks.

        Args:
            image_size: (2,), height and width in pixels.
            key: int32 (2,), the example's in this epoch.
        """
        size = tf.cast(image_size, tf.float32)
        return draw_geometry(key, size, self.size_px, self.augmentation, self.resize)

    def change_colours(self, image: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """What does not move points: colours, RandAugment's operations on colours, erasing.

        Args:
            image: float32 (*size_px, 3) in 0..255.
            key: int32 (2,), the example's in this epoch.

        Returns:
            float32 (*size_px, 3) in 0..255.
        """
        done = self.augmentation
        # a sum of shares that should be 1 may be a little more
        image = tf.clip_by_value(image, 0.0, 255.0)
        image = jitter_colours(image, key, done)
        if done.layers:
            image = apply_colour_operations(image, draw_operations(key, done.layers), done.magnitude)
            image = tf.clip_by_value(image, 0.0, 255.0)  # what stretches contrast may round up
        if done.erasing:
            image = erase_rectangle(image, key, done.erasing)
        return tf.ensure_shape(image, (*self.size_px, 3))

    @property
    def mix(self) -> Mix | None:
        """(images float32 (batch, *size_px, 3), labels float32 (batch, classes), key int32 (2,)) → the same of pairs.

        None where pictures are never mixed. Labels stay distributions: each row sums to what it summed to.
        """
        done = self.augmentation
        if not (done.mixup or done.cutmix):
            return None
        return lambda images, labels, key: mix_batch(
            images, labels, key, mixup=done.mixup, cutmix=done.cutmix
        )


def build_augmenter(
    config: AugmentationConfig, size_px: tuple[int, int], resize: Resize = "crop"
) -> Augmenter:
    """What a config's `augmentation` does.

    Args:
        config: the section.
        size_px: the pictures' height and width in the end.
        resize: how evaluation meets the pictures' proportions, see `decoding.decode_image`.
    """
    return Augmenter(config.resolve(), size_px, resize)
