"""Where a picture's points go when it is cropped, turned and mirrored: drawn once, then done to image, mask and boxes.

Points are (x, y) in pixels, (0, 0) being the top left corner of the top left pixel. A matrix takes (x, y, 1) of the
picture to the same of the result.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from kerasft.vision.augmentation.random_augment import draw_operations, list_movements
from kerasft.vision.augmentation.random_streams import FLIP_AND_CROP, ROTATION, draw_uniform
from kerasft.vision.config import Augmentation
from kerasft.vision.decoding.orientation import turn_quarters
from kerasft.vision.resampling import Resize, find_frame, resample_box

_WIDEST = 4.0 / 3.0  # a crop's proportions differ from the frame's by up to this


class QuarterTurns(NamedTuple):
    """Turns of a whole picture by a multiple of 90°, which move pixels and change none."""

    count: tf.Tensor
    """int32 scalar in 0..3, counterclockwise."""
    matrix: tf.Tensor
    """float32 (3, 3): what moves the picture's points."""


class Geometry(NamedTuple):
    """What becomes of a picture's points: a box is cut out and resized, the result turned, then mirrored.

    With quarter turns the picture itself is turned before all this, and the box is one of the turned picture.
    """

    corner: tf.Tensor
    """float32 (2,): the box's top left (y, x) in the picture."""
    box_size: tf.Tensor
    """float32 (2,): the box's height and width in the picture."""
    turn: tf.Tensor | None
    """float32 (3, 3): what moves the resized box's points; None where nothing may."""
    mirrored: tf.Tensor | None
    """bool scalar: left and right are exchanged in the end; None where they never are."""
    margin_px: int
    """What is resized beyond the box, so that turning brings in picture and no black corners."""
    quarter_turns: QuarterTurns | None = None
    """None where the picture is never so turned."""


def draw_geometry(
    key: tf.Tensor,
    image_size: tf.Tensor,
    size_px: tuple[int, int],
    augmentation: Augmentation,
    resize: Resize,
) -> Geometry:
    """Draws how a picture is cropped, turned and mirrored.

    A crop's share is of what evaluation sees of the picture (`find_frame`), its proportions are the target's within
    3:4 to 4:3, and it lies anywhere in the picture.

    Args:
        key: int32 (2,), the example's.
        image_size: float32 (2,), the picture's height and width.
        size_px: the result's.
        augmentation: what may be done.
        resize: how evaluation meets the picture's proportions.
    """
    uniform = draw_uniform(key, FLIP_AND_CROP, 5)
    corner, box_size = find_frame(image_size, size_px, resize)
    if augmentation.crop != (1.0, 1.0):
        corner, box_size = _draw_crop(uniform[1:], image_size, corner, box_size, augmentation.crop, resize)
    turns = []
    if augmentation.rotation_degrees:
        most = math.radians(augmentation.rotation_degrees)
        turns.append(_rotate((2.0 * draw_uniform(key, ROTATION, 1)[0] - 1.0) * most))
    if augmentation.layers:
        operations = draw_operations(key, augmentation.layers)
        turns += list_movements(operations, augmentation.magnitude, size_px)
    return Geometry(
        corner,
        box_size,
        _around_centre(turns, size_px) if turns else None,
        uniform[0] < 0.5 if augmentation.flip else None,
        _find_margin(augmentation.rotation_degrees, size_px),
    )


def _draw_crop(
    uniform: tf.Tensor,
    image_size: tf.Tensor,
    corner: tf.Tensor,
    frame: tf.Tensor,
    shares: tuple[float, float],
    resize: Resize,
) -> tuple[tf.Tensor, tf.Tensor]:
    share = shares[0] + (shares[1] - shares[0]) * uniform[0]
    stretch = tf.exp((uniform[1] - 0.5) * math.log(_WIDEST))
    # padding belongs to what evaluation sees; otherwise a crop stays inside the picture
    region_corner, region = (corner, frame) if resize == "pad" else (tf.zeros([2]), image_size)
    size = tf.minimum(frame * tf.sqrt(share) * tf.stack([stretch, 1.0 / stretch]), region)
    return region_corner + uniform[2:4] * (region - size), size


def _rotate(angle: tf.Tensor) -> tf.Tensor:
    """Counterclockwise, as seen on the screen, by radians."""
    cosine, sine, zero = tf.cos(angle), tf.sin(angle), tf.zeros([])
    return tf.stack([[cosine, sine, zero], [-sine, cosine, zero], [zero, zero, 1.0]])


def _around_centre(turns: list[tf.Tensor], size_px: tuple[int, int]) -> tf.Tensor:
    """One matrix after the other, with the target's centre where it is."""
    height, width = size_px
    matrix = shift_matrix(-width / 2, -height / 2)
    for turn in turns:
        matrix = turn @ matrix
    return shift_matrix(width / 2, height / 2) @ matrix


def _find_margin(degrees: float, size_px: tuple[int, int]) -> int:
    angle = math.radians(min(degrees, 45.0))
    return math.ceil(max(size_px) / 2 * (math.cos(angle) + math.sin(angle) - 1.0)) if degrees else 0


def make_quarter_turns(count: tf.Tensor, image_size: tf.Tensor) -> QuarterTurns:
    """Turns a picture counterclockwise, as seen on the screen.

    Args:
        count: int32 scalar in 0..3.
        image_size: float32 (2,), the picture's height and width before.
    """
    height, width = tf.unstack(image_size)
    one, zero = tf.ones([]), tf.zeros([])
    rows = [
        [[one, zero, zero], [zero, one, zero]],
        [[zero, one, zero], [-one, zero, width]],
        [[-one, zero, width], [zero, -one, height]],
        [[zero, -one, height], [one, zero, zero]],
    ]
    matrices = tf.stack([tf.stack([*(tf.stack(row) for row in two), [zero, zero, one]]) for two in rows])
    return QuarterTurns(count, tf.gather(matrices, count))


def shift_matrix(x: float, y: float) -> tf.Tensor:
    """float32 (3, 3): what moves points by (x, y)."""
    return tf.constant([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]], tf.float32)


def compute_matrix(geometry: Geometry, size_px: tuple[int, int]) -> tf.Tensor:
    """All of a geometry as one matrix: float32 (3, 3), from the picture's points to the result's.

    Args:
        geometry: as drawn.
        size_px: the result's height and width.
    """
    scale = tf.constant(size_px, tf.float32) / geometry.box_size
    shift = -geometry.corner * scale
    zero = tf.zeros([])
    matrix = tf.stack([[scale[1], zero, shift[1]], [zero, scale[0], shift[0]], [zero, zero, 1.0]])
    if geometry.turn is not None:
        matrix = geometry.turn @ matrix
    if geometry.mirrored is not None:
        mirror = tf.constant([[-1.0, 0.0, size_px[1]], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        matrix = tf.where(geometry.mirrored, mirror, tf.eye(3)) @ matrix
    if geometry.quarter_turns is not None:
        matrix @= geometry.quarter_turns.matrix
    return matrix


def warp_image(image: tf.Tensor, geometry: Geometry, size_px: tuple[int, int]) -> tf.Tensor:
    """A picture so cropped, turned and mirrored: averaged where it shrinks, black outside of it.

    Args:
        image: (height, width, channels), any number type.
        geometry: as drawn for this picture.
        size_px: the result's height and width.

    Returns:
        float32 (*size_px, channels).
    """
    if geometry.quarter_turns is not None:
        image = turn_quarters(image, geometry.quarter_turns.count)
    margin, target = geometry.margin_px, tf.constant(size_px, tf.float32)
    beyond = margin / target * geometry.box_size
    wide = (size_px[0] + 2 * margin, size_px[1] + 2 * margin)
    resized = resample_box(image, geometry.corner - beyond, geometry.box_size + 2.0 * beyond, wide)
    if geometry.turn is not None:
        matrix = geometry.turn @ shift_matrix(-margin, -margin)
        resized = _project(resized, matrix, size_px, "BILINEAR")
    if geometry.mirrored is not None:
        resized = tf.cond(geometry.mirrored, lambda: tf.reverse(resized, [1]), lambda: resized)
    return resized


def warp_mask(mask: tf.Tensor, matrix: tf.Tensor, size_px: tuple[int, int], *, outside: int = 0) -> tf.Tensor:
    """A mask of class ids so moved: each pixel takes the id of the nearest one.

    Args:
        mask: uint8 or int32 (height, width, 1).
        matrix: float32 (3, 3), see `compute_matrix`.
        size_px: the result's height and width.
        outside: the id outside of the picture.

    Returns:
        (*size_px, 1), of the mask's dtype.
    """
    return _project(mask, matrix, size_px, "NEAREST", outside)


def warp_boxes(boxes: tf.Tensor, matrix: tf.Tensor, size_px: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
    """Boxes so moved: the upright box around each one's corners, cut off at the picture's edges.

    Args:
        boxes: float32 (boxes, 4): left, top, right, bottom in pixels.
        matrix: float32 (3, 3), see `compute_matrix`.
        size_px: the result's height and width.

    Returns:
        The boxes in the result's pixels, float32 (boxes, 4), and the share of each one's area that is still in the
        picture, float32 (boxes,); a box that has left it has no area and share 0.
    """
    corners = tf.gather(boxes, [[0, 1], [2, 1], [0, 3], [2, 3]], axis=1)
    moved = corners @ tf.transpose(matrix[:2, :2]) + matrix[:2, 2]
    around = tf.concat([tf.reduce_min(moved, axis=1), tf.reduce_max(moved, axis=1)], axis=1)
    height, width = size_px
    inside = tf.clip_by_value(around, 0.0, tf.constant([width, height, width, height], tf.float32))
    return inside, tf.math.divide_no_nan(_compute_area(inside), _compute_area(around))


def _compute_area(boxes: tf.Tensor) -> tf.Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _project(
    image: tf.Tensor, matrix: tf.Tensor, size_px: tuple[int, int], interpolation: str, outside: float = 0.0
) -> tf.Tensor:
    # the op wants where each result's pixel comes from, and counts pixels from their centres
    back = shift_matrix(-0.5, -0.5) @ tf.linalg.inv(matrix) @ shift_matrix(0.5, 0.5)
    projected = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=tf.reshape(back, [1, 9])[:, :8],
        output_shape=size_px,
        fill_value=float(outside),
        interpolation=interpolation,
        fill_mode="CONSTANT",
    )[0]
    projected.set_shape((*size_px, image.shape[-1]))
    return projected
