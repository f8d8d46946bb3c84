"""From texts to windows of token ids, by core TensorFlow ops that an export holds too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kerasft.files import compute_fingerprint
from kerasft.text.long_texts import LongTexts
from kerasft.text.ops import compile_once
from kerasft.text.token_words import TokenWords
from kerasft.text.tokenizers.base import Tokenizer

ENCODING_VERSION = 1
"""Changes when the same texts would give other windows."""


class WindowRows(NamedTuple):
    """Windows of some texts.

    Attributes:
        token_ids: int32 (windows, ragged), special tokens included.
        texts: int32 (windows,), which text each is of, ascending.
    """

    token_ids: tf.RaggedTensor
    texts: tf.Tensor


class MaskedEncoder(tf.Module):
    """Texts → windows that follow one another: the first tokens, the next, and so on.

    Args:
        tokenizer: of the model.
        max_length: tokens of a window, special ones included.
        words: of the tokenizer: how a mask is spelled in a text that asks for what stands there.
        special_tokens: whether a window begins with the classification token and ends with the separator.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int, words: TokenWords, *, special_tokens: bool):
        super().__init__(name="masked_encoder")
        self.tokenizer = tokenizer
        self.max_length = max_length
        self._words = words
        self.special_tokens = special_tokens
        self._ask = compile_once(self.encode_question, tf.TensorSpec((None,), tf.string))
        self._documents = LongTexts(tokenizer)

    @property
    def mask(self) -> str:
        """How a mask is spelled in a text."""
        return self._words.mask

    @property
    def room(self) -> int:
        """Tokens of a text that a window holds."""
        return self.max_length - 2 * self.special_tokens

    @property
    def fingerprint(self) -> str:
        """Changes when any text's windows could."""
        return compute_fingerprint(
            [self.tokenizer.fingerprint, self.max_length, self.special_tokens, ENCODING_VERSION]
        )

    # --- in the graph -----------------------------------------------------------------------------------------

    def encode_question(self, texts: tf.Tensor) -> WindowRows:
        """string (batch,), UTF-8, with masks spelled out in them → their windows."""
        with tf.device("CPU:0"):
            parts = tf.strings.split(texts, self.mask)
            ids = self.tokenizer.tokenize(self._words.prepare_parts(parts))
            # a mask after each part but the last of its text
            splits = tf.cast(parts.row_splits, tf.int32)
            lasts = splits[1:] - 1
            follow = tf.tensor_scatter_nd_update(
                tf.ones(splits[-1:], tf.int32), lasts[:, None], tf.zeros_like(lasts)
            )
            masks = tf.RaggedTensor.from_row_lengths(
                tf.fill([tf.reduce_sum(follow)], self.tokenizer.special_ids.mask), follow, validate=False
            )
            joined = tf.concat([ids.with_row_splits_dtype(tf.int32), masks], 1)
            text_splits = tf.gather(joined.row_splits, splits)
            whole = tf.RaggedTensor.from_row_splits(joined.values, text_splits, validate=False)
            return self._cut(whole)

    def _cut(self, ids: tf.RaggedTensor) -> WindowRows:
        """The ids of texts, int32 (batch, ragged), in windows; a text without any has one window."""
        begins, ends = ids.row_splits[:-1], ids.row_splits[1:]
        firsts = tf.ragged.range(begins, tf.maximum(ends, begins + 1), self.room, row_splits_dtype=tf.int32)
        texts = tf.cast(firsts.value_rowids(), tf.int32)
        stops = tf.minimum(firsts.values + self.room, tf.gather(ends, texts))
        places = tf.ragged.range(firsts.values, stops, row_splits_dtype=tf.int32)
        windows = places.with_values(tf.gather(ids.values, places.values))
        if self.special_tokens:
            windows = self.tokenizer.frame(windows).token_ids
        return WindowRows(windows, texts)

    # --- from Python ------------------------------------------------------------------------------------------

    def cut_questions(self, texts: Sequence[str]) -> list[list[np.ndarray]]:
        """The windows of each of some texts with masks spelled out in them, int32 (tokens,) each."""
        if not texts:
            return []
        rows = self._ask(tf.constant([text.encode("utf-8", "replace") for text in texts]))
        windows = np.split(rows.token_ids.values.numpy(), rows.token_ids.row_splits.numpy()[1:-1])
        found: list[list[np.ndarray]] = [[] for _ in texts]
        for text, window in zip(rows.texts.numpy().tolist(), windows, strict=True):
            found[text].append(window)
        return found

    def cut_documents(self, texts: Sequence[str]) -> list[list[np.ndarray]]:
        """The same of texts that are data: a mask spelled out in one is text like any other."""
        ids = self.tokenizer.special_ids
        edges = np.array([ids.cls, ids.separator], np.int32)
        found = []
        for tokens in self._documents.tokenize(texts):
            pieces = [tokens[start : start + self.room] for start in range(0, max(len(tokens), 1), self.room)]
            if self.special_tokens:
                pieces = [np.concatenate([edges[:1], piece, edges[1:]]) for piece in pieces]
            found.append(pieces)
        return found
