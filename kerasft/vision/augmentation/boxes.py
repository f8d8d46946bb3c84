"""Augments training pictures and the boxes in them: a pure function of (seed, epoch, index)."""

from __future__ import annotations

import hashlib
import json
import math
from typing import NamedTuple

import tensorflow as tf

from kerasft.vision.augmentation.colour import jitter_colours
from kerasft.vision.augmentation.erasing import is_inside
from kerasft.vision.augmentation.geometry import (
    Geometry,
    compute_matrix,
    make_quarter_turns,
    warp_boxes,
    warp_image,
)
from kerasft.vision.augmentation.random_streams import FLIP_AND_CROP, draw_uniform
from kerasft.vision.config import BoxAugmentation, BoxAugmentationConfig
from kerasft.vision.decoding.letterbox import build_box_decoder
from kerasft.vision.resampling import find_frame

VERSION = 1
"""Changes whenever the same key gives other pixels or boxes."""
LEAST_SIDE_PX = 1.0
"""A box with a shorter side in the net's input cannot be learned."""


class PlacedBoxes(NamedTuple):
    """Boxes as they lie in the net's input, in the order in which they were given.

    A box is kept, or ignored, or neither: then it is not in the picture any more, or was only padding.
    """

    boxes: tf.Tensor
    """float32 (…, boxes, 4): left, top, right, bottom in the input's pixels, cut off at its edges."""
    kept: tf.Tensor
    """bool (…, boxes): they are learned."""
    ignored: tf.Tensor
    """bool (…, boxes): too little of them is left; what lies there is neither an object nor background."""


class BoxAugmenter:
    """What is done to a detector's training pictures, and to their boxes, on their way into a batch.

    A picture is turned by quarters, scaled, put at a random place of the input, which cuts off what does not fit, and
    mirrored, each as configured; then its colours change. Nothing draws from a generator that has a state.

    Args:
        augmentation: what is done.
        size_px: the input's height and width.
    """

    def __init__(self, augmentation: BoxAugmentation, size_px: tuple[int, int]):
        self.augmentation = augmentation
        self.size_px = size_px

    @property
    def is_identity(self) -> bool:
        """Whether pictures and boxes are as in evaluation."""
        return self.augmentation == BoxAugmentation(min_visibility=self.augmentation.min_visibility)

    @property
    def fingerprint(self) -> str:
        """Differs where the same key gives other pixels or boxes: 16 hexadecimal digits."""
        settings = json.dumps([VERSION, self.augmentation._asdict(), self.size_px], sort_keys=True)
        return hashlib.sha256(settings.encode()).hexdigest()[:16]

    @property
    def smallest_crop(self) -> float:
        """The least share of the area that is cut out of a picture: what `letterbox.build_box_decoder` has to know."""
        return 1.0 / max(self.augmentation.scale[1], 1.0) ** 2

    @tf.autograph.experimental.do_not_convert
    def decode_and_augment(
        self, data: tf.Tensor, boxes: tf.Tensor, keys: tf.Tensor
    ) -> tuple[tf.Tensor, PlacedBoxes]:
        """A batch of a prepared dataset's pictures.

        Args:
            data: string (batch,), JPEG or PNG files.
            boxes: float32 (batch, boxes, 4), in the pictures' pixels; rows of zeros are padding.
            keys: int32 (batch, 2), of `keys.compute_keys`.

        Returns:
            float32 (batch, *size_px, 3) in 0..255, and the boxes in their pixels.
        """
        decode = build_box_decoder(self.size_px, self.smallest_crop)

        def vary(example: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, PlacedBoxes]:
            near, moved = decode(example[0], example[1])
            return self.augment(near, moved, example[2])

        flags = tf.TensorSpec((None,), tf.bool)
        placed = PlacedBoxes(tf.TensorSpec((None, 4), tf.float32), flags, flags)
        return tf.map_fn(
            vary,
            (data, boxes, keys),
            fn_output_signature=(tf.TensorSpec((*self.size_px, 3), tf.float32), placed),
        )

    @tf.autograph.experimental.do_not_convert
    def augment(self, image: tf.Tensor, boxes: tf.Tensor, key: tf.Tensor) -> tuple[tf.Tensor, PlacedBoxes]:
        """One picture, varied and in its final size, and its boxes.

        Args:
            image: uint8 or float32 (height, width, 3) in 0..255, of any size.
            boxes: float32 (boxes, 4): left, top, right, bottom in its pixels.
            key: int32 (2,), the example's in this epoch.

        Returns:
            float32 (*size_px, 3) in 0..255, and the boxes in its pixels.
        """
        image_size = tf.cast(tf.shape(image)[:2], tf.float32)
        geometry = self.draw_geometry(image_size, key)
        matrix = compute_matrix(geometry, self.size_px)
        # a sum of shares that should be 1 may be a little more
        pixels = tf.clip_by_value(warp_image(image, geometry, self.size_px), 0.0, 255.0)
        changed = jitter_colours(pixels, key, self.augmentation)
        if changed is not pixels:
            # what lies outside of the picture is black in evaluation
            changed = tf.where(self._find_picture(image_size, matrix)[..., None], changed, 0.0)
        moved, shares = warp_boxes(boxes, matrix, self.size_px)
        return tf.ensure_shape(changed, (*self.size_px, 3)), judge_boxes(
            moved, shares, self.augmentation.min_visibility
        )

    def _find_picture(self, image_size: tf.Tensor, matrix: tf.Tensor) -> tf.Tensor:
        """Which of the input's pixels show the picture: bool (height, width)."""
        whole = tf.concat([tf.zeros([2]), tf.reverse(image_size, [0])], axis=0)
        frame = warp_boxes(whole[None], matrix, self.size_px)[0][0]
        low, high = tf.reverse(frame[:2], [0]), tf.reverse(frame[2:], [0])
        return is_inside(low, high, tf.constant(self.size_px, tf.float32))

    def draw_geometry(self, image_size: tf.Tensor, key: tf.Tensor) -> Geometry:
        """How the example's points move.

        The scale is drawn from a log-uniform distribution, and multiplies the scale that evaluation uses for the
        picture as it is, turned or not: objects keep the sizes that a test picture has.

        Args:
            image_size: float32 (2,), height and width in pixels.
            key: int32 (2,), the example's in this epoch.
        """
        done = self.augmentation
        uniform = draw_uniform(key, FLIP_AND_CROP, 6)
        low, high = done.scale
        scale = low * tf.exp(uniform[0] * math.log(high / low))
        _, frame = find_frame(image_size, self.size_px, "pad")
        count, mirrored = tf.constant(0), None
        if done.rotate_90:
            count = tf.cast(4.0 * uniform[3], tf.int32)
        if done.flip:
            mirrored = uniform[4] < 0.5
        if done.flip_vertical:
            # top and bottom are exchanged by half a turn and a mirror
            upside_down = uniform[5] < 0.5
            count = (count + 2 * tf.cast(upside_down, tf.int32)) % 4
            mirrored = upside_down if mirrored is None else tf.not_equal(mirrored, upside_down)
        turns = None
        if done.rotate_90 or done.flip_vertical:
            turns = make_quarter_turns(count, image_size)
            image_size = tf.where(count % 2 == 1, tf.reverse(image_size, [0]), image_size)
        box_size = frame / scale
        # negative where the picture is smaller than the input: then it lies inside
        corner = uniform[1:3] * (image_size - box_size)
        return Geometry(corner, box_size, None, mirrored, 0, turns)


def judge_boxes(boxes: tf.Tensor, shares: tf.Tensor, least_share: float) -> PlacedBoxes:
    """Which boxes are learned: of which at least this share of the area is left, and a side of at least a pixel.

    Args:
        boxes: float32 (…, boxes, 4), in the input's pixels, cut off at its edges.
        shares: float32 (…, boxes), of their areas that are left.
        least_share: of those that are learned.
    """
    sides = boxes[..., 2:] - boxes[..., :2]
    kept = (shares >= least_share) & (tf.reduce_min(sides, axis=-1) >= LEAST_SIDE_PX)
    return PlacedBoxes(boxes, kept, ~kept & (tf.reduce_min(sides, axis=-1) > 0.0))


def place_boxes(boxes: tf.Tensor) -> PlacedBoxes:
    """Boxes of pictures that are not augmented.

    Args:
        boxes: float32 (…, boxes, 4), in the input's pixels, of `letterbox.move_to_input`; those without area are
            padding.
    """
    return judge_boxes(boxes, tf.ones(tf.shape(boxes)[:-1]), 0.0)


def build_box_augmenter(config: BoxAugmentationConfig, size_px: tuple[int, int]) -> BoxAugmenter:
    """What a config's `augmentation` does.

    Args:
        config: the section.
        size_px: the input's height and width.
    """
    return BoxAugmenter(config.resolve(), size_px)
