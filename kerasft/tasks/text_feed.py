"""Batches of encoded texts, padded to the longest: from a cache or from memory, with or without a target."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.data.cache import Columns
from kerasft.data.feed import BatchMoment, Feed
from kerasft.tasks.features import FeatureStore
from kerasft.text.encoding import TextEncoder


class TextFeed(Feed):
    """Batches of the model's inputs (`token_ids`, `padding_mask`, …), int32 (batch, tokens), and of a target.

    Args:
        rows: encoded texts: `token_ids` (ragged), and the target's column; of two texts each also `first_length`, how
            many of the tokens are the first's, as `TextEncoder.encode_pairs` gives them.
        encoder: pads.
        target: the name of a column of `rows`, (examples, …); None where nothing is known of the texts.
        in_memory: whether the rows are few and at hand.
        features: where those of a frozen net are kept; None: nowhere.
    """

    def __init__(
        self,
        rows: Columns,
        encoder: TextEncoder,
        target: str | None = None,
        *,
        in_memory: bool = False,
        features: FeatureStore | None = None,
    ):
        self.rows, self._encoder, self.target, self.in_memory = rows, encoder, target, in_memory
        self.features = features
        self._targets = None if target is None else np.asarray(rows.column(target))

    def __len__(self) -> int:
        return len(self.rows)

    def get_reference(self, example: int) -> Any:
        return None if self._targets is None else self._targets[example]

    @property
    def lengths(self) -> np.ndarray:
        return self.rows.lengths("token_ids")

    @property
    def signature(self) -> dict[str, Any]:
        inputs = {name: tf.TensorSpec((None, None), tf.int32) for name in self._encoder.inputs}
        return {**inputs, **self._target_signature}

    @property
    def _target_signature(self) -> dict[str, Any]:
        if self._targets is None:
            return {}
        return {str(self.target): tf.TensorSpec((None, *self._targets.shape[1:]), self._targets.dtype)}

    def collate(self, rows: np.ndarray, width: int, moment: BatchMoment) -> dict[str, np.ndarray]:
        token_ids = self.rows.padded("token_ids", rows, width)
        firsts = self.rows.column("first_length")[rows] if self.rows.has("first_length") else None
        batch = self._encoder.pad(token_ids, self.lengths[rows], firsts)
        return {**batch, **self._collate_targets(rows)}

    def _collate_targets(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        return {} if self._targets is None else {str(self.target): self._targets[rows]}

    def shuffle_labels(self, seed: int) -> TextFeed:
        if self._targets is None:
            return super().shuffle_labels(seed)  # type: ignore[return-value]
        shuffled = copy.copy(self)
        shuffled._targets = np.random.default_rng([seed, 1]).permutation(self._targets)
        return shuffled

    def unpack(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        inputs = {name: value for name, value in batch.items() if name != self.target}
        return inputs, None if self.target is None else batch[self.target]


class FeatureFeed(TextFeed):
    """The same texts in the same batches, as a frozen net's features: float32 (batch, …).

    Args:
        feed: of the texts.
        features: with the column `features`, a row a text.
    """

    def __init__(self, feed: TextFeed, features: Columns):
        super().__init__(feed.rows, feed._encoder, feed.target, in_memory=feed.in_memory)
        self._features = features.column("features")

    @property
    def signature(self) -> dict[str, Any]:
        return {
            "features": tf.TensorSpec((None, *self._features.shape[1:]), tf.float32),
            **self._target_signature,
        }

    def collate(self, rows: np.ndarray, width: int, moment: BatchMoment) -> dict[str, np.ndarray]:
        return {"features": np.asarray(self._features[rows]), **self._collate_targets(rows)}

    def unpack(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        inputs, targets = super().unpack(batch)
        return inputs["features"], targets
