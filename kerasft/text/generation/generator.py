"""Writes texts that go on from prompts: the loop over tokens, in core TensorFlow ops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.text.generation.config import GenerationConfig
from kerasft.text.generation.options import OPTION_SPECS, Options, make_safe, refuse_options
from kerasft.text.generation.prompts import PROMPT_SPEC, REFUSED, PromptReader, Prompts
from kerasft.text.generation.reading import Decoder, WindowReader
from kerasft.text.generation.sampling import choose_tokens, draw_uniform, penalize_repetition
from kerasft.text.generation.texts import (
    Ended,
    Texts,
    append_tokens,
    begin_texts,
    finish_texts,
    go_on,
    make_specs,
    take_texts,
)
from kerasft.text.tokenizers.base import ABSENT, Tokenizer


class Generator(tf.Module):
    """A decoder and its tokenizer: prompts in, texts that go on from them out.

    Tokens that spell nothing (padding, a mask) and the unknown token are never written. Where a text fills the model's
    context, the older half of it is forgotten, so that a text can become longer than the context.

    Args:
        decoder: the model; a `tf.Module` for whose variables an export has a place.
        tokenizer: of the model.
        prompts: reads them; by default as texts, with the token before them that the tokenizer puts before a text.
        end_ids: tokens at which a text ends; by default the tokenizer's end token, if it has one.
        defaults: the options where none are given.
    """

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: Tokenizer,
        *,
        prompts: PromptReader | None = None,
        end_ids: Sequence[int] | None = None,
        defaults: GenerationConfig = GenerationConfig(),  # noqa: B008 (frozen)
    ):
        super().__init__(name="generator")
        special = tokenizer.special_ids
        if prompts is None:
            prompts = PromptReader(tokenizer, decoder.context, [special.cls] if special.cls != ABSENT else [])
        if end_ids is None:
            end_ids = [special.end] if special.end != ABSENT else []
        self.defaults = defaults
        self._decoder, self._tokenizer = decoder, tokenizer
        self.prompts = prompts
        self._reader = WindowReader(decoder)
        self._ends, self._can_be_written = _sort_tokens(decoder.vocabulary_size, tokenizer, end_ids)

    @property
    def context(self) -> int:
        """Tokens that the model looks at, at most."""
        return self._decoder.context

    @tf.function(input_signature=[PROMPT_SPEC, *OPTION_SPECS], autograph=False)
    def generate(
        self,
        prompt: tf.Tensor,
        max_new_tokens: tf.Tensor,
        temperature: tf.Tensor,
        top_k: tf.Tensor,
        top_p: tf.Tensor,
        repetition_penalty: tf.Tensor,
        seed: tf.Tensor,
        stop: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """`write` for an export: prompt string (batch,), UTF-8, and the options as `Options` has them."""
        options = Options(max_new_tokens, temperature, top_k, top_p, repetition_penalty, seed, stop)
        count = tf.size(prompt)
        # a batch of none would meet reshapes that cannot tell their last size: one that is refused runs in its place
        prompts = tf.concat([prompt, tf.fill([tf.cast(tf.equal(count, 0), tf.int32)], REFUSED)], 0)
        answers = self.write(self.prompts.read(prompts), options, tf.constant(0))
        return {name: answer[:count] for name, answer in answers.items()}

    @property
    def signatures(self) -> dict[str, Any]:
        """For `tf.saved_model.save`."""
        return {"generate": self.generate}

    def write(self, prompts: Prompts, options: Options, first_row: tf.Tensor) -> dict[str, tf.Tensor]:
        """Writes on from prompts until all texts have ended; what a text is does not depend on those beside it.

        Args:
            prompts: at least one, of a `PromptReader`.
            options: how.
            first_row: int32 scalar, the number of the first prompt among all that are written with this seed.

        Returns:
            `continuation`: string (batch,), UTF-8; `tokens`: int32 (batch,), how many were written, the end token and
            those of a stop string among them; `ended`: string (batch,), `end token`, `stop string` or `length`;
            `left_out`: int32 (batch,), tokens of a prompt for which the context has no room; `status`: string
            (batch,), why a prompt is refused: then its other outputs are empty, or 0.
        """
        texts, left_out, status = self.begin(prompts, options, first_row)
        options = make_safe(options)
        shapes = tf.nest.map_structure(lambda spec: spec.shape, self.specs)

        def write_on(texts: Texts, done: Ended) -> tuple[Texts, Ended]:
            """Until half of the texts have ended, which then take no more time."""
            (texts,) = tf.while_loop(
                lambda texts: 2 * tf.math.count_nonzero(go_on(texts), dtype=tf.int32) > tf.size(texts.state),
                lambda texts: (self.step(texts, options),),
                (texts,),
                shape_invariants=(shapes,),
            )
            ended = finish_texts(take_texts(texts, ~go_on(texts)), self._tokenizer)
            pairs = zip(done, ended, strict=True)
            return take_texts(texts, go_on(texts)), Ended(*(tf.concat(pair, 0) for pair in pairs))

        none = finish_texts(take_texts(texts, tf.zeros_like(texts.state, tf.bool)), self._tokenizer)
        _, done = tf.while_loop(
            lambda texts, done: tf.size(texts.state) > 0,
            write_on,
            (texts, none),
            shape_invariants=(shapes, Ended(*[tf.TensorShape([None])] * len(Ended._fields))),
        )
        done = Ended(*(tf.gather(value, tf.argsort(done.row)) for value in done))
        return {
            "continuation": done.continuation,
            "tokens": done.tokens,
            "ended": done.ended,
            "left_out": left_out,
            "status": status,
        }

    @property
    def specs(self) -> Texts:
        """The shapes and types of texts, whatever the batch."""
        return make_specs(self._reader.specs)

    def begin(
        self, prompts: Prompts, options: Options, first_row: tf.Tensor
    ) -> tuple[Texts, tf.Tensor, tf.Tensor]:
        """Reads prompts, and writes the first token of each text.

        Returns:
            The texts; int32 (batch,), tokens of each prompt that were left out; string (batch,), the status.
        """
        wrong = refuse_options(options)
        status = tf.where(tf.equal(prompts.status, ""), wrong, prompts.status)
        hidden, window = self._reader.open(prompts.token_ids, prompts.lengths, prompts.kept)
        row = first_row + tf.range(tf.size(prompts.lengths))
        texts = begin_texts(row, window, prompts.starts_word, tf.not_equal(status, ""))
        left_out = tf.where(tf.equal(status, ""), prompts.left_out, 0)
        return self._choose(texts, hidden, make_safe(options)), left_out, status

    def step(self, texts: Texts, options: Options) -> Texts:
        """Writes one more token of each text that goes on, with options that `begin` has not refused."""
        hidden, window = self._reader.extend(texts.window, texts.last, go_on(texts))
        return self._choose(texts._replace(window=window), hidden, options)

    def _choose(self, texts: Texts, hidden: tf.Tensor, options: Options) -> Texts:
        logits = tf.cast(self._decoder.compute_logits(hidden), tf.float32)
        logits = tf.where(self._can_be_written, logits, -float("inf"))
        logits = penalize_repetition(
            logits, texts.window.token_ids, texts.window.lengths, options.repetition_penalty
        )
        uniform = draw_uniform(options.seed, texts.count, texts.row)
        chosen = choose_tokens(logits, options.temperature, options.top_k, options.top_p, uniform)
        return append_tokens(texts, chosen, self._tokenizer, self._ends, options)


def _sort_tokens(size: int, tokenizer: Tokenizer, end_ids: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """int32 (ends,), the tokens at which a text ends; and bool (size,), which tokens are written at all."""
    known = min(size, tokenizer.vocabulary_size)
    spelled = np.asarray(tokenizer.spell(tf.range(known)))
    can_be_written = np.zeros(size, bool)
    can_be_written[:known] = spelled != b""
    if tokenizer.special_ids.unknown != ABSENT:
        can_be_written[tokenizer.special_ids.unknown] = False
    ends = np.array(end_ids, np.int32)
    can_be_written[ends] = True
    return ends, can_be_written
