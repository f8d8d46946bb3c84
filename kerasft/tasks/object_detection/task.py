"""Object detection: boxes around the objects in a picture, and their classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.feed import Feed, Output
from kerasft.data.kinds.boxes import SIDES
from kerasft.data.prepared import Split
from kerasft.data.streams import run_over
from kerasft.errors import TrainingError
from kerasft.files import compute_fingerprint
from kerasft.metrics.detection.boxes import GoldBoxes
from kerasft.metrics.tally import Tally
from kerasft.models.image.detectors import build_detector, get_net, set_threshold
from kerasft.models.image.freezing import compute_layer_depths, freeze
from kerasft.progress import Progress
from kerasft.tasks.base import Phase, Step
from kerasft.tasks.image_net import ImageNetTask, accelerate, make_head_changes
from kerasft.tasks.object_detection.answers import AnswerTally
from kerasft.tasks.object_detection.config import DetectorConfig, ObjectDetectionConfig
from kerasft.tasks.object_detection.feed import BoxFeed, PictureFeed, make_gold
from kerasft.tasks.object_detection.losses import CenterAccuracy, DetectionLoss
from kerasft.tasks.object_detection.peaks import answer_pictures
from kerasft.tasks.object_detection.serving import ANSWER_LINES, ObjectDetectorModule, measure_boxes
from kerasft.tasks.object_detection.sheets import draw_mistakes, draw_varied
from kerasft.tasks.pictures import draw_probes, refuse_picture
from kerasft.tasks.served import Served, list_labels
from kerasft.vision.augmentation.boxes import build_box_augmenter
from kerasft.vision.decoding.graph import DECODING_VERSION
from kerasft.vision.decoding.letterbox import Letterbox, build_letterbox_or_explain_decoder


class ObjectDetection(ImageNetTask):
    """Boxes around the objects in a picture.

    Args:
        config: the `task` section.
        model_config: the `model` section.
        label_names: the classes, in the order of the model's outputs.
        weights: a file of the net's weights, or a preset's folder; None for random ones.
    """

    config: ObjectDetectionConfig
    model_config: DetectorConfig

    def __init__(
        self,
        config: ObjectDetectionConfig,
        model_config: DetectorConfig,
        label_names: Sequence[str],
        weights: Path | None,
    ):
        super().__init__(config, model_config, label_names, weights)
        self.size_px = model_config.size_px
        self._decode = build_letterbox_or_explain_decoder(self.size_px)

    # --- data -------------------------------------------------------------------------------------------------

    @property
    def encoder_fingerprint(self) -> str:
        return compute_fingerprint([DECODING_VERSION, list(self.size_px)])

    def open_feed(self, split: Split, folder: Path, fingerprint: str, progress: Progress) -> BoxFeed:
        """Pictures are decoded as they are asked for; nothing is kept of them."""
        return BoxFeed(split, self.size_px, is_measured=True)

    # --- model ------------------------------------------------------------------------------------------------

    def build(self, *, weights: str, seed: int, dtype: str | None = None) -> keras.Model:
        settings = self.model_config
        return build_detector(
            self.load_backbone(self.size_px, weights=weights, seed=seed, dtype=dtype),
            len(self.label_names),
            stride=settings.stride,
            channels=settings.channels,
            quality=settings.quality,
            momentum=settings.batch_norm_momentum,
            seed=seed,
            dtype=dtype,
        )

    def get_net(self, model: keras.Model) -> keras.Model:
        return get_net(model)

    def compute_depths(self, model: keras.Model) -> dict[str, int]:
        depths = compute_layer_depths(get_net(model))
        head = max(depths.values()) + 1
        return {**{variable.path: head for variable in model.weights}, **depths}

    def open_phases(
        self,
        model: keras.Model,
        train: Any,
        open_feed: Callable[[str], Feed | None],
        *,
        seed: int,
        matmul_dtype: str = "float32",
    ) -> Iterator[Phase]:
        feed, validation = open_feed("train"), open_feed("validation")
        assert isinstance(feed, BoxFeed)
        if train.head is not None:
            freeze(get_net(model))
            yield Phase(
                "head",
                accelerate(model, matmul_dtype),
                BoxFeed(feed.split, self.size_px),
                validation,
                make_head_changes(train),
                dict.fromkeys((variable.path for variable in model.trainable_variables), 0),
                final=not train.epochs,
                whole=model,
            )
        if train.epochs:
            augmenter = build_box_augmenter(self.config.augmentation, self.size_px)
            varied = BoxFeed(
                feed.split, self.size_px, augmenter=None if augmenter.is_identity else augmenter, seed=seed
            )
            yield from self.open_net_phases(model, train, varied, validation, matmul_dtype)

    def loss(self) -> keras.losses.Loss:
        return DetectionLoss(len(self.label_names), self.model_config.stride)

    def metrics(self) -> list[keras.metrics.Metric]:
        return [CenterAccuracy(len(self.label_names), self.model_config.stride)]

    def settle_answers(
        self, model: keras.Model, open_feed: Callable[[str], Feed | None], batch_size: int
    ) -> None:
        """The threshold is the score with the highest F1 on the validation split."""
        validation = open_feed("validation")
        if validation is None:
            return
        tally = self.open_tally()
        try:
            for part in run_over(validation, self.build_step(model), batch_size):
                numbers, outputs = [number for number, _ in part], [output for _, output in part]
                tally.add(numbers, outputs, [validation.get_reference(number) for number in numbers])
        except TrainingError:
            return  # the training failed, which is told elsewhere
        score = tally.choose_threshold() if len(tally) else None
        if score is not None:
            set_threshold(model, score)

    # --- answers ----------------------------------------------------------------------------------------------

    @property
    def _answer_options(self) -> dict[str, Any]:
        """Arguments of `answer_pictures`."""
        return {
            "num_classes": len(self.label_names),
            "stride": self.model_config.stride,
            "max_detections": self.config.max_detections,
            "threshold": self.config.threshold,
        }

    def build_step(self, model: keras.Model, *, published: bool = True) -> Step:
        places = {
            "scale": tf.TensorSpec((None,), tf.float32),
            "offset": tf.TensorSpec((None, 2), tf.float32),
            "size": tf.TensorSpec((None, 2), tf.int32),
        }
        image = model.input["image"]
        answer = tf.function(
            partial(_answer, model, self._answer_options),
            input_signature=[{"image": tf.TensorSpec(image.shape, image.dtype), **places}],
            autograph=False,
        )
        return lambda inputs, labels: answer(dict(inputs))

    def make_feed(self, examples: Sequence[Mapping[str, Any]]) -> PictureFeed:
        return PictureFeed(
            [
                example
                if "pixels" in example
                else self._read(example["image"], str(example.get("name", "a picture")))
                for example in examples
            ]
        )

    def read_input(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return self._read(super().read_input(row)["image"], str(row["image"]))

    def read_served(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return self._read(super().read_served(inputs)["image"], "a picture")

    def _read(self, data: bytes, name: str) -> dict[str, Any]:
        """A picture is decoded here, by the graph that is exported: what has no answer there has none here."""
        images, places, (status,) = self._decode(tf.constant([data]))
        if refused := status.numpy().decode():
            refuse_picture(data, name, refused)
        return {"image": data, "pixels": images[0], "letterbox": Letterbox(*(part[0] for part in places))}

    def decode(self, outputs: Sequence[Output]) -> list[dict[str, Any]]:
        return [{"boxes": list(self._list_answers(output))} for output in outputs]

    def _list_answers(self, output: Output) -> Iterator[dict[str, Any]]:
        sure = output["scores"] >= output["threshold"]
        rows = zip(output["boxes"][sure], output["scores"][sure], output["labels"][sure], strict=True)
        for box, score, label in rows:
            sides = dict(zip(SIDES, box.tolist(), strict=True))
            yield {"label": self.label_names[int(label)], "score": float(score), **sides}

    def record(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        gold = make_gold(example)
        boxes = [
            {
                "label": self.label_names[label],
                **dict(zip(SIDES, box, strict=True)),
                "crowd": crowd,
            }
            for box, label, crowd in zip(
                gold.boxes.tolist(), gold.labels.tolist(), gold.crowd.tolist(), strict=True
            )
        ]
        return {"boxes": boxes, "predicted": list(prediction["boxes"])}

    def open_tally(self) -> AnswerTally:
        return AnswerTally(self.label_names)

    def make_right_output(self, reference: GoldBoxes) -> Output:
        real = ~reference.crowd
        return {
            "boxes": reference.boxes[real],
            "scores": np.ones(int(real.sum()), np.float32),
            "labels": reference.labels[real],
            "threshold": np.float32(0.5),
        }

    def describe(self, examples: Sequence[Mapping[str, Any]], outputs: Sequence[Output]) -> str:
        lines = ["| picture | boxes | predicted |", "|---|---|---|"]
        for example, prediction in zip(examples, self.decode(outputs), strict=True):
            said = self.record(example, prediction)
            cells = [_count(said[side]) for side in ("boxes", "predicted")]
            lines.append("| " + " | ".join([example["name"], *cells]).replace("\n", " ") + " |")
        return "\n".join(lines)

    def draw_mistakes(self, split: Split, tally: Tally) -> Any:
        assert isinstance(tally, AnswerTally)
        return draw_mistakes(split, tally, self.label_names)

    def draw_varied(self, feed: Feed) -> Any:
        varied = isinstance(feed, BoxFeed) and feed.is_varied
        return draw_varied(feed, self.label_names) if varied else None

    # --- export -----------------------------------------------------------------------------------------------

    def serve(self, model: keras.Model) -> Served:
        height, width = self.size_px
        return Served(
            module=ObjectDetectorModule(model, self.size_px, self.label_names, self._answer_options),
            takes="`serving_default` takes `image`, a batch of JPEG, PNG, GIF, BMP or WebP files as bytes, and returns",
            limits=f"Pictures are turned as their EXIF says, scaled to fit into {height} × {width} pixels (height × "
            "width) and filled up with black inside; no preprocessing is needed. Boxes are in the pixels of the turned "
            f"picture, at most {self.config.max_detections} of them.",
            returns=ANSWER_LINES,
            probes=draw_probes(),
            measure=partial(measure_boxes, label_names=self.label_names),
            files=list_labels(self.label_names),
        )


def _answer(model: keras.Model, options: Mapping[str, Any], inputs: Mapping[str, tf.Tensor]) -> Any:
    letterbox = Letterbox(*(inputs[name] for name in Letterbox._fields))
    return answer_pictures(model({"image": inputs["image"]}, training=False), letterbox, **options)


def _count(boxes: Sequence[Mapping[str, Any]]) -> str:
    """`3 RBC, 1 WBC`, the classes by their names."""
    counts = Counter(box["label"] for box in boxes)
    return ", ".join(f"{count} {label}" for label, count in sorted(counts.items())) or "none"


TaskClass = ObjectDetection
