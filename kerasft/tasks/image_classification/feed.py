"""Batches of an image classifier: files decoded and augmented on the fly, or cached features."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.data.cache import ArrayCache
from kerasft.data.feed import BatchMoment, Feed
from kerasft.data.prepared import Split
from kerasft.tasks.features import FeatureStore
from kerasft.vision.augmentation.augmenter import Augmenter
from kerasft.vision.augmentation.keys import compute_keys, compute_step_key
from kerasft.vision.decoding.graph import build_batch_decoder, build_near_decoder
from kerasft.vision.resampling import Resize


class _LabelledFeed(Feed):
    """Labels as distributions over classes: float32 (batch, classes).

    Args:
        labels: int32 (examples,), or uint8 (examples, classes) where an example has any number of them.
        num_classes: how many there are.
    """

    def __init__(self, labels: np.ndarray, num_classes: int):
        self._labels, self._num_classes = labels, num_classes

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def labels(self) -> np.ndarray:
        """The rows' labels, as they were given."""
        return np.asarray(self._labels)

    def get_reference(self, example: int) -> Any:
        return self._labels[example]

    def shuffle_labels(self, seed: int) -> _LabelledFeed:
        shuffled = copy.copy(self)
        shuffled._labels = np.random.default_rng([seed, 1]).permutation(self._labels)
        return shuffled

    @property
    def _label_spec(self) -> tf.TensorSpec:
        return tf.TensorSpec((None, *self._labels.shape[1:]), self._labels.dtype)

    def _spread(self, labels: tf.Tensor) -> tf.Tensor:
        if self._labels.ndim == 1:
            return tf.one_hot(labels, self._num_classes)
        return tf.ensure_shape(tf.cast(labels, tf.float32), (None, self._num_classes))


class ImageFeed(_LabelledFeed):
    """Batches of pictures, float32 (batch, size, size, 3), RGB in 0..255, read from the prepared dataset.

    Args:
        split: the examples.
        num_classes: labels there are.
        size_px: height and width of the pictures.
        resize: how they are brought to it.
        augmenter: varies them, by (seed, epoch, example); None: they are as in evaluation.
        seed: of that.
        features: where those of a frozen net are kept; None: nowhere.
    """

    def __init__(
        self,
        split: Split,
        num_classes: int,
        size_px: int,
        resize: Resize,
        augmenter: Augmenter | None = None,
        seed: int = 0,
        features: FeatureStore | None = None,
    ):
        (target,) = (field.name for field in split.fields if field.role == "target")
        super().__init__(split.column(target), num_classes)
        self.split, self._size, self._resize = split, (size_px, size_px), resize
        self._augmenter, self._seed, self.features = augmenter, seed, features

    @property
    def is_varied(self) -> bool:
        """Whether pictures differ from one epoch to the next."""
        return self._augmenter is not None

    @property
    def signature(self) -> dict[str, Any]:
        signature = {"image": tf.TensorSpec((None,), tf.string), "label": self._label_spec}
        if self._augmenter is not None:
            signature["keys"] = tf.TensorSpec((None, 2), tf.int32)
            signature["step_key"] = tf.TensorSpec((2,), tf.int32)
        return signature

    def collate(self, rows: np.ndarray, width: int, moment: BatchMoment) -> dict[str, np.ndarray]:
        files = np.empty(len(rows), object)
        files[:] = [example["image"] for example in self.split.take(rows)]
        batch = {"image": files, "label": np.asarray(self._labels[rows])}
        if self._augmenter is not None:
            batch["keys"] = compute_keys(self._seed, moment.epoch, rows)
            batch["step_key"] = compute_step_key(self._seed, moment.epoch, moment.step)
        return batch

    def unpack(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        labels = self._spread(batch["label"])
        if self._augmenter is None:
            images = build_batch_decoder(self._size, self._resize)(batch["image"])
            return tf.cast(images, tf.float32), labels
        augmenter = self._augmenter
        decode = build_near_decoder(self._size, self._resize, augmenter.smallest_crop)

        def decode_and_vary(example: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            data, key = example
            return augmenter.augment(decode(data), key)

        images = tf.map_fn(
            decode_and_vary,
            (batch["image"], batch["keys"]),
            fn_output_signature=tf.TensorSpec((*self._size, 3), tf.float32),
        )
        if augmenter.mix is not None:
            images, labels = augmenter.mix(images, labels, batch["step_key"])
        return images, labels


class PixelFeed(Feed):
    """Batches of decoded pictures of which nothing is known, from memory.

    Args:
        pixels: uint8 (size, size, 3) each.
    """

    in_memory = True

    def __init__(self, pixels: Sequence[Any]):
        self._pixels = pixels

    def __len__(self) -> int:
        return len(self._pixels)

    @property
    def signature(self) -> dict[str, Any]:
        return {"pixels": tf.TensorSpec((None, None, None, 3), tf.uint8)}

    def collate(self, rows: np.ndarray, width: int, moment: BatchMoment) -> dict[str, np.ndarray]:
        return {"pixels": np.stack([np.asarray(self._pixels[row]) for row in rows])}

    def unpack(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        return tf.cast(batch["pixels"], tf.float32), None


class FeatureFeed(_LabelledFeed):
    """Batches of a frozen net's features, float32 (batch, channels), from a memory-mapped cache.

    Args:
        cache: with the column `features`.
        labels, num_classes: see `ImageFeed`.
    """

    def __init__(self, cache: ArrayCache, labels: np.ndarray, num_classes: int):
        super().__init__(labels, num_classes)
        self._features = cache.column("features")

    @property
    def signature(self) -> dict[str, Any]:
        channels = self._features.shape[1]
        return {"features": tf.TensorSpec((None, channels), tf.float32), "label": self._label_spec}

    def collate(self, rows: np.ndarray, width: int, moment: BatchMoment) -> dict[str, np.ndarray]:
        return {"features": np.asarray(self._features[rows]), "label": np.asarray(self._labels[rows])}

    def unpack(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        return batch["features"], self._spread(batch["label"])
