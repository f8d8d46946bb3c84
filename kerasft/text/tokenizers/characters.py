"""One token a character, in core TensorFlow ops."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasft.errors import PresetError
from kerasft.files import compute_fingerprint
from kerasft.text.tokenizers.base import ABSENT, SpecialIds
from kerasft.text.tokenizers.module import GraphTokenizer
from kerasft.text.tokenizers.paging import build_pages, look_up
from kerasft.text.tokenizers.patterns import CODE_POINTS
from kerasft.text.tokenizers.reading import name_in_errors, read_json

FILE_NAME = "characters.json"
SPECIALS = ("<pad>", "<unk>", "<end>", "<mask>")
_PADDING, _UNKNOWN, _END, _MASK = range(4)
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True)
class CharacterVocabulary:
    """The characters that have a token; their ids follow those of the special tokens.

    Attributes:
        characters: each of one code point, all different.

    Raises:
        PresetError: none, one twice, or more than one code point in one.
    """

    characters: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.characters or len(set(self.characters)) != len(self.characters):
            raise PresetError("The vocabulary is empty, or contains a character twice.")
        if any(len(character) != 1 for character in self.characters):
            raise PresetError("The vocabulary contains something else than single characters.")

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change when any token id of any text could."""
        return compute_fingerprint({"characters": self.characters, "special": SPECIALS})


class Characters(GraphTokenizer):
    """A token for each character (code point) of a text; `unknown` for those that were not in the training text.

    Bytes that are not UTF-8 become U+FFFD. Decoding writes U+FFFD for unknown characters, and gives all others back.

    Args:
        vocabulary: the characters.
    """

    starts_with_space = False

    def __init__(self, vocabulary: CharacterVocabulary, name: str = "characters"):
        special = SpecialIds(_UNKNOWN, ABSENT, ABSENT, _PADDING, _MASK, end=_END)
        size = len(SPECIALS) + len(vocabulary.characters)
        super().__init__(special, size, vocabulary.fingerprint(), name)
        self.vocabulary = vocabulary
        ids = np.full(CODE_POINTS, _UNKNOWN, np.int32)
        ids[[ord(c) for c in vocabulary.characters]] = np.arange(len(SPECIALS), size)
        pages, entries = build_pages(ids)
        strings = ["", _REPLACEMENT, "", "", *vocabulary.characters]
        with tf.device("CPU:0"):
            self._pages, self._entries = tf.constant(pages), tf.constant(entries)
            self._strings = tf.constant([string.encode("utf-8") for string in strings])

    def spell(self, ids: tf.Tensor) -> tf.Tensor:
        """int32 (any shape) → string (the same shape), each token's character; nothing for special tokens."""
        with tf.device("CPU:0"):
            return tf.gather(self._strings, ids)

    def _tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        with tf.device("CPU:0"):
            decoded = tf.strings.unicode_decode(texts, "UTF-8", errors="replace")
            ids = look_up(self._pages, self._entries, decoded.flat_values)
            splits = tf.cast(decoded.row_splits, tf.int32)
            return tf.RaggedTensor.from_row_splits(ids, splits, validate=False)


def describe_characters(characters: Iterable[str]) -> dict[str, object]:
    """What `characters.json` says of a vocabulary."""
    return {"special_tokens": list(SPECIALS), "characters": list(characters)}


def read_characters(folder: Path) -> CharacterVocabulary:
    """Reads `characters.json`.

    Raises:
        PresetError: it is not what `train_tokenizer` writes.
    """
    path = folder / FILE_NAME
    with name_in_errors(path):
        content = read_json(path)
        if content["special_tokens"] != list(SPECIALS):
            raise PresetError(f"The special tokens are not {', '.join(SPECIALS)}.")
        return CharacterVocabulary(tuple(content["characters"]))
