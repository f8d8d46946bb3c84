"""Text classification: one label for a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasft.data.cache import ArrayRows, build_cache
from kerasft.data.feed import Feed, Output
from kerasft.data.prepared import Split
from kerasft.data.streams import collect_outputs
from kerasft.files import compute_fingerprint
from kerasft.models.adaptation.adapters import begin_adapters
from kerasft.models.adaptation.learning import adapt
from kerasft.models.config import TextModelConfig
from kerasft.models.text import heads
from kerasft.models.text.presets import load_pooling
from kerasft.progress import Progress
from kerasft.tasks.base import Phase
from kerasft.tasks.classifier import Classifier, SmoothedCrossentropy, SparseCrossentropy
from kerasft.tasks.features import FeatureStore
from kerasft.tasks.served import Served
from kerasft.tasks.text_classification.config import TextClassificationConfig
from kerasft.tasks.text_classification.serving import PROBES, TextClassifierModule
from kerasft.tasks.text_encoder import TextEncoderTask
from kerasft.tasks.text_feed import FeatureFeed, TextFeed
from kerasft.text.encoding import TextEncoder

_FEATURE_ROWS = 1024
"""Texts whose features are computed at once, in batches of like length."""


class TextClassification(TextEncoderTask, Classifier):
    """One label for a text.

    Args:
        config: the `task` section.
        model_config: the `model` section.
        label_names: the classes, in the order of the model's outputs.
        preset: local folder of the pre-trained encoder and its vocabulary.
    """

    def __init__(
        self,
        config: TextClassificationConfig,
        model_config: TextModelConfig,
        label_names: Sequence[str],
        preset: Path,
    ):
        super().__init__(model_config, label_names, preset)
        self.config = config
        self.encoder = TextEncoder(self.tokenizer, model_config.max_length, self.family.inputs)

    @property
    def pooling(self) -> str:
        return load_pooling(self.preset) if self.config.pooling == "auto" else self.config.pooling

    @property
    def num_outputs(self) -> int:
        return len(self.label_names)

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
        cache = build_cache(folder / split.name, fingerprint, chunks(), progress)
        features = FeatureStore(split.name, folder, fingerprint, progress)
        return TextFeed(cache, self.encoder, "label", features=features)

    def encode(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray | list[np.ndarray]]:
        """Examples → columns for the cache: `token_ids` (ragged), and `label` where they have one. Pure."""
        columns: dict[str, np.ndarray | list[np.ndarray]] = {
            "token_ids": self.encoder.encode([example["text"] for example in examples])
        }
        if examples and "label" in examples[0]:
            columns["label"] = np.array([example["label"] for example in examples], np.int32)
        return columns

    def open_phases(
        self,
        model: keras.Model,
        train: Any,
        open_feed: Callable[[str], Feed | None],
        *,
        seed: int,
        matmul_dtype: str = "float32",
    ) -> Iterator[Phase]:
        """As for any text encoder; of a net that is frozen under its head the features are computed once."""
        if self.model_config.adaptation.type != "head":
            yield from super().open_phases(model, train, open_feed, seed=seed, matmul_dtype=matmul_dtype)
            return
        feeds = {name: feed for name in ("train", "validation") if (feed := open_feed(name)) is not None}
        begin_adapters(model, self.model_config, self.preset, self.label_names, seed=seed)
        adapt(model, self.model_config.adaptation, self.compute_depths(model))
        extractor, head = heads.split_classifier(model, pooling=self.pooling)
        features = {name: self._open_features(feed, extractor) for name, feed in feeds.items()}
        depths = {variable.path: 0 for variable in head.trainable_variables}
        yield Phase("finetune", head, features["train"], features.get("validation"), {}, depths, whole=model)

    def _open_features(self, feed: Feed, extractor: keras.Model) -> FeatureFeed:
        """What the frozen net makes of a split's texts."""
        assert isinstance(feed, TextFeed)
        assert feed.features is not None
        texts = feed.rows

        def compute(forward: Callable[[Any], Any], rows: range) -> np.ndarray:
            some = ArrayRows({"token_ids": [texts.row("token_ids", row) for row in rows]})
            part = TextFeed(some, self.encoder, in_memory=True)
            outputs = collect_outputs(part, lambda inputs, labels: {"features": forward(inputs)})
            return np.stack([output["features"] for output in outputs])

        kept = feed.features.keep(extractor, len(texts), "texts", compute, rows_at_once=_FEATURE_ROWS)
        return FeatureFeed(feed, kept)

    def loss(self) -> keras.losses.Loss:
        smoothing = self.config.label_smoothing
        if not smoothing:
            return SparseCrossentropy(from_logits=True)
        return SmoothedCrossentropy(len(self.label_names), smoothing)

    def metrics(self) -> list[Any]:
        return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]

    def make_feed(self, examples: Sequence[Mapping[str, Any]]) -> TextFeed:
        return TextFeed(ArrayRows(self.encode(examples)), self.encoder, in_memory=True)

    def describe(self, examples: Sequence[Mapping[str, Any]], outputs: Sequence[Output]) -> str:
        cells = [example["text"].replace("|", "\\|").replace("\n", " ")[:120] for example in examples]
        return self._describe_rows("text", cells, examples, outputs)

    def record(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        return {"text": example["text"], **super().record(example, prediction)}

    def serve(self, model: keras.Model) -> Served:
        fast = heads.accelerate_classifier(model, pooling=self.pooling)
        max_length = self.model_config.max_length
        return self._serve_classes(
            TextClassifierModule(fast, self.encoder.tokenizer, max_length, self.label_names),
            takes="`serving_default` takes `text`, a batch of raw UTF-8 strings, and returns",
            limits=f"Texts longer than {max_length} tokens are truncated.",
            probes=PROBES,
        )


TaskClass = TextClassification
