"""The contract of a task: what a model can learn, from an example's fields to a served answer."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from kerasft.data.cache import ArrayCache
from kerasft.data.fields import Field

Figure = Mapping[str, float | int]


class Task(abc.ABC):
    """What is learned. A task never trains by itself: training is always `compile` + `fit` on its model."""

    fields: ClassVar[tuple[Field, ...]]
    """What an example must hold."""

    length_column: ClassVar[str | None] = None
    """The ragged column of `encode` by whose length examples are grouped into batches; None: all are of one size."""

    label_names: tuple[str, ...]
    """The classes, in the order of the model's outputs."""

    @classmethod
    @abc.abstractmethod
    def parse_configs(cls, task: Mapping[str, Any], model: Mapping[str, Any]) -> tuple[Any, Any]:
        """The `task` and `model` sections from their JSON form."""

    # --- data -------------------------------------------------------------------------------------------------

    @property
    @abc.abstractmethod
    def encoder_fingerprint(self) -> str:
        """Changes when `encode` would give other arrays."""

    @abc.abstractmethod
    def encode(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray | list[np.ndarray]]:
        """Examples → columns for the cache (see `data.cache.build_cache`). Pure."""

    @abc.abstractmethod
    def collate(self, cache: ArrayCache, rows: np.ndarray, width: int) -> dict[str, np.ndarray]:
        """Rows of the cache → the named arrays of one batch."""

    @abc.abstractmethod
    def signature(self) -> dict[str, Any]:
        """`{name: tf.TensorSpec}` of what `collate` returns."""

    @abc.abstractmethod
    def split_batch(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        """(inputs of the model, labels) of a collated batch."""

    # --- model ------------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def build_model(self, *, seed: int, matmul_dtype: str) -> Any:
        """The functional `keras.Model` that learns, with the preset's weights."""

    @abc.abstractmethod
    def compute_depths(self, model: Any) -> dict[str, int]:
        """Each variable's path → its layer's distance from the bottom, for learning rates by depth."""

    @abc.abstractmethod
    def publish(self, model: Any, folder: Path) -> None:
        """Writes `model.keras` (opens without kerasft) and `preset/` into the run folder."""

    @abc.abstractmethod
    def load_published(self, folder: Path) -> Any:
        """The Keras model of `model.keras`, built here and given its weights: what `predict` and `evaluate` ask."""

    @abc.abstractmethod
    def loss(self) -> Any:
        """For `compile`."""

    @abc.abstractmethod
    def metrics(self) -> list[Any]:
        """Light per-step metrics for `compile`."""

    # --- answers ----------------------------------------------------------------------------------------------

    @abc.abstractmethod
    def compute_outputs(
        self, forward: Callable[[Any], Any], examples: Sequence[Mapping[str, Any]], batch_size: int = 64
    ) -> np.ndarray:
        """The model's outputs for raw examples, in their order; `forward` takes a batch of inputs."""

    @abc.abstractmethod
    def probabilities(self, outputs: np.ndarray) -> np.ndarray:
        """The model's outputs → what an export returns as `probabilities`, float64 of the same shape."""

    @abc.abstractmethod
    def decode(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        """The model's outputs → JSON-able predictions, one an example."""

    @abc.abstractmethod
    def evaluate(
        self, outputs: np.ndarray, references: np.ndarray, *, bootstrap_samples: int, seed: int
    ) -> dict[str, Figure]:
        """Named figures, with intervals where `bootstrap_samples` > 0."""

    @abc.abstractmethod
    def describe(self, examples: Sequence[Mapping[str, Any]], outputs: np.ndarray) -> str:
        """A few examples and what the model says of them, as Markdown for TensorBoard."""

    @abc.abstractmethod
    def draw(self, outputs: np.ndarray, references: np.ndarray) -> dict[str, Any]:
        """`{tag: matplotlib Figure}` of a split, for TensorBoard."""

    @abc.abstractmethod
    def serving_module(self, model: Any) -> Any:
        """A `tf.Module` from raw input to answer, with its `serving_default` signature, in core TensorFlow ops."""


def higher_is_better(figure: str) -> bool:
    """Whether a figure's larger value is the better one."""
    return figure not in ("loss", "log_loss", "brier", "ece")
