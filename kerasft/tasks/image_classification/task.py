"""Image classification: one label, or any number of them, for a picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.feed import Feed, Output
from kerasft.data.prepared import Split
from kerasft.data.streams import collect_outputs
from kerasft.errors import DataError
from kerasft.files import compute_fingerprint
from kerasft.metrics.tally import Tally
from kerasft.models.config import ImageModelConfig
from kerasft.models.image.freezing import compute_layer_depths, freeze
from kerasft.models.image.heads import LOGITS, build_image_classifier, get_backbone, split_classifier
from kerasft.progress import Progress
from kerasft.tasks.answers import Answers, AnswerTally, MultiLabel
from kerasft.tasks.base import Phase, Step
from kerasft.tasks.classifier import Classifier
from kerasft.tasks.features import FeatureStore
from kerasft.tasks.image_classification.config import ImageClassificationConfig
from kerasft.tasks.image_classification.feed import FeatureFeed, ImageFeed, PixelFeed
from kerasft.tasks.image_classification.losses import (
    DistributionCrossentropy,
    MultiLabelCrossentropy,
    compute_class_weights,
)
from kerasft.tasks.image_classification.serving import ImageClassifierModule
from kerasft.tasks.image_classification.sheets import draw_mistakes, draw_varied
from kerasft.tasks.image_net import ImageNetTask, make_head_changes
from kerasft.tasks.pictures import draw_probes, refuse_picture
from kerasft.tasks.served import Served
from kerasft.vision.augmentation.augmenter import build_augmenter
from kerasft.vision.decoding.graph import DECODING_VERSION, build_decoder

_FEATURE_BATCH = 32


class ImageClassification(ImageNetTask, Classifier):
    """One label for a picture, or any number of them.

    Args:
        config: the `task` section.
        model_config: the `model` section.
        label_names: the classes, in the order of the model's outputs.
        weights: a file of the net's weights, or a preset's folder; None for random ones.
    """

    def __init__(
        self,
        config: ImageClassificationConfig,
        model_config: ImageModelConfig,
        label_names: Sequence[str],
        weights: Path | None,
    ):
        super().__init__(config, model_config, label_names, weights)
        self.size_px = model_config.image_size_px or self.preset.image_size_px
        self._decode = build_decoder((self.size_px, self.size_px), model_config.resize)

    # --- data -------------------------------------------------------------------------------------------------

    @property
    def encoder_fingerprint(self) -> str:
        return compute_fingerprint([DECODING_VERSION, self.size_px, self.model_config.resize])

    def open_feed(self, split: Split, folder: Path, fingerprint: str, progress: Progress) -> ImageFeed:
        """Pictures are decoded as they are asked for; features of a frozen net may be kept in `folder`."""
        known = compute_fingerprint([fingerprint, self.encoder_fingerprint])
        return ImageFeed(
            split,
            len(self.label_names),
            self.size_px,
            self.model_config.resize,
            features=FeatureStore(split.name, folder, known, progress),
        )

    def _open_features(self, feed: ImageFeed, extractor: keras.Model) -> FeatureFeed:
        """What the frozen net makes of a split's pictures."""

        def compute(forward: Callable[[Any], Any], rows: range) -> np.ndarray:
            part = self.make_feed(feed.split.take(np.asarray(rows)))
            outputs = collect_outputs(
                part, lambda inputs, labels: {"features": forward(inputs)}, _FEATURE_BATCH
            )
            return np.stack([output["features"] for output in outputs])

        assert feed.features is not None
        kept = feed.features.keep(extractor, len(feed), "pictures", compute, rows_at_once=_FEATURE_BATCH)
        return FeatureFeed(kept, feed.labels, len(self.label_names))

    # --- model ------------------------------------------------------------------------------------------------

    @property
    def published_size_px(self) -> int:
        return self.size_px

    def build(self, *, weights: str, seed: int, dtype: str | None = None) -> keras.Model:
        return build_image_classifier(
            self.load_backbone(self.size_px, weights=weights, seed=seed, dtype=dtype),
            len(self.label_names),
            pooling=self.model_config.pooling,
            dropout=self.model_config.dropout,
            seed=seed,
        )

    def get_net(self, model: keras.Model) -> keras.Model:
        return get_backbone(model)

    def compute_depths(self, model: keras.Model) -> dict[str, int]:
        depths = compute_layer_depths(get_backbone(model))
        head = max(depths.values()) + 1
        return {**depths, **{variable.path: head for variable in model.get_layer(LOGITS).weights}}

    def open_phases(
        self,
        model: keras.Model,
        train: Any,
        open_feed: Callable[[str], Feed | None],
        *,
        seed: int,
        matmul_dtype: str = "float32",
    ) -> Iterator[Phase]:
        feeds = {split: open_feed(split) for split in ("train", "validation")}
        train_feed, validation = feeds["train"], feeds["validation"]
        assert isinstance(train_feed, ImageFeed)
        loss = self._build_loss(train_feed.labels)
        backbone = get_backbone(model)
        if train.head is not None:
            freeze(backbone)
            yield replace(self._open_head_phase(model, train, train_feed, validation), loss=loss)
        if not train.epochs:
            return
        augmenter = build_augmenter(
            self.config.augmentation, (self.size_px, self.size_px), self.model_config.resize
        )
        varied = ImageFeed(
            train_feed.split,
            len(self.label_names),
            self.size_px,
            self.model_config.resize,
            None if augmenter.is_identity else augmenter,
            seed,
        )
        yield from self.open_net_phases(model, train, varied, validation, matmul_dtype, loss)

    def _open_head_phase(
        self, model: keras.Model, train: Any, train_feed: ImageFeed, validation: Feed | None
    ) -> Phase:
        changes = make_head_changes(train)
        phase_model: keras.Model = model
        feeds: list[Feed | None] = [train_feed, validation]
        if train.head.cache:
            extractor, phase_model = split_classifier(model)
            feeds = [
                self._open_features(feed, extractor) if isinstance(feed, ImageFeed) else None
                for feed in (train_feed, validation)
            ]
        assert feeds[0] is not None
        depths = {variable.path: 0 for variable in phase_model.trainable_variables}
        return Phase(
            "head", phase_model, feeds[0], feeds[1], changes, depths, final=not train.epochs, whole=model
        )

    def loss(self) -> keras.losses.Loss:
        """Without weights of classes, which a training split settles: its phases have them."""
        return self._build_loss(None)

    def _build_loss(self, labels: np.ndarray | None) -> keras.losses.Loss:
        weights = None
        if labels is not None and self.config.class_weights == "balanced":
            weights = compute_class_weights(labels, len(self.label_names)).tolist()
        loss = MultiLabelCrossentropy if self.config.multi_label else DistributionCrossentropy
        return loss(self.config.label_smoothing, weights)

    def metrics(self) -> list[keras.metrics.Metric]:
        if self.config.multi_label:
            # of single labels: the figure `accuracy` is of examples with all labels right
            return [keras.metrics.BinaryAccuracy(name="binary_accuracy", threshold=0.0)]
        return [keras.metrics.CategoricalAccuracy(name="accuracy")]

    # --- answers ----------------------------------------------------------------------------------------------

    @property
    def answers(self) -> Answers:
        return MultiLabel(self.label_names) if self.config.multi_label else super().answers

    def build_step(self, model: keras.Model, *, published: bool = True) -> Step:
        if not published or self.config.test_time_augmentation == "none":
            return super().build_step(model)
        forward = tf.function(
            lambda images: _answer_twice(model, images),
            input_signature=[tf.TensorSpec(model.input.shape, model.input.dtype)],
            autograph=False,
        )
        return lambda inputs, labels: {"logits": forward(inputs)}

    def make_feed(self, examples: Sequence[Mapping[str, Any]]) -> PixelFeed:
        return PixelFeed(self._open_pictures(examples))

    def _open_pictures(self, examples: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        """uint8 (size, size, 3) of each; those that were read for an answer are decoded already."""
        if all("pixels" in example for example in examples):
            return [example["pixels"] for example in examples]
        images, statuses = self._decode(tf.constant([example["image"] for example in examples]))
        for example, status in zip(examples, statuses.numpy(), strict=True):
            if status:
                raise DataError(status.decode(), where=str(example.get("name", "a picture")))
        return images.numpy()

    def read_input(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return self._read(super().read_input(row)["image"], str(row["image"]))

    def read_served(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return self._read(super().read_served(inputs)["image"], "a picture")

    def _read(self, data: bytes, name: str) -> dict[str, Any]:
        """A picture is decoded here, by the graph that is exported: what has no answer there has none here."""
        images, (status,) = self._decode(tf.constant([data]))
        if not (refused := status.numpy().decode()):
            return {"image": data, "pixels": images[0]}
        refuse_picture(data, name, refused)

    def describe(self, examples: Sequence[Mapping[str, Any]], outputs: Sequence[Output]) -> str:
        return self._describe_rows("picture", [example["name"] for example in examples], examples, outputs)

    def draw_mistakes(self, split: Split, tally: Tally) -> Any:
        if self.config.multi_label:
            return None
        assert isinstance(tally, AnswerTally)
        logits, labels = tally.stack()
        return draw_mistakes(split, self.probabilities(logits), labels, self.label_names)

    def draw_varied(self, feed: Feed) -> Any:
        varied = isinstance(feed, ImageFeed) and feed.is_varied
        return draw_varied(feed, self.label_names) if varied else None

    # --- export -----------------------------------------------------------------------------------------------

    def serve(self, model: keras.Model) -> Served:
        twice, multi_label = self.config.test_time_augmentation == "flip", self.config.multi_label
        several = (
            " Each label has its own probability; an image has every label with a probability of 0.5 or more."
        )
        how = {"crop": "cut", "pad": "filled up", "stretch": "stretched"}[self.model_config.resize]

        def forward(images: Any) -> Any:
            return _answer_twice(model, images) if twice else model(images, training=False)

        return self._serve_classes(
            ImageClassifierModule(
                model, forward, self.size_px, self.model_config.resize, self.label_names, multi_label
            ),
            takes="`serving_default` takes `image`, a batch of JPEG, PNG, GIF, BMP or WebP files as bytes, and returns",
            limits=f"Pictures are turned as their EXIF says, {how} to a square and resized to {self.size_px} × "
            f"{self.size_px} pixels inside; no preprocessing is needed.{several * multi_label}",
            probes=draw_probes(),
        )


def _answer_twice(model: keras.Model, images: Any) -> Any:
    """The mean of the logits of pictures and their mirror images."""
    return 0.5 * (model(images, training=False) + model(tf.reverse(images, [2]), training=False))


TaskClass = ImageClassification
