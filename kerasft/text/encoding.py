"""From texts to rows of token ids, for the cache and for a batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasft.files import compute_fingerprint
from kerasft.text.vocabulary import WordPieceVocabulary

CHUNK = 1024


class TextEncoder:
    """Texts → token ids, by the very ops that an export holds.

    Args:
        vocabulary: the pieces and rules.
        max_length: tokens a text may have, [CLS] and [SEP] included.
    """

    def __init__(self, vocabulary: WordPieceVocabulary, max_length: int):
        import tensorflow as tf

        from kerasft.text.wordpiece import WordPiece

        self.vocabulary = vocabulary
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
        import tensorflow as tf

        rows: list[np.ndarray] = []
        for start in range(0, len(texts), CHUNK):
            # what a lone surrogate stands for cannot be UTF-8: it is replaced, and dropped by the tokenizer
            raw = [text.encode("utf-8", "replace") for text in texts[start : start + CHUNK]]
            ragged = self._encode(tf.constant(raw))
            values, splits = ragged.flat_values.numpy(), ragged.row_splits.numpy()
            rows.extend(np.split(values, splits[1:-1]))
        return rows

    def pad(self, token_ids: np.ndarray, lengths: np.ndarray) -> dict[str, np.ndarray]:
        """A model's inputs, each int32 (batch, width), for padded ids (batch, width) and lengths (batch,)."""
        mask = (np.arange(token_ids.shape[1])[None, :] < np.asarray(lengths)[:, None]).astype(np.int32)
        token_ids = np.where(mask, token_ids, self.vocabulary.padding_id).astype(np.int32)
        return {"token_ids": token_ids, "segment_ids": np.zeros_like(token_ids), "padding_mask": mask}
