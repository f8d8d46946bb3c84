"""Text classification: one label for a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.cache import build_cache
from kerasft.data.prepared import Split
from kerasft.errors import DataError
from kerasft.files import compute_fingerprint, whole_file, whole_folder
from kerasft.models import heads
from kerasft.models.bert import compute_layer_depths
from kerasft.models.config import TextModelConfig
from kerasft.models.folders import check_preset_folder
from kerasft.models.presets import (
    build_text_backbone,
    check_max_length,
    check_vocabulary,
    load_pooling,
    load_text_backbone,
    save_pooling,
    save_text_preset,
)
from kerasft.models.saved_models import load_model_weights, measure_weights
from kerasft.progress import Progress
from kerasft.tasks.classifier import Classifier, SmoothedCrossentropy
from kerasft.tasks.text_classification.config import TextClassificationConfig
from kerasft.tasks.text_classification.feed import TextFeed
from kerasft.tasks.text_classification.serving import PROBES, TextClassifierModule
from kerasft.text.encoding import TextEncoder
from kerasft.text.vocabulary import load_vocabulary


class TextClassification(Classifier):
    """One label for a text.

    Args:
        config: the `task` section.
        model_config: the `model` section.
        label_names: the classes, in the order of the model's outputs.
        preset: local folder of the pre-trained encoder and its vocabulary.
    """

    held = "text"

    def __init__(
        self,
        config: TextClassificationConfig,
        model_config: TextModelConfig,
        label_names: Sequence[str],
        preset: Path,
    ):
        self.config = config
        self.model_config = model_config
        self.label_names = tuple(label_names)
        self.preset = preset
        self.vocabulary = load_vocabulary(preset)
        self.encoder = TextEncoder(self.vocabulary, model_config.max_length)

    @classmethod
    def parse_configs(cls, task: Mapping[str, Any], model: Mapping[str, Any]) -> tuple[Any, Any]:
        return TextClassificationConfig.model_validate(task), TextModelConfig.model_validate(model)

    @property
    def pooling(self) -> str:
        return load_pooling(self.preset) if self.config.pooling == "auto" else self.config.pooling

    @property
    def encoder_fingerprint(self) -> str:
        return self.encoder.fingerprint

    def open_feed(self, split: Split, folder: Path, fingerprint: str, progress: Progress) -> TextFeed:
        """Texts are encoded once, into a memory-mapped cache."""

        def chunks() -> Iterator[dict[str, Any]]:
            with progress.bar(f"Encoding {split.name}", len(split)) as bar:
                for rows in split.iterate(4096):
                    yield self.encode(rows)
                    bar.advance(len(rows))

        fingerprint = compute_fingerprint([fingerprint, self.encoder_fingerprint])
        return TextFeed(build_cache(folder / split.name, fingerprint, chunks()), self.encoder)

    def encode(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray | list[np.ndarray]]:
        """Examples → columns for the cache: `token_ids` (ragged), and `label` where they have one. Pure."""
        columns: dict[str, np.ndarray | list[np.ndarray]] = {
            "token_ids": self.encoder.encode([example["text"] for example in examples])
        }
        if examples and "label" in examples[0]:
            columns["label"] = np.array([example["label"] for example in examples], np.int32)
        return columns

    def build_model(self, *, seed: int, matmul_dtype: str) -> keras.Model:
        backbone = load_text_backbone(self.preset, random_weights=self.model_config.random_weights, seed=seed)
        check_max_length(backbone, self.model_config.max_length)
        check_vocabulary(backbone, self.vocabulary, self.preset)
        return heads.build_fast_classifier(
            backbone,
            len(self.label_names),
            pooling=self.pooling,
            dropout=self.model_config.dropout,
            seed=seed,
            matmul_dtype=matmul_dtype,
        )

    def compute_depths(self, model: keras.Model) -> dict[str, int]:
        depths = compute_layer_depths(model.get_layer(heads.ENCODER))
        head = max(depths.values()) + 1
        return {**depths, **{variable.path: head for variable in model.get_layer("logits").weights}}

    def publish(self, model: keras.Model, folder: Path) -> None:
        # a pooler that took no part in training is handed on as it came
        unpooled = self.pooling != "cls" and not self.model_config.random_weights
        backbone = load_text_backbone(self.preset, random_weights=not unpooled)
        public = heads.publish_classifier(
            model, backbone, pooling=self.pooling, dropout=self.model_config.dropout
        )
        with whole_file(folder / "model.keras") as path:
            public.save(path)
        with whole_folder(folder / "preset") as path:
            save_text_preset(backbone, self.vocabulary, path)
            save_pooling(path, self.pooling)

    def load_published(self, folder: Path) -> keras.Model:
        preset, path = folder / "preset", folder / "model.keras"
        check_preset_folder(preset, needs_weights=False)
        backbone = build_text_backbone(preset, held_bytes=measure_weights(path))
        check_vocabulary(backbone, self.vocabulary, preset)
        model = heads.build_hub_classifier(
            backbone, len(self.label_names), pooling=self.pooling, dropout=self.model_config.dropout
        )
        load_model_weights(model, path)
        return model

    def loss(self) -> keras.losses.Loss:
        smoothing = self.config.label_smoothing
        if not smoothing:
            return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        return SmoothedCrossentropy(len(self.label_names), smoothing)

    def metrics(self) -> list[Any]:
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def compute_outputs(
        self, forward: Callable[[Any], Any], examples: Sequence[Mapping[str, Any]], batch_size: int = 64
    ) -> np.ndarray:
        rows = self.encoder.encode([example["text"] for example in examples])
        lengths = np.array([len(row) for row in rows])
        order = np.argsort(-lengths, kind="stable")
        outputs = np.empty((len(rows), len(self.label_names)), np.float32)
        for start in range(0, len(rows), batch_size):
            chosen = order[start : start + batch_size]
            padded = np.zeros((len(chosen), lengths[chosen].max()), np.int32)
            for position, index in enumerate(chosen):
                padded[position, : lengths[index]] = rows[index]
            outputs[chosen] = np.asarray(forward(self.encoder.pad(padded, lengths[chosen])))
        return outputs

    def describe(self, examples: Sequence[Mapping[str, Any]], outputs: np.ndarray) -> str:
        cells = [example["text"].replace("|", "\\|").replace("\n", " ")[:120] for example in examples]
        return self._describe_rows("text", cells, examples, outputs)

    def record(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        return {"text": example["text"], **super().record(example, prediction)}

    def read_input(self, row: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(row.get("text"), str):
            raise DataError(
                f"the input holds no text but {row.get('text')!r}",
                fix="Each input must be a string; name the right column with --column.",
            )
        return {"text": row["text"]}

    def list_probes(self) -> list[str]:
        return list(PROBES)

    def explain_input(self) -> list[str]:
        return [
            "`serving_default` takes `text`, a batch of raw UTF-8 strings, and returns",
            f"Texts longer than {self.model_config.max_length} tokens are cut at the end.",
        ]

    def serving_module(self, model: keras.Model) -> tf.Module:
        fast = heads.accelerate_classifier(model, pooling=self.pooling)
        return TextClassifierModule(
            fast, self.encoder.word_piece, self.model_config.max_length, self.label_names
        )


TaskClass = TextClassification
