"""From examples to token ids: what is read, and which of it is to be predicted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kerasft.errors import DataError
from kerasft.files import compute_fingerprint
from kerasft.text.chat_templates import ChatTemplate, Part
from kerasft.text.long_texts import LongTexts
from kerasft.text.tokenizers.base import ABSENT, Tokenizer

ENCODING_VERSION = 1
"""Changes when the same examples would give other tokens."""


@dataclass(frozen=True)
class EncodedText:
    """An example as a model reads it.

    Attributes:
        token_ids: int32 (tokens,), special ones included; none where the example is `too_long`.
        asked: bool (tokens,), which of them are predicted from those before; never the first.
        num_bytes: of the predicted tokens, in UTF-8.
        was_cut: tokens that were left out at its beginning.
        too_long: tokens that are to be predicted, where these are more than a row has; else 0.
    """

    token_ids: np.ndarray
    asked: np.ndarray
    num_bytes: int
    was_cut: int = 0
    too_long: int = 0


def describe_length(name: str, tokens: int, context: int) -> str:
    """Why an example cannot be learned or scored."""
    return f"the {name} is too long: {tokens:,} tokens, its end included; model.context is {context:,}"


class Encoder:
    """Examples → their tokens.

    Args:
        tokenizer: of the model.
        kind: `text`, `completion` or `chat`; see `task.input` of a config.
        context: tokens of a row.
        template: of conversations; None for other kinds.
        template_source: what it was made from.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        kind: str,
        context: int,
        template: ChatTemplate | None = None,
        template_source: str = "",
    ):
        self.tokenizer, self.kind, self.context = tokenizer, kind, context
        self.template, self._template_source = template, template_source
        self._texts = LongTexts(tokenizer)
        ids = tokenizer.special_ids
        # GPT-2 and SmolLM have one token for both edges of a text
        self.begin = ids.begin if ids.begin != ABSENT else ids.end
        self.end = ids.end

    @property
    def fingerprint(self) -> str:
        """Changes when any example's tokens could. Documents are cut into rows later, whatever the context."""
        context = None if self.kind == "text" else self.context
        return compute_fingerprint(
            [self.tokenizer.fingerprint, self.kind, context, self._template_source, ENCODING_VERSION]
        )

    @property
    def predicted_noun(self) -> str:
        """What is predicted of an example, for messages."""
        return {"completion": "completion", "chat": "last answer"}.get(self.kind, "text")

    def encode(self, examples: Sequence[Mapping[str, Any]]) -> list[EncodedText]:
        """The tokens of each of some examples.

        Raises:
            DataError: the chat template cannot render a conversation.
        """
        rows = [self.list_parts(example) for example in examples]
        ids = self._texts.tokenize([part.text for row in rows for part in row if part.token is None])
        return [self._cut(row, *_put_together(row, ids)) for row in rows]

    def encode_parts(self, parts: Sequence[Part]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of texts and special tokens, and which of them are said: int32 and bool (tokens,)."""
        return _put_together(parts, self._texts.tokenize([part.text for part in parts if part.token is None]))

    def check(self, example: Mapping[str, Any]) -> None:
        """Refuses an example that cannot be scored.

        Raises:
            DataError: it cannot.
        """
        if self.kind == "text":
            return
        (encoded,) = self.encode([example])
        if encoded.too_long:
            raise DataError(
                describe_length(self.predicted_noun, encoded.too_long, self.context),
                fix="Cut it into parts, or train a model of a larger model.context.",
            )

    def list_parts(self, example: Mapping[str, Any]) -> list[Part]:
        """An example's texts and special tokens, in their order."""
        if self.template is not None:
            return self.template.build(example["messages"])
        begin = [] if self.begin == ABSENT else [Part("", self.begin, False)]
        end = [] if self.end == ABSENT else [Part("", self.end, True)]
        if self.kind == "text":
            return [*begin, Part(example["text"], None, True), *end]
        texts = [Part(example["prompt"], None, False), Part(example["completion"], None, True)]
        return [*begin, *texts, *end]

    def _cut(self, parts: Sequence[Part], ids: np.ndarray, asked: np.ndarray) -> EncodedText:
        """An example's tokens, as many of them as the model reads."""
        cut = 0
        if self.kind != "text" and (last := _measure_last_run(asked)) > self.context:
            return EncodedText(ids[:0], asked[:0], 0, too_long=last)
        if self.kind != "text" and len(ids) > self.context + 1:
            # what stands first, where that is the beginning of all texts, stays
            kept = int(self.kind == "completion" and self.begin != ABSENT)
            cut = len(ids) - (self.context + 1)
            ids = np.concatenate([ids[:kept], ids[kept + cut :]])
            asked = np.concatenate([asked[:kept], asked[kept + cut :]])
        num_bytes = self._count_bytes(parts, ids, asked)
        if len(asked):
            asked[0] = False
        return EncodedText(ids, asked, num_bytes, cut)

    def _count_bytes(self, parts: Sequence[Part], ids: np.ndarray, asked: np.ndarray) -> int:
        """Bytes of the predicted tokens: of the text itself, where all that is said of it is predicted."""
        if self.kind == "chat":
            return sum(map(len, self._spell(ids[1:][asked[1:]])))
        total = sum(len(part.text.encode("utf-8", "replace")) for part in parts if part.is_said)
        if not len(ids) or not asked[0]:
            return total
        (first,) = self._spell(ids[:1])
        starts_with_space = getattr(self.tokenizer, "starts_with_space", False)
        return total - len(first) + (starts_with_space and first.startswith(b" "))

    def _spell(self, ids: np.ndarray) -> list[bytes]:
        import tensorflow as tf

        return list(self.tokenizer.spell(tf.constant(ids, tf.int32)).numpy()) if len(ids) else []


def _put_together(parts: Sequence[Part], texts: Iterator[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The ids of parts, of which the texts' come one after the other, and which of them are said."""
    tokens = [next(texts) if part.token is None else np.array([part.token], np.int32) for part in parts]
    flags = [np.full(len(each), part.is_said) for part, each in zip(parts, tokens, strict=True)]
    return np.concatenate([np.zeros(0, np.int32), *tokens]), np.concatenate([np.zeros(0, bool), *flags])


def _measure_last_run(asked: np.ndarray) -> int:
    """From the beginning of the last tokens in a row that are asked for to the end of all."""
    places = np.flatnonzero(asked)
    if not len(places):
        return 0
    breaks = np.flatnonzero(np.diff(places) > 1)
    return len(asked) - int(places[breaks[-1] + 1] if len(breaks) else places[0])
