"""Batches of a detector: pictures with black beside them, and boxes in the pixels of what the net is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kerasft.data.feed import BatchMoment, Feed
from kerasft.data.prepared import Split
from kerasft.metrics.detection.boxes import GoldBoxes, make_gold_boxes
from kerasft.tasks.object_detection.targets import COLUMNS, IGNORED, OBJECT, PADDING
from kerasft.vision.augmentation.boxes import BoxAugmenter
from kerasft.vision.augmentation.keys import compute_keys
from kerasft.vision.decoding.letterbox import Letterbox, build_letterbox_decoder, move_to_input


class _Box(NamedTuple):
    """A box of a prepared example; datasets of before have no crowds and no areas."""

    left: float
    top: float
    right: float
    bottom: float
    label: int
    crowd: bool = False
    area: float | None = None


def make_gold(example: Mapping[str, Any]) -> GoldBoxes:
    """What is true of a prepared example; boxes without a class are left out."""
    boxes = [box for box in (_Box(*values) for values in example["boxes"]) if box.label >= 0]
    return make_gold_boxes(
        [box[:4] for box in boxes],
        [box.label for box in boxes],
        [box.crowd for box in boxes],
        [box.area for box in boxes],
    )


def pack_boxes(examples: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """The boxes of some examples side by side, filled up to the most that a picture has.

    Crowds, and boxes without a class, are places of which nothing is learned.

    Returns:
        `boxes` float32 (examples, most, 4) in the pictures' pixels, `classes` int32 and `kinds` int32
        (examples, most), as the columns of `targets.COLUMNS`.
    """
    most = max((len(example["boxes"]) for example in examples), default=0)
    boxes = np.zeros((len(examples), most, 4), np.float32)
    classes = np.full((len(examples), most), -1, np.int32)
    kinds = np.full((len(examples), most), PADDING, np.int32)
    for row, example in enumerate(examples):
        for place, box in enumerate(_Box(*values) for values in example["boxes"]):
            boxes[row, place] = box[:4]
            classes[row, place] = box.label
            kinds[row, place] = IGNORED if box.crowd or box.label < 0 else OBJECT
    return {"boxes": boxes, "classes": classes, "kinds": kinds}


class BoxFeed(Feed):
    """Batches of pictures, float32 (batch, height, width, 3), RGB in 0..255, read from the prepared dataset.

    Labels are float32 (batch, boxes, 6), as `compute_targets` takes them.

    Args:
        split: the examples.
        size_px: height and width of what the net is given.
        augmenter: varies pictures and boxes, by (seed, epoch, example); None: they are as in evaluation.
        seed: of that.
        is_measured: whether answers are wanted in the pictures' own pixels: then a batch also says where the pictures
            lie in what the net is given, `scale`, `offset` and `size` as in `Letterbox`.
    """

    def __init__(
        self,
        split: Split,
        size_px: tuple[int, int],
        *,
        augmenter: BoxAugmenter | None = None,
        seed: int = 0,
        is_measured: bool = False,
    ):
        self.split, self._size = split, size_px
        self._augmenter, self._seed, self._is_measured = augmenter, seed, is_measured

    def __len__(self) -> int:
        return len(self.split)

    @property
    def is_varied(self) -> bool:
        """Whether pictures differ from one epoch to the next."""
        return self._augmenter is not None

    def get_reference(self, example: int) -> GoldBoxes:
        return make_gold(self.split.take([example])[0])

    @property
    def signature(self) -> dict[str, Any]:
        signature = {
            "image": tf.TensorSpec((None,), tf.string),
            "boxes": tf.TensorSpec((None, None, 4), tf.float32),
            "classes": tf.TensorSpec((None, None), tf.int32),
            "kinds": tf.TensorSpec((None, None), tf.int32),
        }
        if self._augmenter is not None:
            signature["keys"] = tf.TensorSpec((None, 2), tf.int32)
        return signature

    def collate(self, rows: np.ndarray, width: int, moment: BatchMoment) -> dict[str, np.ndarray]:
        examples = self.split.take(rows)
        files = np.empty(len(rows), object)
        files[:] = [example["image"] for example in examples]
        batch = {"image": files, **pack_boxes(examples)}
        if self._augmenter is not None:
            batch["keys"] = compute_keys(self._seed, moment.epoch, rows)
        return batch

    def unpack(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        if self._augmenter is not None:
            return self._vary(batch, self._augmenter)
        images, letterbox = build_letterbox_decoder(self._size)(batch["image"])
        inputs = {"image": tf.cast(images, tf.float32)}
        if self._is_measured:
            inputs |= letterbox._asdict()
        boxes = move_to_input(batch["boxes"], letterbox)
        return inputs, join_labels(boxes, batch["classes"], batch["kinds"])

    def _vary(self, batch: Mapping[str, Any], augmenter: BoxAugmenter) -> tuple[Any, Any]:
        images, placed = augmenter.decode_and_augment(batch["image"], batch["boxes"], batch["keys"])
        lost = tf.where(placed.ignored & (batch["kinds"] != PADDING), IGNORED, PADDING)
        kinds = tf.where(placed.kept, batch["kinds"], lost)
        return {"image": images}, join_labels(placed.boxes, batch["classes"], kinds)


def join_labels(boxes: tf.Tensor, classes: tf.Tensor, kinds: tf.Tensor) -> tf.Tensor:
    """float32 (batch, boxes, 6): one row for each box."""
    columns = [tf.cast(column, tf.float32)[..., None] for column in (classes, kinds)]
    return tf.ensure_shape(tf.concat([boxes, *columns], axis=-1), (None, None, COLUMNS))


class PictureFeed(Feed):
    """Batches of decoded pictures of which nothing is known, from memory.

    Args:
        pictures: `pixels`, uint8 (height, width, 3), and `letterbox`, of that picture alone, each.
    """

    in_memory = True

    def __init__(self, pictures: Sequence[Mapping[str, Any]]):
        self._pictures = pictures

    def __len__(self) -> int:
        return len(self._pictures)

    @property
    def signature(self) -> dict[str, Any]:
        return {
            "pixels": tf.TensorSpec((None, None, None, 3), tf.uint8),
            "scale": tf.TensorSpec((None,), tf.float32),
            "offset": tf.TensorSpec((None, 2), tf.float32),
            "size": tf.TensorSpec((None, 2), tf.int32),
        }

    def collate(self, rows: np.ndarray, width: int, moment: BatchMoment) -> dict[str, np.ndarray]:
        taken = [self._pictures[row] for row in rows]
        places = [picture["letterbox"]._asdict() for picture in taken]
        stacked = {
            name: np.stack([np.asarray(place[name]) for place in places]) for name in Letterbox._fields
        }
        return {"pixels": np.stack([np.asarray(picture["pixels"]) for picture in taken]), **stacked}

    def unpack(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        places = {name: batch[name] for name in Letterbox._fields}
        return {"image": tf.cast(batch["pixels"], tf.float32), **places}, None
