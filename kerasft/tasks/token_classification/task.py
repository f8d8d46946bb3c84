"""Token classification: spans of a text and their types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasft.data.cache import build_caches
from kerasft.data.prepared import Split
from kerasft.files import compute_fingerprint
from kerasft.models.config import TextModelConfig
from kerasft.models.text import heads
from kerasft.progress import Progress
from kerasft.tasks.served import Served, list_labels
from kerasft.tasks.text_encoder import TextEncoderTask
from kerasft.tasks.token_classification.config import TokenClassificationConfig
from kerasft.tasks.token_classification.encoding import WindowEncoder
from kerasft.tasks.token_classification.feed import RawTokenFeed, TokenFeed, encode_examples
from kerasft.tasks.token_classification.serving import ENTITY_LINES, PROBES, TokenClassifierModule
from kerasft.tasks.token_classification.spans import (
    Entity,
    Gold,
    Scores,
    TagSet,
    log_softmax,
)
from kerasft.tasks.token_classification.tally import EntityTally
from kerasft.tasks.token_losses import TokenAccuracy, TokenCrossentropy

LABELLING_VERSION = 3
"""Changes when the same texts would carry other labels."""
_ENCODED = 1024
"""Texts encoded at once."""


class TokenClassification(TextEncoderTask):
    """Entities in a text.

    Args:
        config: the `task` section.
        model_config: the `model` section.
        label_names: the types of entities, in the order of the model's outputs.
        preset: local folder of the pre-trained encoder and its vocabulary.
    """

    pooling = "none"

    def __init__(
        self,
        config: TokenClassificationConfig,
        model_config: TextModelConfig,
        label_names: Sequence[str],
        preset: Path,
    ):
        self.config = config
        super().__init__(model_config, label_names, preset)
        self.tag_set = TagSet(self.label_names)
        self.encoder = WindowEncoder(
            self.tokenizer, model_config.max_length, overlap=config.overlap, inputs=self.family.inputs
        )

    def load_tokenizer(self) -> Any:
        return self.family.load_unit_tokenizer(self.preset, split_characters=self.config.units == "character")

    # --- data -------------------------------------------------------------------------------------------------

    @property
    def encoder_fingerprint(self) -> str:
        return compute_fingerprint([self.encoder.fingerprint, LABELLING_VERSION])

    def open_feed(self, split: Split, folder: Path, fingerprint: str, progress: Progress) -> TokenFeed:
        """Texts are encoded once, and cut into windows, into two memory-mapped caches."""

        def chunks() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
            with progress.bar(f"Encoding {split.name}", len(split), "texts") as bar:
                first = 0
                for rows in split.iterate(_ENCODED):
                    encoded = encode_examples(self.encoder, self.tag_set, rows, first)
                    yield encoded.texts, encoded.windows
                    first += len(rows)
                    bar.advance(len(rows))

        fingerprint = compute_fingerprint([fingerprint, self.encoder_fingerprint, self.tag_set.tags])
        texts, windows = build_caches(
            [folder / f"{split.name}.{kind}" for kind in ("texts", "windows")],
            fingerprint,
            chunks(),
            progress,
        )
        if lost := int(texts.column("lost").sum()):
            progress.warn(
                f"{lost:,} entities of {split.name} begin or end within a unit, and cannot be answered exactly; "
                "task.units: character gives each character a tag of its own."
            )
        return TokenFeed(texts, windows, self.encoder, len(self.tag_set))

    # --- model ------------------------------------------------------------------------------------------------

    @property
    def num_outputs(self) -> int:
        return len(self.tag_set)

    def loss(self) -> keras.losses.Loss:
        return TokenCrossentropy()

    def metrics(self) -> list[Any]:
        return [TokenAccuracy()]

    # --- answers ----------------------------------------------------------------------------------------------

    def make_feed(self, examples: Sequence[Mapping[str, Any]]) -> RawTokenFeed:
        encoded = self.encoder.encode([example["text"] for example in examples])
        return RawTokenFeed(encoded, self.encoder, len(self.tag_set))

    def _decode(self, outputs: Sequence[Scores]) -> list[tuple[np.ndarray, list[Entity]]]:
        return self.tag_set.decode(outputs, constrained=self.config.constrained)

    def decode(self, outputs: Sequence[Scores]) -> list[dict[str, Any]]:
        return [
            {
                "entities": [
                    {
                        "start": one.start,
                        "end": one.end,
                        "type": self.label_names[one.type],
                        "score": one.score,
                    }
                    for one in entities
                ]
            }
            for _, entities in self._decode(outputs)
        ]

    def complete(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "entities": [
                {"text": example["text"][one["start"] : one["end"]], **one} for one in prediction["entities"]
            ]
        }

    def open_tally(self) -> EntityTally:
        return EntityTally(self.tag_set, constrained=self.config.constrained)

    def make_right_output(self, reference: Gold) -> Scores:
        """With units of one character each: where they stand is no part of a reference."""
        start = np.arange(len(reference.tags), dtype=np.int32)
        ones = 9.0 * np.eye(len(self.tag_set), dtype=np.float32)
        return Scores(np.stack([start, start + 1], 1), log_softmax(ones[reference.tags]))

    def record(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        text = example["text"]
        truth = [
            {"text": text[start:end], "start": start, "end": end, "type": self.label_names[kind]}
            for start, end, kind in example["entities"]
        ]
        return {"text": text, "entities": truth, "predicted": self.complete(example, prediction)["entities"]}

    def describe(self, examples: Sequence[Mapping[str, Any]], outputs: Sequence[Scores]) -> str:
        lines = ["| text | true | predicted |", "|---|---|---|"]
        for example, prediction in zip(examples, self.decode(outputs), strict=True):
            recorded = self.record(example, prediction)
            truth, predicted = (
                ", ".join(f"{one['text']} ({one['type']})" for one in recorded[side]) or "–"
                for side in ("entities", "predicted")
            )
            mark = "" if truth == predicted else " ✗"
            cells = [recorded["text"][:200], truth, predicted + mark]
            lines.append(
                "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
            )
        return "\n".join(lines)

    # --- export -----------------------------------------------------------------------------------------------

    def serve(self, model: keras.Model) -> Served:
        fast = heads.accelerate_classifier(model, pooling=self.pooling)
        return Served(
            module=TokenClassifierModule(
                fast, self.encoder, self.tag_set, constrained=self.config.constrained
            ),
            takes="`serving_default` takes `text`, a batch of raw UTF-8 strings, and returns the entities of each, in "
            "order; all rows are as long as the largest number of entities in a text, filled up with fillers:",
            limits=f"Texts longer than {self.model_config.max_length} tokens are answered in windows that overlap.",
            returns=ENTITY_LINES,
            probes=PROBES,
            measure=self._measure_answers,
            files=list_labels(self.label_names),
        )

    def _measure_answers(
        self, answers: Mapping[str, np.ndarray], outputs: Sequence[Scores]
    ) -> tuple[np.ndarray, np.ndarray]:
        """See `Served.measure`. Answers with other entities differ by how much less probable the model finds them, of
        which all is forgiven that rounding explains."""
        differences, equal = np.zeros(len(outputs)), np.ones(len(outputs), bool)
        numbers = {name: number for number, name in enumerate(self.label_names)}
        for index, (scores, (tags, entities)) in enumerate(zip(outputs, self._decode(outputs), strict=True)):
            count = int(answers["count"][index])
            served = [
                (int(answers["start"][index, place]), int(answers["end"][index, place]),
                 numbers[str(answers["type"][index, place])])
                for place in range(count)
            ]  # fmt: skip
            if served == [(one.start, one.end, one.type) for one in entities]:
                given = answers["score"][index, :count].astype(np.float64)
                differences[index] = np.abs(given - [one.score for one in entities]).max(initial=0.0)
                continue
            equal[index] = False
            other = self.tag_set.tag_units(scores.places, served)
            units = np.arange(len(tags))
            differences[index] = float(
                scores.log_probabilities[units, tags].sum() - scores.log_probabilities[units, other].sum()
            )
        return differences, equal


TaskClass = TokenClassification
