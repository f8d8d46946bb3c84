"""From texts to rows of token ids, for the cache and for a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from kerasft.files import compute_fingerprint
from kerasft.text.spans.windows import Windows
from kerasft.text.tokenizers.base import Tokenizer, UnitTokenizer

CHUNK = 1024
INPUTS = ("token_ids", "segment_ids", "padding_mask")
"""What a model can take."""


class _Encoder:
    """What encoders share: which inputs the model takes, and padding with the tokenizer's padding token."""

    def __init__(self, tokenizer: Tokenizer, inputs: Sequence[str]):
        self.inputs = tuple(inputs)
        self._padding_id = tokenizer.special_ids.padding

    def pad(
        self, token_ids: np.ndarray, lengths: np.ndarray, first_lengths: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """A model's inputs, each int32 (batch, width).

        Args:
            token_ids: (batch, width), padded with anything.
            lengths: (batch,), tokens of each row.
            first_lengths: (batch,), of these how many are the first text's of two, special tokens included; None: all.
        """
        column = np.arange(token_ids.shape[1])[None, :]
        mask = (column < np.asarray(lengths)[:, None]).astype(np.int32)
        segments = np.zeros_like(mask)
        if first_lengths is not None:
            segments = mask * (column >= np.asarray(first_lengths)[:, None]).astype(np.int32)
        token_ids = np.where(mask, token_ids, self._padding_id).astype(np.int32)
        whole = {"token_ids": token_ids, "segment_ids": segments, "padding_mask": mask}
        return {name: whole[name] for name in self.inputs}


class TextEncoder(_Encoder):
    """Texts → token ids, by the very ops that an export holds.

    Args:
        tokenizer: of the model's preset.
        max_length: tokens a text may have, special ones included.
        inputs: what the model takes, of `INPUTS`.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int, inputs: Sequence[str] = INPUTS):
        import tensorflow as tf

        from kerasft.text.ops import compile_once

        super().__init__(tokenizer, inputs)
        self.max_length = max_length
        self.tokenizer = tokenizer
        self._encode = compile_once(
            lambda texts: self.tokenizer.encode_ragged(texts, max_length), tf.TensorSpec((None,), tf.string)
        )

    @property
    def fingerprint(self) -> str:
        """Changes when any text's ids could."""
        return compute_fingerprint([self.tokenizer.fingerprint, self.max_length])

    def encode(self, texts: Sequence[str]) -> list[np.ndarray]:
        """int32 (tokens,) for each text, [CLS] … [SEP]."""
        return [row for chunk in _chunks(texts) for row in _split_rows(self._encode(chunk))]

    def encode_pairs(self, texts: Sequence[str], pairs: Sequence[str]) -> list[tuple[np.ndarray, int]]:
        """int32 (tokens,) for each two texts, [CLS] … [SEP] … [SEP], and how many of the tokens are the first text's,
        [CLS] and [SEP] included: what `pad` takes. Of texts that are too long the longer is cut first."""
        found: list[tuple[np.ndarray, int]] = []
        for first, second in zip(_chunks(texts), _chunks(pairs), strict=True):
            ids = [self.tokenizer.tokenize(chunk) for chunk in (first, second)]
            framed = self.tokenizer.frame(*ids, max_length=self.max_length)
            segments = _split_rows(framed.segment_ids)
            counts = [int((row == 0).sum()) for row in segments]
            found.extend(zip(_split_rows(framed.token_ids), counts, strict=True))
        return found


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
        tokenizer: of the model's preset.
        inputs: what the model takes, of `INPUTS`.
    """

    def __init__(self, tokenizer: UnitTokenizer, inputs: Sequence[str] = INPUTS):
        super().__init__(tokenizer, inputs)
        self.tokenizer = tokenizer

    @property
    def fingerprint(self) -> str:
        """Changes when any text's ids or units could."""
        return self.tokenizer.fingerprint

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
        special = self.tokenizer.special_ids
        edges = np.array([special.cls, special.separator], np.int32)
        return [
            np.concatenate([edges[:1], token_ids[first:end], edges[1:]])
            for first, end in zip(windows.first_pieces, windows.end_pieces, strict=True)
        ]


def _chunks(texts: Sequence[str]) -> Iterator:
    import tensorflow as tf

    if isinstance(texts, str):
        raise TypeError("`texts` is a single text: put it into a list")
    for start in range(0, len(texts), CHUNK):
        # what a lone surrogate stands for cannot be UTF-8: a question mark takes its place
        yield tf.constant([text.encode("utf-8", "replace") for text in texts[start : start + CHUNK]])


def _split_rows(ragged) -> list[np.ndarray]:
    return np.split(ragged.flat_values.numpy(), ragged.row_splits.numpy()[1:-1])
