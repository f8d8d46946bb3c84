"""What the tokenizers share that follows from `tokenize` alone."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kerasft.text.ops import compile_method
from kerasft.text.tokenizers.base import ABSENT, Framed, SpecialIds
from kerasft.text.tokenizers.framing import frame


class GraphTokenizer(tf.Module):
    """A `Tokenizer` whose subclass gives token ids, and the strings of tokens.

    Args:
        special_ids: of the tokenizer; without a padding token it pads with the end's id, or 0.
        size: how many ids there are.
        fingerprint: changes when any text's ids could.
        name: of the module.
    """

    starts_with_space = True
    """Whether `spell` puts a space before a text's first word, which `decode` removes."""

    def __init__(self, special_ids: SpecialIds, size: int, fingerprint: str, name: str):
        super().__init__(name=name)
        if special_ids.padding == ABSENT:
            special_ids = special_ids._replace(padding=max(special_ids.end, 0))
        self._special_ids = special_ids
        self._size = size
        self._fingerprint = fingerprint
        self._tokenize_in_graph = compile_method(self._tokenize)
        self._decode_in_graph = compile_method(self._decode)
        self._pad_in_graph = compile_method(self._pad)

    @property
    def fingerprint(self) -> str:
        """Changes when any text's ids could."""
        return self._fingerprint

    @property
    def vocabulary_size(self) -> int:
        """How many ids there are."""
        return self._size

    @property
    def special_ids(self) -> SpecialIds:
        """The ids of special tokens."""
        return self._special_ids

    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """string (batch,), UTF-8 → int32 (batch, ragged), without special tokens."""
        return self._tokenize_in_graph(tf.convert_to_tensor(texts, tf.string))

    def decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """int32 (batch, ragged) → string (batch,); special tokens leave nothing. See `Tokenizer.decode`."""
        return self._decode_in_graph(_as_ragged(ids))

    def spell(self, ids: tf.Tensor) -> tf.Tensor:
        """int32 (any shape) → string (the same shape), what each token adds to a text. See `Tokenizer.spell`."""
        raise NotImplementedError

    def frame(
        self, ids: tf.RaggedTensor, pair: tf.RaggedTensor | None = None, *, max_length: int | None = None
    ) -> Framed:
        """Special tokens around the ids of one text, or of two. See `Tokenizer.frame`."""
        return frame(ids, pair, self.special_ids, max_length)

    def encode_ragged(self, texts: tf.Tensor, max_length: int) -> tf.RaggedTensor:
        """`frame` of `tokenize`, for one text: int32 (batch, ragged), at most `max_length` tokens a row."""
        return self.frame(self.tokenize(texts), max_length=max_length).token_ids

    def encode(
        self, texts: tf.Tensor, max_length: int, pair: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """A model's inputs, padded to the batch's longest: token_ids, segment_ids and padding_mask (1 a token), each
        int32 (batch, longest)."""
        second = None if pair is None else self.tokenize(pair)
        framed = self.frame(self.tokenize(texts), second, max_length=max_length)
        return self._pad_in_graph(*framed)

    def _pad(self, token_ids: tf.RaggedTensor, segment_ids: tf.RaggedTensor) -> dict[str, tf.Tensor]:
        return {
            "token_ids": token_ids.to_tensor(self.special_ids.padding),
            "segment_ids": segment_ids.to_tensor(0),
            "padding_mask": tf.ones_like(token_ids).to_tensor(0),
        }

    def _tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        raise NotImplementedError

    def _decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        with tf.device("CPU:0"):
            texts = tf.strings.reduce_join(ids.with_flat_values(self.spell(ids.flat_values)), axis=-1)
            return tf.strings.regex_replace(texts, "^ ", "") if self.starts_with_space else texts


def list_special_ids(vocabulary: Any, unknown: int) -> SpecialIds:
    """The special ids of a language model's tokenizer: what `frame` adds is what the vocabulary says.

    Args:
        vocabulary: with `begin`, `end`, `padding`, `mask`, `adds_begin` and `adds_end`.
        unknown: the unknown token's id.
    """
    return SpecialIds(
        unknown=unknown,
        cls=vocabulary.begin if vocabulary.adds_begin else ABSENT,
        separator=vocabulary.end if vocabulary.adds_end else ABSENT,
        padding=vocabulary.padding,
        mask=vocabulary.mask,
        begin=vocabulary.begin,
        end=vocabulary.end,
    )


def _as_ragged(ids) -> tf.RaggedTensor:
    """Ids as a ragged tensor; a list of lists, or a tensor whose rows are all of one length, will do."""
    if isinstance(ids, tf.RaggedTensor):
        return tf.cast(ids, tf.int32)
    if isinstance(ids, tf.Tensor):
        return tf.RaggedTensor.from_tensor(tf.cast(ids, tf.int32))
    return tf.ragged.constant(ids, tf.int32, ragged_rank=1)
