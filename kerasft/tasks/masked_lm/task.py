"""Masked language modelling: learning from raw text by telling the tokens behind masks."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.cache import ArrayRows, build_caches
from kerasft.data.feed import Feed
from kerasft.data.prepared import Split
from kerasft.errors import DataError
from kerasft.files import compute_fingerprint, whole_folder
from kerasft.integrity import recorded_file, write_hashes
from kerasft.models.forward import make_forward
from kerasft.models.hubs.folders import check_preset_folder
from kerasft.models.text import masked_heads
from kerasft.models.text.encoder import PACKED_INPUTS
from kerasft.models.text.heads import find_encoder
from kerasft.models.text.presets import (
    build_text_backbone,
    check_max_length,
    check_vocabulary,
    load_text_backbone,
    save_pooling,
)
from kerasft.models.weights.saved_models import load_model_weights, measure_weights
from kerasft.progress import Progress
from kerasft.tasks.language_tally import LanguageTally
from kerasft.tasks.masked_lm.answers import MaskedAnswers
from kerasft.tasks.masked_lm.config import MaskedLmConfig, MaskedModelConfig
from kerasft.tasks.masked_lm.encoding import MaskedEncoder
from kerasft.tasks.masked_lm.feed import DocumentFeed, PackedFeed, Reference
from kerasft.tasks.masked_lm.serving import (
    LINES,
    Guesser,
    MaskedLmModule,
    describe_refusal,
    list_probes,
)
from kerasft.tasks.served import Served
from kerasft.tasks.text_encoder import TextEncoderTask
from kerasft.tasks.token_losses import TokenAccuracy, TokenCrossentropy
from kerasft.text.masking import Masker
from kerasft.text.ops import compile_once
from kerasft.text.token_words import list_token_words
from kerasft.text.tokenizers.config import TokenizerConfig

_READ_AT_ONCE = 32
"""Documents: one may have megabytes."""
_QUESTION_CHARACTERS = 300


class MaskedLm(TextEncoderTask):
    """Telling masked tokens.

    Args:
        config: the `task` section.
        model_config: the `model` section.
        label_names: none.
        preset: local folder of the encoder to go on from, or of what a new net begins with.
        tokenizer: the `tokenizer` section; what came of it lies in the folder.
    """

    title = "Pre-training"
    pooling, num_outputs = "none", 0

    def __init__(
        self,
        config: MaskedLmConfig,
        model_config: MaskedModelConfig,
        label_names: Sequence[str],
        preset: Path,
        tokenizer: TokenizerConfig,
    ):
        self.config = config
        super().__init__(model_config, label_names, preset)
        ids = self.tokenizer.special_ids
        self.words = list_token_words(self.tokenizer)
        self.mask = self.words.mask
        self.encoder = MaskedEncoder(
            self.tokenizer, model_config.max_length, self.words, special_tokens=config.special_tokens
        )
        # what the vocabulary cannot spell is not asked either: it would be the easiest token of all
        size = self.tokenizer.vocabulary_size
        make_masker = functools.partial(Masker, size, self.words.unsaid, ids.mask)
        self.measuring_masker = make_masker()
        self.training_masker = make_masker(self.words.goes_on if config.whole_words else None)
        framing = (ids.cls, ids.separator, ids.padding, ids.mask)
        self.answers = MaskedAnswers(self.words, ids.mask, framing)

    # --- data -------------------------------------------------------------------------------------------------

    @property
    def encoder_fingerprint(self) -> str:
        return self.encoder.fingerprint

    def read_input(self, row: Mapping[str, Any]) -> dict[str, Any]:
        example = super().read_input(row)
        masks = example["text"].count(self.mask)
        if masks and (refused := describe_refusal(self.mask, masks)):
            raise DataError(refused, fix="Cut the text into parts.")
        return example

    def read_served(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        example = super().read_served(inputs)
        if refused := describe_refusal(self.mask, example["text"].count(self.mask)):
            raise DataError(refused)
        return example

    def make_question(self, example: Mapping[str, Any]) -> dict[str, Any]:
        """The beginning of a document with one of its words masked: the longest of those in the middle."""
        words = example["text"][:_QUESTION_CHARACTERS].replace(self.mask, " ").split()
        middle = range(len(words) // 4, max(len(words) - len(words) // 4, len(words) // 4 + 1))
        place = max(middle, key=lambda place: len(words[place]) if place < len(words) else 0, default=0)
        return {"text": " ".join([*words[:place], self.mask, *words[place + 1 :]])}

    def make_feed(self, examples: Sequence[Mapping[str, Any]]) -> DocumentFeed:
        texts = [example["text"] for example in examples]
        asking = [place for place, text in enumerate(texts) if self.mask in text]
        questions = dict(
            zip(asking, self.encoder.cut_questions([texts[place] for place in asking]), strict=True)
        )
        documents = [text for place, text in enumerate(texts) if place not in questions]
        windows = iter(self.encoder.cut_documents(documents))
        cut = [questions[place] if place in questions else next(windows) for place in range(len(texts))]
        counts, rows = self._make_columns(texts, cut, 0)
        return self._make_feed(ArrayRows(counts), ArrayRows(rows), in_memory=True)

    def open_feed(self, split: Split, folder: Path, fingerprint: str, progress: Progress) -> DocumentFeed:
        """Documents are tokenized once, and cut into windows, into two memory-mapped caches."""

        def chunks() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
            with progress.bar(f"Encoding {split.name}", len(split), "documents") as bar:
                first = 0
                for examples in split.iterate(_READ_AT_ONCE):
                    texts = [example["text"] for example in examples]
                    yield self._make_columns(texts, self.encoder.cut_documents(texts), first)
                    first += len(texts)
                    bar.advance(len(texts))

        fingerprint = compute_fingerprint([fingerprint, self.encoder_fingerprint])
        folders = [folder / f"{split.name}.{kind}" for kind in ("documents", "windows")]
        return self._make_feed(*build_caches(folders, fingerprint, chunks(), progress))

    def _make_columns(
        self, texts: Sequence[str], cut: Sequence[Sequence[np.ndarray]], first: int
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Columns of documents and of their windows; `first` is the first document's number."""
        special = 2 * self.config.special_tokens
        tokens = [sum(len(window) - special for window in windows) for windows in cut]
        documents = {
            "tokens": np.array(tokens, np.int64),
            "bytes": np.array([len(text.encode("utf-8", "replace")) for text in texts], np.int64),
        }
        owners = [number for number, windows in enumerate(cut, first) for _ in windows]
        rows = [window for windows in cut for window in windows]
        return documents, {"token_ids": rows, "documents": np.array(owners, np.int32)}

    def _make_feed(self, documents: Any, windows: Any, *, in_memory: bool = False) -> DocumentFeed:
        ids = self.tokenizer.special_ids
        return DocumentFeed(
            documents,
            windows,
            self.measuring_masker,
            inputs=(*self.family.inputs, *PACKED_INPUTS),
            padding_id=ids.padding,
            mask_id=ids.mask,
            in_memory=in_memory,
        )

    # --- model ------------------------------------------------------------------------------------------------

    def _build_hub(self, *, random_weights: bool, seed: int) -> Any:
        backbone = load_text_backbone(
            self.preset, random_weights=random_weights, seed=seed, needs_pooler=False
        )
        check_max_length(backbone, self.model_config.max_length)
        check_vocabulary(backbone, self.tokenizer, self.preset)
        keras.utils.set_random_seed(seed)  # the head's weights follow from it too
        hub = masked_heads.build_hub_masked_lm(backbone)
        if not random_weights:
            masked_heads.load_head(hub, self.preset)
        return hub

    @property
    def _is_new(self) -> bool:
        return self.model_config.size is not None or self.model_config.random_weights

    @property
    def has_new_head(self) -> bool:
        return self._is_new or not masked_heads.has_head(self.preset)

    @property
    def start_note(self) -> str:
        if self._is_new or not self.has_new_head:
            return ""
        return "the preset has no head for masked tokens: a random one learns it"

    def build_model(self, *, seed: int, matmul_dtype: str) -> keras.Model:
        return masked_heads.build_fast_masked_lm(
            self._build_hub(random_weights=self._is_new, seed=seed),
            dropout=self.model_config.dropout,
            seed=seed,
            matmul_dtype=matmul_dtype,
        )

    def make_training_feed(self, feed: Feed, *, seed: int) -> Feed:
        assert isinstance(feed, DocumentFeed)
        return PackedFeed(
            feed,
            self.model_config.max_length,
            self.training_masker,
            frame=2 * self.config.special_tokens,
            seed=seed,
            share=self.config.mask_share,
        )

    def compute_depths(self, model: keras.Model) -> dict[str, int]:
        depths = self.family.compute_depths(find_encoder(model))
        head = max(depths.values()) + 1
        return {**depths, **{weight.path: head for weight in model.get_layer(masked_heads.HEAD).weights}}

    def build_step(self, model: Any, *, published: bool = True) -> Any:
        forward = make_forward(model)
        guesser = self._make_guesser(model)
        sizes = tf.TensorSpec((None, None, model.output_shape[-1])), tf.TensorSpec((None, None), tf.int32)

        def reduce(logits: tf.Tensor, targets: tf.Tensor) -> dict[str, tf.Tensor]:
            log_probabilities = tf.nn.log_softmax(logits)
            guesses = guesser.guess(logits, log_probabilities)
            chosen = tf.gather(log_probabilities, tf.maximum(targets, 0), batch_dims=2)
            return {
                "log_loss": -chosen,
                "right": tf.equal(tf.argmax(logits, -1, output_type=tf.int32), targets),
                "ids": guesses.ids,
                "probabilities": guesses.probabilities,
                "targets": targets,
            }

        reduced = compile_once(reduce, *sizes)

        def step(inputs: Mapping[str, tf.Tensor], labels: tf.Tensor) -> dict[str, tf.Tensor]:
            logits = forward({name: inputs[name] for name in model.input})
            return {**reduced(logits, labels), "positions": inputs["mask_positions"]}

        return step

    def _make_guesser(self, model: Any) -> Guesser:
        """What picks a model's words: some nets have more embeddings than the tokenizer has tokens."""
        size = int(model.output_shape[-1])
        return Guesser(size, (*self.words.unsaid, *range(self.tokenizer.vocabulary_size, size)))

    def publish(self, model: keras.Model, folder: Path) -> None:
        # a preset's pooler, which takes no part in the training, is handed on as it came
        hub = self._build_hub(random_weights=self._is_new, seed=0)
        masked_heads.publish_masked_lm(model, hub)
        with recorded_file(folder, folder / "model.keras") as path:
            hub.save(path)
        with whole_folder(folder / "preset") as path:
            self.family.save_preset(hub, self.tokenizer, path)
            # no text was ever told by its first token: the mean of all is what fine-tuning begins with
            save_pooling(path, "mean")
            write_hashes(path)

    def load_published(self, folder: Path) -> Any:
        preset, path = folder / "preset", folder / "model.keras"
        check_preset_folder(preset, needs_weights=False)
        backbone = build_text_backbone(preset, weights_bytes=measure_weights(path))
        check_vocabulary(backbone, self.tokenizer, preset)
        hub = masked_heads.build_hub_masked_lm(backbone)
        load_model_weights(hub, path)
        return hub

    def loss(self) -> keras.losses.Loss:
        return TokenCrossentropy()

    def metrics(self) -> list[Any]:
        return [TokenAccuracy()]

    # --- answers ----------------------------------------------------------------------------------------------

    def decode(self, outputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return self.answers.decode(outputs)

    def complete(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        return self.answers.complete(example, prediction)

    def open_tally(self) -> LanguageTally:
        return LanguageTally()

    def make_right_output(self, reference: Reference) -> dict[str, Any]:
        scored = min(reference.tokens, 1)
        right = {"log_loss": np.zeros(scored, np.float32), "right": np.ones(scored, bool)}
        return {**right, **reference._asdict()}

    def record(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        return self.answers.record(example, prediction)

    def describe(self, examples: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> str:
        return self.answers.describe(outputs)

    # --- export -----------------------------------------------------------------------------------------------

    def serve(self, model: Any) -> Served:
        fast = masked_heads.build_fast_masked_lm(model, dropout=0.0, seed=0)
        module = MaskedLmModule(fast, self.encoder, self._make_guesser(fast), self.words)
        return Served(
            module=module,
            takes=f"`serving_default` takes `text`, a batch of raw UTF-8 strings with {self.mask} where words are "
            "asked for, and returns",
            limits=f"Texts longer than {self.model_config.max_length} tokens are answered in windows.",
            returns=LINES,
            probes=list_probes(self.mask),
            measure=self.answers.measure,
        )


TaskClass = MaskedLm
