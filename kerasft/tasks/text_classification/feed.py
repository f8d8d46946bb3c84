"""A text classifier's batches: encoded texts, padded to the longest of each batch, or features computed once."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.data.cache import ArrayCache, ArrayRows
from kerasft.data.feed import Feed, Moment
from kerasft.text.encoding import TextEncoder


class TextFeed(Feed):
    """Batches of the model's inputs (`token_ids`, `padding_mask`, …), int32 (batch, tokens), and `label`, (batch,).

    Args:
        cache: what `TextClassification.encode` gave: `token_ids` (ragged) and `label`.
        encoder: pads.
    """

    def __init__(self, cache: ArrayCache, encoder: TextEncoder):
        self.cache, self._encoder = cache, encoder
        self._labels = np.asarray(cache.column("label"))

    def __len__(self) -> int:
        return len(self.cache)

    def get_reference(self, example: int) -> Any:
        return self._labels[example]

    @property
    def lengths(self) -> np.ndarray:
        return self.cache.lengths("token_ids")

    @property
    def signature(self) -> dict[str, Any]:
        inputs = {name: tf.TensorSpec((None, None), tf.int32) for name in self._encoder.inputs}
        return {**inputs, "label": tf.TensorSpec((None,), tf.int32)}

    def collate(self, rows: np.ndarray, width: int, moment: Moment) -> dict[str, np.ndarray]:
        token_ids = self.cache.padded("token_ids", rows, width)
        batch = self._encoder.pad(token_ids, self.cache.lengths("token_ids")[rows])
        return {**batch, "label": self._labels[rows]}

    def shuffle_labels(self, seed: int) -> TextFeed:
        shuffled = copy.copy(self)
        shuffled._labels = np.random.default_rng([seed, 1]).permutation(self._labels)
        return shuffled

    def unpack(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        return {name: value for name, value in batch.items() if name != "label"}, batch["label"]


class RawTextFeed(Feed):
    """Batches of texts of which nothing is known, from memory.

    Args:
        token_ids: int32 (tokens,) each, framed.
        encoder: pads.
    """

    in_memory = True

    def __init__(self, token_ids: list[np.ndarray], encoder: TextEncoder):
        self._rows, self._encoder = ArrayRows({"token_ids": token_ids}), encoder

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def lengths(self) -> np.ndarray:
        return self._rows.lengths("token_ids")

    @property
    def signature(self) -> dict[str, Any]:
        return {name: tf.TensorSpec((None, None), tf.int32) for name in self._encoder.inputs}

    def collate(self, rows: np.ndarray, width: int, moment: Moment) -> dict[str, np.ndarray]:
        return self._encoder.pad(self._rows.padded("token_ids", rows, width), self.lengths[rows])

    def unpack(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        return dict(batch), None


class FeatureFeed(TextFeed):
    """The same texts in the same batches, as a frozen net's features: float32 (batch, …).

    Args:
        cache, encoder: see `TextFeed`.
        features: with the column `features`, a row a text.
    """

    def __init__(self, cache: ArrayCache, encoder: TextEncoder, features: ArrayCache):
        super().__init__(cache, encoder)
        self._features = features.column("features")

    @property
    def signature(self) -> dict[str, Any]:
        features = tf.TensorSpec((None, *self._features.shape[1:]), tf.float32)
        return {"features": features, "label": tf.TensorSpec((None,), tf.int32)}

    def collate(self, rows: np.ndarray, width: int, moment: Moment) -> dict[str, np.ndarray]:
        return {"features": np.asarray(self._features[rows]), "label": self._labels[rows]}

    def unpack(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        return batch["features"], batch["label"]
