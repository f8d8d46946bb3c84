"""What all tasks on a pre-trained text encoder share: building, saving and loading the model."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from kerasft.files import whole_folder
from kerasft.integrity import recorded_file, write_hashes
from kerasft.models.config import TextModelConfig
from kerasft.models.hubs.folders import check_preset_folder
from kerasft.models.text import heads
from kerasft.models.text.families import find_family
from kerasft.models.text.presets import (
    build_text_backbone,
    check_max_length,
    check_vocabulary,
    load_pooling,
    load_text_backbone,
    save_pooling,
)
from kerasft.models.weights.saved_models import load_model_weights, measure_weights
from kerasft.tasks.base import Task


class TextEncoderTask(Task):
    """A head on a text encoder.

    Args:
        model_config: the `model` section.
        label_names: the classes.
        preset: local folder of the pre-trained encoder and its vocabulary.
    """

    def __init__(self, model_config: TextModelConfig, label_names: Sequence[str], preset: Path):
        self.model_config = model_config
        self.label_names = tuple(label_names)
        self.preset = preset
        self.family = find_family(preset)
        self.tokenizer = self.load_tokenizer()

    def load_tokenizer(self) -> Any:
        """The preset's `Tokenizer`, of the kind that the task asks."""
        return self.family.load_tokenizer(self.preset)

    @property
    @abc.abstractmethod
    def pooling(self) -> str:
        """How tokens become what the head sees; see `build_fast_classifier`."""

    @property
    @abc.abstractmethod
    def num_outputs(self) -> int:
        """Of the head."""

    def build_model(self, *, seed: int, matmul_dtype: str) -> keras.Model:
        backbone = load_text_backbone(
            self.preset,
            random_weights=self.model_config.random_weights,
            seed=seed,
            needs_pooler=self.pooling == "cls",
        )
        check_max_length(backbone, self.model_config.max_length)
        check_vocabulary(backbone, self.tokenizer, self.preset)
        return heads.build_fast_classifier(
            backbone,
            self.num_outputs,
            pooling=self.pooling,
            dropout=self.model_config.dropout,
            seed=seed,
            matmul_dtype=matmul_dtype,
        )

    def compute_depths(self, model: keras.Model) -> dict[str, int]:
        depths = self.family.compute_depths(heads.find_encoder(model))
        head = max(depths.values()) + 1
        return {**depths, **{variable.path: head for variable in model.get_layer("logits").weights}}

    def publish(self, model: keras.Model, folder: Path) -> None:
        # a pooler that took no part in training is handed on as it came
        unpooled = self.pooling != "cls" and not self.model_config.random_weights
        backbone = load_text_backbone(self.preset, random_weights=not unpooled, needs_pooler=False)
        public = heads.publish_classifier(
            model, backbone, pooling=self.pooling, dropout=self.model_config.dropout
        )
        with recorded_file(folder, folder / "model.keras") as path:
            public.save(path)
        with whole_folder(folder / "preset") as path:
            self.family.save_preset(backbone, self.tokenizer, path)
            save_pooling(path, self.pooling if self.pooling != "none" else load_pooling(self.preset))
            write_hashes(path)

    def load_published(self, folder: Path) -> keras.Model:
        preset, path = folder / "preset", folder / "model.keras"
        check_preset_folder(preset, needs_weights=False)
        backbone = build_text_backbone(preset, weights_bytes=measure_weights(path))
        check_vocabulary(backbone, self.tokenizer, preset)
        model = heads.build_hub_classifier(
            backbone, self.num_outputs, pooling=self.pooling, dropout=self.model_config.dropout
        )
        load_model_weights(model, path)
        return model
