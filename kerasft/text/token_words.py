"""A tokenizer's tokens as a masked language model answers them, and how they are put into a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.errors import PresetError
from kerasft.text.tokenizers.base import ABSENT, Tokenizer
from kerasft.text.tokenizers.special import list_special_tokens

_SPACES = " \t\n\f\r"


@dataclass(frozen=True, eq=False)
class TokenWords:
    """Tokens as words.

    Attributes:
        mask: how a mask is spelled in a text.
        words: each token as it is answered. If tokens hold the spaces of a text: as they stand in it, " town" or "ly".
        goes_on: bool (vocabulary,), the tokens that go on a word.
        mark: what stands before a word that goes on the one before; empty where tokens hold the spaces of a text, and
            a mask takes the place of the space before it, too.
        unsaid: the ids of tokens that are neither masked nor answered.
    """

    mask: str
    words: tuple[str, ...]
    goes_on: np.ndarray
    mark: str
    unsaid: tuple[int, ...]

    @property
    def has_spaces(self) -> bool:
        """Whether tokens hold the spaces of a text."""
        return not self.mark

    def join(self, places: list[int]) -> str:
        """The text of some tokens, for people."""
        words = [self.words[place] for place in places]
        return "".join(words).strip() if self.has_spaces else " ".join(words).replace(f" {self.mark}", "")

    def prepare_parts(self, parts: tf.RaggedTensor) -> tf.Tensor:
        """The parts of texts around their masks as they are tokenized.

        Args:
            parts: string (batch, ragged), what stands before, between and after the masks.

        Returns:
            string (parts,), flat.
        """
        flat = parts.flat_values
        if not self.has_spaces:
            return flat
        stripped = tf.strings.regex_replace(flat, r"[\s\p{Z}]+$", "")
        return tf.where(_find_lasts(parts), flat, stripped)

    def fill(self, text: str, words: list[str]) -> str:
        """A text with words in the places of its masks."""
        first, *rest = text.split(self.mask)
        if not rest:
            return text
        filled = "".join(
            self._put_behind(part, word, is_first=place == 0)
            for place, (part, word) in enumerate(zip((first, *rest[:-1]), words, strict=True))
        )
        return filled + rest[-1]

    def _put_behind(self, part: str, word: str, *, is_first: bool) -> str:
        if not self.has_spaces:
            goes_on = word.startswith(self.mark) and len(word) > len(self.mark)
            return part.rstrip(_SPACES) + word.removeprefix(self.mark) if goes_on else part + word
        if not word.startswith(" "):
            return part.rstrip(_SPACES) + word
        has_space = part[-1:] in tuple(_SPACES) if part else is_first
        return part + (word[1:] if has_space else word)

    def fill_in_graph(self, texts: tf.Tensor, words: tf.RaggedTensor) -> tf.Tensor:
        """`fill` of texts, string (batch,), with words, string (batch, ragged)."""
        parts = tf.strings.split(texts, self.mask)
        before = parts.flat_values
        word = tf.concat([words, tf.fill([tf.size(texts), 1], "")], 1).flat_values
        stripped = tf.strings.regex_replace(before, r"\s+$", "")
        if not self.has_spaces:
            goes_on = tf.strings.regex_full_match(word, f"{self.mark}(?s:.+)")
            bare = tf.strings.regex_replace(word, f"^{self.mark}", "")
            put = tf.where(goes_on, stripped + bare, before + word)
        else:
            begins = tf.strings.regex_full_match(word, " (?s:.*)")
            is_first = tf.ragged.range(parts.row_lengths()).flat_values == 0
            has_space = tf.where(before == "", is_first, stripped != before)
            put = tf.where(has_space, before + tf.strings.regex_replace(word, "^ ", ""), before + word)
            put = tf.where(begins, put, stripped + word)
            put = tf.where(_find_lasts(parts), before, put)
        return tf.strings.reduce_join(parts.with_flat_values(put).to_tensor(""), 1)


def list_token_words(tokenizer: Tokenizer) -> TokenWords:
    """The words of a tokenizer that has a mask.

    Raises:
        PresetError: it has none.
    """
    vocabulary: Any = getattr(tokenizer, "vocabulary", None)
    ids = tokenizer.special_ids
    if ids.mask == ABSENT:
        raise PresetError(
            "The tokenizer has no token for masks.", fix="Choose a preset of a masked language model."
        )
    framing = (ids.cls, ids.separator, ids.padding, ids.mask, ids.unknown)
    mark = getattr(vocabulary, "continuation", "")
    if mark:
        goes_on = np.array([piece.startswith(mark) for piece in vocabulary.pieces])
        return TokenWords(vocabulary.mask, tuple(vocabulary.pieces), goes_on, mark, framing)
    spelled = tokenizer.spell(tf.range(tokenizer.vocabulary_size)).numpy().tolist()
    words = tuple(word.decode("utf-8", "replace") for word in spelled)
    special = {place: token for token, place in list_special_tokens(tokenizer).items()}
    goes_on = np.array([not word[:1].isspace() for word in words])
    return TokenWords(special[ids.mask], words, goes_on, "", tuple(sorted({*framing, *special})))


def _find_lasts(parts: tf.RaggedTensor) -> tf.Tensor:
    """bool (parts,), whether a part is its text's last."""
    lasts = tf.cast(parts.row_splits[1:] - 1, tf.int32)
    return tf.scatter_nd(lasts[:, None], tf.ones_like(lasts), [tf.size(parts.flat_values)]) > 0
