"""From texts to rows of token ids, for the cache and for a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from kerasft.files import compute_fingerprint
from kerasft.text.spans.windows import Windows
from kerasft.text.tokenizers.vocabulary import WordPieceVocabulary

CHUNK = 1024


class _Encoder:
    """What encoders share: the vocabulary, and padding with its padding token."""

    def __init__(self, vocabulary: WordPieceVocabulary):
        self.vocabulary = vocabulary

    def pad(self, token_ids: np.ndarray, lengths: np.ndarray) -> dict[str, np.ndarray]:
        """A model's inputs, each int32 (batch, width), for padded ids (batch, width) and lengths (batch,)."""
        mask = (np.arange(token_ids.shape[1])[None, :] < np.asarray(lengths)[:, None]).astype(np.int32)
        token_ids = np.where(mask, token_ids, self.vocabulary.padding_id).astype(np.int32)
        return {"token_ids": token_ids, "segment_ids": np.zeros_like(token_ids), "padding_mask": mask}


class TextEncoder(_Encoder):
    """Texts → token ids, by the very ops that an export holds.

    Args:
        vocabulary: the pieces and rules.
        max_length: tokens a text may have, [CLS] and [SEP] included.
    """

    def __init__(self, vocabulary: WordPieceVocabulary, max_length: int):
        import tensorflow as tf

        from kerasft.text.tokenizers.wordpiece import WordPiece

        super().__init__(vocabulary)
        self.max_length = max_length
        self.word_piece = WordPiece(vocabulary)
        self._encode = tf.function(
            lambda texts: self.word_piece.encode_ragged(texts, max_length),
            input_signature=[tf.TensorSpec((None,), tf.string)],
        )

    @property
    def fingerprint(self) -> str:
        """Changes when any text's ids could."""
        return compute_fingerprint([self.vocabulary.fingerprint(), self.max_length])

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """int32 (tokens,) for each text, [CLS] … [SEP]."""
        return [row for chunk in _chunks(texts) for row in _split_rows(self._encode(chunk))]


class TextUnits(NamedTuple):
    """The units of one text and its pieces; all int32, ends are exclusive.

    Attributes:
        token_ids: (pieces,), without special tokens.
        first_pieces: (units,), the place of each unit's first piece; its pieces reach to the next unit's.
        start, end: (units,), its characters: `text[start:end]`.
        start_byte, end_byte: (units,), its bytes in the text's UTF-8.
    """

    token_ids: np.ndarray
    first_pieces: np.ndarray
    start: np.ndarray
    end: np.ndarray
    start_byte: np.ndarray
    end_byte: np.ndarray


class UnitEncoder(_Encoder):
    """Texts → their pieces and units, whole, by the very ops that an export holds.

    Args:
        vocabulary: the pieces and rules.
        split_characters: whether every character is a unit, and not every word.
    """

    def __init__(self, vocabulary: WordPieceVocabulary, *, split_characters: bool = False):
        from kerasft.text.spans.units import UnitTokenizer

        super().__init__(vocabulary)
        self.split_characters = split_characters
        self.tokenizer = UnitTokenizer(vocabulary, split_characters=split_characters)

    @property
    def fingerprint(self) -> str:
        """Changes when any text's ids or units could."""
        return compute_fingerprint([self.vocabulary.fingerprint(), self.split_characters])

    def encode(self, texts: Sequence[str]) -> list[TextUnits]:
        """The units of each text."""
        found: list[TextUnits] = []
        for chunk in _chunks(texts):
            columns = [_split_rows(column) for column in self.tokenizer.find_units(chunk)]
            found.extend(TextUnits(*rows) for rows in zip(*columns, strict=True))
        return found

    def frame(self, token_ids: np.ndarray, windows: Windows) -> list[np.ndarray]:
        """int32 (tokens,) for each window of a text's pieces, [CLS] … [SEP]; a unit's first piece in it stands at
        1 + its place in the text - the window's first piece."""
        edges = np.array([self.vocabulary.cls_id, self.vocabulary.separator_id], np.int32)
        return [
            np.concatenate([edges[:1], token_ids[first:end], edges[1:]])
            for first, end in zip(windows.first_pieces, windows.end_pieces, strict=True)
        ]


def _chunks(texts: Sequence[str]) -> Iterator:
    import tensorflow as tf

    if isinstance(texts, str):
        raise TypeError("`texts` is one text: put it into a list")
    for start in range(0, len(texts), CHUNK):
        # what a lone surrogate stands for cannot be UTF-8: a question mark takes its place
        yield tf.constant([text.encode("utf-8", "replace") for text in texts[start : start + CHUNK]])


def _split_rows(ragged) -> list[np.ndarray]:
    return np.split(ragged.flat_values.numpy(), ragged.row_splits.numpy()[1:-1])
