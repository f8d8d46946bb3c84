"""Causal language modelling: learning to predict each token from those before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasft.data.cache import ArrayRows, build_cache
from kerasft.data.feed import Feed
from kerasft.data.prepared import Split
from kerasft.errors import DataError, PresetError
from kerasft.files import compute_fingerprint
from kerasft.models.forward import make_forward
from kerasft.models.text.decoders.build import compute_depths
from kerasft.models.text.decoders.cached import CachedDecoder
from kerasft.models.text.decoders.config import DecoderModelConfig
from kerasft.models.text.decoders.presets import load_decoder, read_decoder_sizes
from kerasft.models.text.decoders.publishing import load_published_decoder, publish_decoder
from kerasft.models.text.decoders.tokenizer_files import load_chat_template, load_decoder_tokenizer
from kerasft.progress import Progress
from kerasft.tasks.base import Task
from kerasft.tasks.causal_lm.answers import ScoredTexts
from kerasft.tasks.causal_lm.config import CausalLmConfig
from kerasft.tasks.causal_lm.encoding import EncodedText, Encoder
from kerasft.tasks.causal_lm.feed import DocumentFeed, PackedFeed, Reference
from kerasft.tasks.causal_lm.prompts import find_ends, make_prompt_reader
from kerasft.tasks.causal_lm.serving import make_served
from kerasft.tasks.language_tally import LanguageTally
from kerasft.tasks.served import Served
from kerasft.tasks.token_losses import NextTokenAccuracy, NextTokenCrossentropy
from kerasft.text.chat_frames import SEPARATOR, join_turns, split_turns, takes_system
from kerasft.text.chat_templates import ChatTemplate
from kerasft.text.generation.generator import Generator
from kerasft.text.tokenizers.config import WritingTokenizerConfig
from kerasft.text.tokenizers.special import list_special_tokens, name_special_tokens

_READ_AT_ONCE = 32
"""Documents: one may have megabytes."""
_QUESTION_CHARACTERS = 2000
_BYTES_OF_A_CHARACTER = 4


class CausalLm(Task):
    """Predicting the next token.

    Args:
        config: the `task` section.
        model_config: the `model` section.
        label_names: none.
        preset: local folder or file of the net to go on from, or of what a new net begins with.
        tokenizer: the `tokenizer` section; what came of it lies in the folder.
    """

    title = "Training"

    def __init__(
        self,
        config: CausalLmConfig,
        model_config: DecoderModelConfig,
        label_names: Sequence[str],
        preset: Path,
        tokenizer: WritingTokenizerConfig,
    ):
        self.config, self.model_config, self.preset = config, model_config, preset
        self.label_names = tuple(label_names)
        self.tokenizer = load_decoder_tokenizer(preset)
        self.context = model_config.choose_context(read_decoder_sizes(preset).context)
        template, source = self._load_template()
        self.encoder = Encoder(self.tokenizer, config.input, self.context, template, source)
        self.answers = ScoredTexts(self.tokenizer, config.input)

    def _load_template(self) -> tuple[ChatTemplate | None, str]:
        """The preset's chat template, and what it was made from; None where there are no conversations."""
        if self.config.input != "chat":
            return None, ""
        source = load_chat_template(self.preset)
        if source is None:
            raise PresetError(
                "The preset has no chat template.",
                where=str(self.preset),
                fix="Name a preset that was trained on conversations (Instruct, Chat), or set task.input to "
                "completion.",
            )
        tokens, names = list_special_tokens(self.tokenizer), name_special_tokens(self.tokenizer)
        return ChatTemplate(source, tokens, names), source

    # --- data -------------------------------------------------------------------------------------------------

    @property
    def encoder_fingerprint(self) -> str:
        return self.encoder.fingerprint

    def read_input(self, row: Mapping[str, Any]) -> dict[str, Any]:
        example = super().read_input(row)
        self.encoder.check(example)
        return example

    def read_served(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        example = super().read_served(inputs)
        if self.config.input == "chat":
            turns = split_turns(example["messages"], takes_system=self._takes_system)
            example = {"messages": turns}
        self.encoder.check(example)
        return example

    def make_question(self, example: Mapping[str, Any]) -> dict[str, Any]:
        """The example; of a document its beginning, of a conversation what user and assistant say in turn, and of what
        is too long the beginning of what is predicted."""
        if self.config.input == "text":
            return {"text": example["text"][:_QUESTION_CHARACTERS]}
        if self.config.input == "completion":
            return {
                **super().make_question(example),
                "completion": self._shorten(example["completion"], example),
            }
        joined = join_turns(example["messages"], takes_system=self._takes_system)
        turns = split_turns(joined or SEPARATOR.join(("?", "!")))
        *before, (_, answer) = turns
        return {"messages": join_turns([*before, ("assistant", self._shorten(answer, {"messages": turns}))])}

    @cached_property
    def _takes_system(self) -> bool:
        """Whether a served model of conversations takes a system message."""
        assert self.encoder.template is not None
        return takes_system(self.encoder.template)

    def _shorten(self, said: str, example: Mapping[str, Any]) -> str:
        """What is predicted of an example, or where that is too long as many characters as always fit."""
        (encoded,) = self.encoder.encode([example])
        return said[: max(self.context // _BYTES_OF_A_CHARACTER - 4, 1)] if encoded.too_long else said

    def make_feed(self, examples: Sequence[Mapping[str, Any]]) -> DocumentFeed:
        columns = self._make_columns(self.encoder.encode(examples))
        return self._make_feed(ArrayRows(columns), in_memory=True)

    def open_feed(self, split: Split, folder: Path, fingerprint: str, progress: Progress) -> DocumentFeed:
        """Examples are tokenized once, into a memory-mapped cache."""
        long: list[int] = []
        cut = 0

        def chunks() -> Iterator[dict[str, Any]]:
            nonlocal cut
            with progress.bar(f"Encoding {split.name}", len(split), "documents") as bar:
                first = 0
                for examples in split.iterate(_READ_AT_ONCE):
                    encoded = self._encode(split, first, examples)
                    long.extend(first + place for place, one in enumerate(encoded) if one.too_long)
                    cut += sum(one.was_cut > 0 for one in encoded)
                    yield self._make_columns(encoded)
                    first += len(examples)
                    bar.advance(len(examples))

        fingerprint = compute_fingerprint([fingerprint, self.encoder_fingerprint])
        rows = build_cache(folder / f"{split.name}.documents", fingerprint, chunks(), progress)
        self._report(split, long, cut, progress)
        return self._make_feed(rows)

    def _encode(self, split: Split, first: int, examples: Sequence[Mapping[str, Any]]) -> list[EncodedText]:
        """The tokens of some examples of a split, of which `first` is the number of the first.

        Raises:
            DataError: the chat template cannot render one.
        """
        try:
            return self.encoder.encode(examples)
        except DataError:
            for number, example in enumerate(examples, first):
                try:
                    self.encoder.list_parts(example)
                except DataError as error:
                    raise DataError(error.what, where=split.origin(number), fix=error.fix) from error
            raise

    def _report(self, split: Split, long: Sequence[int], cut: int, progress: Progress) -> None:
        """Tells of examples that are longer than a row, the first time that they are encoded."""
        if cut:
            progress.note(
                f"{split.name}: {cut:,} of {len(split):,} examples are longer than model.context ({self.context:,}): "
                "their beginnings are left out."
            )
        if long:
            progress.warn(
                f"{split.name}: {len(long):,} of {len(split):,} examples are left out, because the "
                f"{self.encoder.predicted_noun} alone is longer than model.context ({self.context:,}); the first is "
                f"{split.origin(long[0])}."
            )

    def _make_columns(self, encoded: Sequence[EncodedText]) -> dict[str, Any]:
        columns = {
            "token_ids": [one.token_ids for one in encoded],
            "tokens": np.array([int(one.asked.sum()) for one in encoded], np.int64),
            "bytes": np.array([one.num_bytes for one in encoded], np.int64),
        }
        if self.config.input != "text":
            columns["asked"] = [one.asked.astype(np.uint8) for one in encoded]
        return columns

    def _make_feed(self, rows: Any, *, in_memory: bool = False) -> DocumentFeed:
        padding = self.tokenizer.special_ids.padding
        return DocumentFeed(rows, self.context, padding_id=padding, in_memory=in_memory)

    # --- model ------------------------------------------------------------------------------------------------

    @property
    def has_new_head(self) -> bool:
        return self.model_config.starts_from_data or self.model_config.random_weights

    def build_model(self, *, seed: int, matmul_dtype: str) -> keras.Model:
        return load_decoder(
            self.preset,
            random_weights=self.has_new_head,
            seed=seed,
            dropout=self.model_config.dropout,
            matmul_dtype=matmul_dtype,
            context=self.context,
        )

    def make_training_feed(self, feed: Feed, *, seed: int) -> Feed:
        assert isinstance(feed, DocumentFeed)
        return PackedFeed(feed, self.context, seed=seed)

    def compute_depths(self, model: keras.Model) -> dict[str, int]:
        return compute_depths(model)

    def build_step(self, model: Any, *, published: bool = True) -> Any:
        forward = make_forward(model)

        def step(inputs: Mapping[str, tf.Tensor], labels: tf.Tensor) -> dict[str, tf.Tensor]:
            outputs = forward({name: inputs[name] for name in model.input})
            return {"log_loss": outputs[..., 0], "right": outputs[..., 1] > 0.5, "targets": labels}

        return step

    def publish(self, model: keras.Model, folder: Path) -> None:
        publish_decoder(model, self.preset, self.tokenizer, folder)

    def load_published(self, folder: Path) -> Any:
        return load_published_decoder(folder)

    def loss(self) -> keras.losses.Loss:
        return NextTokenCrossentropy()

    def metrics(self) -> list[Any]:
        return [NextTokenAccuracy()]

    # --- answers ----------------------------------------------------------------------------------------------

    def decode(self, outputs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return self.answers.decode(outputs)

    def complete(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        return self.answers.complete(prediction)

    def open_tally(self) -> LanguageTally:
        return LanguageTally()

    def make_right_output(self, reference: Reference) -> dict[str, Any]:
        count = reference.tokens
        return {
            "log_loss": np.zeros(count, np.float32),
            "right": np.ones(count, bool),
            **reference._asdict(),
        }

    def record(self, example: Mapping[str, Any], prediction: Mapping[str, Any]) -> dict[str, Any]:
        return self.answers.record(example, prediction)

    def describe(self, examples: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> str:
        return self.answers.describe(examples, outputs)

    # --- export -----------------------------------------------------------------------------------------------

    def serve(self, model: Any) -> Served:
        return make_served(model, self.encoder, self.answers.measure)

    # --- writing ----------------------------------------------------------------------------------------------

    def open_generator(self, model: Any) -> Generator:
        return Generator(
            CachedDecoder(model),
            self.tokenizer,
            prompts=make_prompt_reader(self.encoder),
            end_ids=find_ends(self.encoder),
            defaults=self.config.generation,
        )


TaskClass = CausalLm
