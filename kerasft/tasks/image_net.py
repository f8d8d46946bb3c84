"""What tasks on an image net share: its preset, its phases, and how it is published."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from kerasft.data.feed import Feed
from kerasft.files import whole_folder
from kerasft.integrity import recorded_file, write_hashes
from kerasft.models.adaptation.learning import list_unfreezing_stages
from kerasft.models.config import ImageNetConfig
from kerasft.models.image.fast import DTYPES, accelerate_image_model
from kerasft.models.image.freezing import choose_batch_norm, list_blocks, unfreeze
from kerasft.models.image.presets import load_image_backbone, resolve_image_preset, save_image_preset
from kerasft.models.image.stochastic_depth import set_stochastic_depth
from kerasft.models.weights.saved_models import load_model_weights
from kerasft.tasks.base import Phase, Task, make_phase


class ImageNetTask(Task):
    """A task on an image net.

    Args:
        config: the `task` section.
        model_config: the `model` section.
        label_names: the classes, in the order of the model's outputs.
        weights: a file of the net's weights, or a preset's folder; None for random ones.
    """

    def __init__(
        self,
        config: Any,
        model_config: ImageNetConfig,
        label_names: Sequence[str],
        weights: Path | None,
    ):
        self.config = config
        self.model_config = model_config
        self.label_names = tuple(label_names)
        whole = weights is not None and weights.is_dir()
        self.preset = (
            resolve_image_preset(str(weights))
            if whole
            else resolve_image_preset(model_config.preset, model_config.arguments)
        )
        self.weights = "imagenet" if whole else "none" if weights is None else str(weights)

    @property
    def published_size_px(self) -> int:
        """What the published preset says of its images' side."""
        return self.preset.image_size_px

    @abc.abstractmethod
    def build(self, *, weights: str, seed: int, dtype: str | None = None) -> keras.Model:
        """The net and the head.

        Args:
            weights: of the net, see `load_image_backbone`.
            seed: of what begins at random.
            dtype: Keras' policy of the net's layers; None is the policy in force.
        """

    @abc.abstractmethod
    def get_net(self, model: keras.Model) -> keras.Model:
        """The backbone inside a model of `build`, with its last layer's output."""

    def load_backbone(
        self, size_px: int | tuple[int, int], *, weights: str, seed: int, dtype: str | None
    ) -> keras.Model:
        """The net alone, for images of that side, or height and width; the rest as for `build`."""
        backbone = load_image_backbone(self.preset, weights=weights, size_px=size_px, seed=seed, dtype=dtype)
        if self.model_config.stochastic_depth is not None:
            set_stochastic_depth(backbone, self.model_config.stochastic_depth)
        return backbone

    def build_model(self, *, seed: int, matmul_dtype: str) -> keras.Model:
        # what is kept is float32; the formats that the fast form knows are chosen where it is made
        dtype = None if matmul_dtype in DTYPES else f"mixed_{matmul_dtype}"
        return self.build(weights=self.weights, seed=seed, dtype=dtype)

    def open_net_phases(
        self,
        model: keras.Model,
        train: Any,
        feed: Feed,
        validation: Feed | None,
        matmul_dtype: str,
        loss: Any = None,
    ) -> Iterator[Phase]:
        """The phases in which the net learns too, its batch normalisation as `model.batch_norm` says.

        Args:
            model: of `build_model`.
            train: the `train` section.
            feed, validation: their batches.
            matmul_dtype: what the model was built with.
            loss: as `Phase.loss`.
        """
        net, depths = self.get_net(model), self.compute_depths(model)
        blocks = len(list_blocks(net))
        learning = math.ceil(train.unfreeze * blocks)
        stages = list_unfreezing_stages(
            self.model_config.adaptation,
            train.epochs,
            blocks,
            lowest=blocks - learning,
            head_is_done=train.head is not None,
        )
        for stage in stages:
            unfreeze(
                net,
                last_blocks=learning if stage.blocks is None else stage.blocks,
                batch_norm=choose_batch_norm(self.model_config.batch_norm, self.model_config.weights),
                momentum=self.model_config.batch_norm_momentum,
            )
            yield make_phase(stage, train, accelerate(model, matmul_dtype), feed, validation, depths, loss)

    def publish(self, model: keras.Model, folder: Path) -> None:
        public = self.build(weights="none", seed=0, dtype="float32")
        public.set_weights(model.get_weights())
        with recorded_file(folder, folder / "model.keras") as path:
            public.save(path)
        with whole_folder(folder / "preset") as path:
            preset = replace(self.preset, image_size_px=self.published_size_px)
            save_image_preset(self.get_net(public), preset, path)
            write_hashes(path)

    def load_published(self, folder: Path) -> keras.Model:
        model = self.build(weights="none", seed=0, dtype="float32")
        load_model_weights(model, folder / "model.keras")
        return model


def accelerate(model: keras.Model, matmul_dtype: str) -> keras.Model:
    """What `fit` trains: the same net over the same variables, computed faster on a processor."""
    if matmul_dtype not in DTYPES or tf.config.list_physical_devices("GPU"):
        return model
    return accelerate_image_model(model, matmul_dtype)


def make_head_changes(train: Any) -> dict[str, Any]:
    """What the `train` section says otherwise in the head's own phase."""
    head = train.head
    return {
        "epochs": head.epochs,
        "optimizer": head.optimizer,
        "schedule": head.schedule,
        "max_steps": None if train.epochs else train.max_steps,
    }
