"""The `tokenizer` section: the preset's tokenizer, or one trained on the corpus."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic

from kerasft.config.base import Config, PathField

_KEYS: dict[str, frozenset[str]] = {
    "preset": frozenset({"preset"}),
    "wordpiece": frozenset({"vocabulary_size", "lowercase", "min_frequency", "max_characters"}),
    "byte_bpe": frozenset({"vocabulary_size", "pattern", "min_frequency"}),
    "unigram": frozenset({"vocabulary_size", "lowercase", "max_characters"}),
    "characters": frozenset({"max_characters"}),
}
"""The keys that each type takes."""
_BYTE_BPE_MINIMUM = 257
"""One token a byte, and the end of a text."""


class TokenizerConfig(Config):
    """How text becomes tokens: by the preset's tokenizer, or by one that is trained on the training split's texts."""

    type: Literal["preset", "wordpiece", "byte_bpe", "unigram", "characters"] = "preset"
    """`preset`: the tokenizer of `model.preset`, or for a new net that of `preset` here. The others are trained:
    `wordpiece` as BERT's; `byte_bpe`, byte-level byte pair encoding as GPT-2's and Llama 3's, which gives every text
    back exactly; `unigram` as SentencePiece's for T5 and XLM-R; `characters`, one token a character."""
    preset: Annotated[str | None, PathField(may_be_name=True)] = None
    """The preset whose tokenizer a new net gets, named as in `model.preset`; of its weights nothing is used. Only for
    `preset`."""
    vocabulary_size: int = pydantic.Field(8192, ge=16)
    """Number of tokens, special tokens included. A small corpus may give fewer. Not for `characters`."""
    lowercase: bool = False
    """Converts text to lower case, as BERT's uncased presets do; WordPiece then strips accents too. Only for
    `wordpiece` and `unigram`."""
    pattern: Literal["gpt2", "smollm", "llama3"] = "gpt2"
    """Where `byte_bpe` splits text before it merges. `gpt2`: words, numbers, and runs of other characters, each with
    the space before it. `smollm`: the same, and each digit alone. `llama3`: words together with one character before
    them, numbers in groups of three digits, line breaks together."""
    min_frequency: int = pydantic.Field(2, ge=1)
    """How often two tokens must stand side by side to be merged into one. Only for `wordpiece` and `byte_bpe`."""
    max_characters: int | None = pydantic.Field(None, ge=1)
    """Number of different characters that get a token, the most frequent first; others become the unknown token.
    Null: a quarter of `vocabulary_size`; with `characters`, all. Not for `byte_bpe`, which knows every byte."""

    @property
    def kind(self) -> str:
        """The type that is meant."""
        return self.type

    @pydantic.model_validator(mode="after")
    def _has_only_its_keys(self) -> TokenizerConfig:
        for name, field in type(self).model_fields.items():
            if name != "type" and name not in _KEYS[self.kind] and getattr(self, name) != field.default:
                takes = [f"`{kind}`" for kind, keys in _KEYS.items() if name in keys]
                raise ValueError(
                    f"{name} is only for type {' and '.join(takes)}, not for `{self.kind}`: remove it, or choose "
                    "another type"
                )
        if self.kind == "byte_bpe" and self.vocabulary_size < _BYTE_BPE_MINIMUM:
            raise ValueError(
                f"vocabulary_size must be at least {_BYTE_BPE_MINIMUM} for `byte_bpe`: each of the 256 bytes is a "
                "token, and so is the end of a text"
            )
        return self


class WritingTokenizerConfig(TokenizerConfig):
    """How text becomes tokens for a net that writes: by the preset's tokenizer, or by one that is trained on the
    training split's texts."""

    type: Literal["preset", "byte_bpe", "unigram", "characters"] | None = None  # type: ignore[assignment]
    """`preset`: the tokenizer of `model.preset`, or for a new net that of `preset` here. The others are trained:
    `byte_bpe`, byte-level byte pair encoding as GPT-2's and Llama 3's, which gives every text back exactly; `unigram`
    as SentencePiece's for T5 and XLM-R, which normalises text; `characters`, one token a character. Null: the preset's,
    or for a new net `byte_bpe`."""

    @pydantic.field_validator("type", mode="before")
    @classmethod
    def _writes_text(cls, value: object) -> object:
        if value == "wordpiece":
            raise ValueError(
                "WordPiece tokens cannot be written back as text, because they do not contain its spaces: choose "
                "byte_bpe, unigram or characters"
            )
        return value

    @property
    def kind(self) -> str:
        """The type that is meant, of a new net's tokenizer."""
        return self.type or ("byte_bpe" if self.preset is None else "preset")

    def settle(self) -> TokenizerConfig:
        """The section of a new net's tokenizer."""
        return TokenizerConfig.model_validate({**self.model_dump(), "type": self.kind})
