"""Writes texts from Python: many at once, or one piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kerasft.errors import DataError
from kerasft.text.generation.characters import count_cut_bytes_of, count_held_bytes, decode_text
from kerasft.text.generation.config import GenerationConfig
from kerasft.text.generation.generator import Generator
from kerasft.text.generation.options import OPTION_SPECS, Options, encode_stops, make_options
from kerasft.text.generation.prompts import PROMPTS_SPECS, REFUSED, Prompt
from kerasft.text.generation.texts import ENDINGS

_ROW_SPEC = tf.TensorSpec((), tf.int32, "first_row")


class Written(NamedTuple):
    """A text that goes on from a prompt.

    Attributes:
        continuation: the text; empty where the prompt is refused.
        tokens: how many were written, the end token and those of a stop string among them.
        ended: why it ended: `end token`, `stop string` or `length`; empty where the prompt is refused.
        left_out: tokens of the prompt for which the model's context has no room.
        status: why the prompt is refused; empty where it is not.
    """

    continuation: str
    tokens: int
    ended: str
    left_out: int
    status: str


class TextWriter:
    """Writes with a generator: each of its functions is traced once, whatever it is asked.

    Args:
        generator: of the model.

    Attributes:
        traces: how many functions were traced.
    """

    def __init__(self, generator: Generator):
        self.defaults = generator.defaults
        self.context = generator.context
        self.traces = 0

        def count(function: Any) -> Any:
            def traced(*arguments: Any) -> Any:
                self.traces += 1
                return function(*arguments)

            return traced

        def compile_function(function: Any, *signature: Any) -> Any:
            return tf.function(count(function), input_signature=signature, autograph=False)

        self._prompts = generator.prompts
        self._write = compile_function(generator.write, PROMPTS_SPECS, OPTION_SPECS, _ROW_SPEC)
        self._begin = compile_function(generator.begin, PROMPTS_SPECS, OPTION_SPECS, _ROW_SPEC)
        self._step = compile_function(generator.step, generator.specs, OPTION_SPECS)

    def write(
        self, prompts: Sequence[Prompt], config: GenerationConfig | None = None, *, first_row: int = 0
    ) -> list[Written]:
        """Writes on from prompts, all at once; in their order.

        Args:
            prompts: texts, UTF-8, or conversations.
            config: the options; by default the generator's.
            first_row: the number of the first prompt among all that are written with one seed: a prompt gets the same
                text under the same number, whatever stands beside it.
        """
        columns = self.ask(prompts, make_options(config or self.defaults), first_row)
        return [
            Written(
                columns["continuation"][row].decode("utf-8"),
                int(columns["tokens"][row]),
                columns["ended"][row].decode("utf-8"),
                int(columns["left_out"][row]),
                columns["status"][row].decode("utf-8"),
            )
            for row in range(len(prompts))
        ]

    def ask(self, prompts: Sequence[Prompt], options: Options, first_row: int = 0) -> dict[str, np.ndarray]:
        """What `Generator.write` answers, by name."""
        read = self._prompts.read_any(prompts or [REFUSED])
        answers = self._write(read, options, tf.constant(first_row))
        return {name: answer.numpy()[: len(prompts)] for name, answer in answers.items()}

    def stream(self, prompt: Prompt, config: GenerationConfig | None = None, *, row: int = 0) -> TextStream:
        """Writes on from a prompt, token by token: an iterator over the pieces of the text that `write` gives.

        Args:
            prompt: a text, UTF-8, or a conversation.
            config: the options; by default the generator's.
            row: `first_row` of `write`.

        Raises:
            DataError: the prompt is refused.
        """
        config = config or self.defaults
        options, first_row = make_options(config), tf.constant(row)
        texts, left_out, status = self._begin(self._prompts.read_any([prompt]), options, first_row)
        if status := status.numpy()[0].decode("utf-8"):
            raise DataError(status)

        return TextStream(
            texts, lambda texts: self._step(texts, options), encode_stops(config), int(left_out[0])
        )

    def warm_up(self, *, streams: bool = False) -> None:
        """Traces the functions that `write` needs, or those that `stream` needs, so that no text waits for them."""
        options, first_row = make_options(self.defaults), tf.constant(0)
        if streams:
            texts, *_ = self._begin(self._prompts.read_any([REFUSED]), options, first_row)
            self._step(texts, options)
        else:
            self._write(self._prompts.read_any([REFUSED]), options, first_row)


class TextStream:
    """The pieces of one text, as they are written; each is whole characters.

    A character of which some bytes are missing waits for them, and so does what may be the beginning of a stop string.

    Args:
        texts: a text of which the first token is written.
        step: writes its next token.
        stops: strings at which it ends, UTF-8.
        left_out: tokens of the prompt that were left out.

    Attributes:
        tokens: how many are written so far.
        ended: why the text ended; empty while it goes on.
    """

    def __init__(self, texts: Any, step: Any, stops: Sequence[bytes], left_out: int):
        self._texts, self._step, self._stops = texts, step, stops
        self.left_out, self.tokens, self.ended = left_out, 1, ""
        self._pieces = self._write_pieces()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        return next(self._pieces)

    def _write_pieces(self) -> Iterator[str]:
        waiting = b""
        while True:
            waiting += self._texts.piece.numpy()[0]
            self.tokens = int(self._texts.tokens.numpy()[0])
            self.ended = ENDINGS[self._texts.state.numpy()[0]]
            shown = len(waiting) - (0 if self.ended else count_held_bytes(waiting, self._stops))
            # bytes of the whole text, of which the last ones wait
            before = int(self._texts.size.numpy()[0]) - len(waiting)
            shown = min(shown, int(self._texts.cut.numpy()[0]) - before)
            shown -= count_cut_bytes_of(waiting[:shown])
            if shown > 0:
                yield decode_text(waiting[:shown])
                waiting = waiting[shown:]
            if self.ended:
                return
            self._texts = self._step(self._texts)
