"""What a detector should say of each cell of its map, from the boxes of a picture.

A box's middle is the peak of a Gaussian whose width follows from the box's; the cells under it learn the box's sides,
those nearer to the middle with more weight, and where boxes lie on one another the smallest is learned. Nothing is
learned where a box is ignored, neither that there is an object nor that there is none.

Source: Zhou et al. 2019, arXiv:1904.07850; the Gaussian is that of Liu et al. 2020, arXiv:1909.00700: it ends at
0.54 of the way to the box's sides, and its deviation is a sixth of its extent. Of the latter's weights the logarithm
of the box's area is left out: each box counts the same.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

PADDING, OBJECT, IGNORED = 0, 1, 2
"""What a row of labels is: nothing, an object, or a place of which nothing is learned."""
COLUMNS = 6
"""Of labels: left, top, right, bottom, number of the class (-1: of any), and what the row is."""
_EXTENT = 0.54


class Targets(NamedTuple):
    """What is learned, by cells."""

    heat: tf.Tensor
    """float32 (batch, rows, columns, classes): 1 where an object's middle is, less around it, 0 elsewhere."""
    counted: tf.Tensor
    """float32 (batch, rows, columns, classes): 0 where nothing is learned, else 1."""
    boxes: tf.Tensor
    """float32 (batch, rows, columns, 4): the box that a cell learns, in pixels of the input."""
    weights: tf.Tensor
    """float32 (batch, rows, columns): how much it counts; 0 where it learns none. The cells of a box sum to 1."""
    count: tf.Tensor
    """float32 scalar: how many objects there are."""


def compute_targets(labels: tf.Tensor, size: tuple[int, int], stride: int, num_classes: int) -> Targets:
    """What a detector should say of each cell.

    Args:
        labels: float32 (batch, boxes, 6), see `COLUMNS`; boxes in pixels of the input.
        size: rows and columns of the map.
        stride: pixels of the input a cell, along a side.
        num_classes: classes of objects.
    """
    labels = tf.stop_gradient(tf.cast(labels, tf.float32))
    boxes, classes, kinds = labels[..., :4], tf.cast(labels[..., 4], tf.int32), labels[..., 5]
    is_object = tf.equal(kinds, float(OBJECT)) & (classes >= 0)
    gaussians = _draw_gaussians(boxes, size, stride) * tf.cast(is_object, tf.float32)[..., None, None]
    heat = _merge_by_class(gaussians, tf.where(is_object, classes, -1), num_classes)
    learned, weights = _share_cells(boxes, gaussians)
    ignored = _mark_ignored(boxes, classes, tf.equal(kinds, float(IGNORED)), size, stride, num_classes)
    counted = tf.where((heat < 1.0) & (ignored > 0.0), 0.0, 1.0)
    return Targets(heat, counted, learned, weights, tf.reduce_sum(tf.cast(is_object, tf.float32)))


def find_middles(boxes: tf.Tensor, size: tuple[int, int], stride: int) -> tf.Tensor:
    """int32 (…, 2): the (column, row) of the cell in which each box, (…, 4), has its middle."""
    middles = (boxes[..., :2] + boxes[..., 2:]) / (2.0 * stride)
    last = tf.constant([size[1] - 1, size[0] - 1], tf.float32)
    return tf.cast(tf.clip_by_value(tf.floor(middles), 0.0, last), tf.int32)


def place_cells(size: tuple[int, int], stride: int) -> tf.Tensor:
    """float32 (rows, columns, 2): the (x, y) of each cell's middle, in pixels of the input."""
    x, y = ((tf.range(count, dtype=tf.float32) + 0.5) * stride for count in (size[1], size[0]))
    return tf.stack(tf.meshgrid(x, y), axis=-1)


def _draw_gaussians(boxes: tf.Tensor, size: tuple[int, int], stride: int) -> tf.Tensor:
    """(batch, boxes, rows, columns): that of each box, exactly 1 in the cell of its middle."""
    middles = tf.cast(find_middles(boxes, size, stride), tf.float32)
    radii = tf.floor((boxes[..., 2:] - boxes[..., :2]) * (_EXTENT / (2.0 * stride)))

    def draw(axis: int, count: int) -> tf.Tensor:
        distance = tf.abs(tf.range(count, dtype=tf.float32) - middles[..., axis, None])
        radius = radii[..., axis, None]
        deviation = (2.0 * radius + 1.0) / 6.0
        return tf.where(distance <= radius, tf.exp(-0.5 * tf.square(distance / deviation)), 0.0)

    return draw(1, size[0])[..., :, None] * draw(0, size[1])[..., None, :]


def _merge_by_class(maps: tf.Tensor, classes: tf.Tensor, num_classes: int) -> tf.Tensor:
    """(batch, rows, columns, classes): the largest of each class's maps, (batch, boxes, rows, columns); at least 0.

    A box with the class -1 is in none.
    """
    batch, rows, columns = tf.shape(maps)[0], maps.shape[2], maps.shape[3]
    picture = tf.range(batch)[:, None]
    places = tf.where(classes >= 0, picture * num_classes + classes, -1)
    merged = tf.math.unsorted_segment_max(
        tf.reshape(maps, [-1, rows * columns]), tf.reshape(places, [-1]), batch * num_classes
    )
    merged = tf.reshape(tf.maximum(merged, 0.0), [batch, num_classes, rows, columns])
    return tf.transpose(merged, [0, 2, 3, 1])


def _share_cells(boxes: tf.Tensor, gaussians: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The box that each cell learns, the smallest that has it, and how much it counts."""
    areas = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    covers = gaussians > 0.0
    # a row of no box stands at the end, for pictures without any: of nothing there is no smallest
    boxes, gaussians = (
        tf.pad(boxes, [(0, 0), (0, 1), (0, 0)]),
        tf.pad(gaussians, [(0, 0), (0, 1), (0, 0), (0, 0)]),
    )
    areas = tf.pad(tf.where(covers, areas[..., None, None], float("inf")), [(0, 0), (0, 1), (0, 0), (0, 0)],
                   constant_values=float("inf"))  # fmt: skip
    owner = tf.argmin(areas, axis=1, output_type=tf.int32)
    own = tf.one_hot(owner, tf.shape(areas)[1], axis=1) * gaussians
    shares = tf.math.divide_no_nan(own, tf.reduce_sum(own, axis=(2, 3), keepdims=True))
    return tf.gather(boxes, owner, batch_dims=1), tf.reduce_sum(shares, axis=1)


def _mark_ignored(
    boxes: tf.Tensor,
    classes: tf.Tensor,
    is_ignored: tf.Tensor,
    size: tuple[int, int],
    stride: int,
    num_classes: int,
) -> tf.Tensor:
    """(batch, rows, columns, classes): 1 in the cells that an ignored box of the class touches."""

    def touch(axis: int, count: int) -> tf.Tensor:
        start = tf.range(count, dtype=tf.float32) * stride
        return (boxes[..., axis, None] < start + stride) & (boxes[..., axis + 2, None] > start)

    touched = touch(1, size[0])[..., :, None] & touch(0, size[1])[..., None, :]
    marked = tf.cast(touched & is_ignored[..., None, None], tf.float32)
    of_any = tf.where(classes < 0, 1.0, 0.0)[..., None, None] * marked
    everywhere = tf.reduce_max(tf.pad(of_any, [(0, 0), (0, 1), (0, 0), (0, 0)]), axis=1)
    return tf.maximum(_merge_by_class(marked, classes, num_classes), everywhere[..., None])
