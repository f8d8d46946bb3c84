"""What a tokenizer is to the rest of kerasft: from texts to a model's inputs, in core TensorFlow ops.

Its classes are `tf.Module`s, so that an export holds the very ops that prepared the training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import tensorflow as tf


ABSENT = -1
"""In the place of a special token's id: the tokenizer has no such token."""


class SpecialIds(NamedTuple):
    """The ids of special tokens; `ABSENT` where there is none.

    Attributes:
        unknown: stands for what the vocabulary cannot spell.
        cls, separator: what `frame` puts before a text and after it.
        padding: fills short rows up. Where a tokenizer has no such token it is another's id: padding_mask tells.
        mask: stands for a token that a masked language model fills in.
        begin, end: the start and the end of a text for a language model that writes, whether `frame` adds them or not.
    """

    unknown: int
    cls: int
    separator: int
    padding: int
    mask: int
    begin: int = ABSENT
    end: int = ABSENT


class Framed(NamedTuple):
    """Token ids as a model takes them, not padded; both int32 (batch, ragged).

    Attributes:
        token_ids: cls, the first text, separator; and with a pair the second, separator.
        segment_ids: 0 for the first text and what frames it, 1 for the second and the separator after it.
    """

    token_ids: tf.RaggedTensor
    segment_ids: tf.RaggedTensor


class Tokenizer(Protocol):
    """Texts → token ids. Text is data: a special token that is spelled out in it never becomes that token's id."""

    @property
    def fingerprint(self) -> str:
        """Changes when any text's ids could."""

    @property
    def vocabulary_size(self) -> int:
        """How many ids there are."""

    @property
    def special_ids(self) -> SpecialIds:
        """The ids of special tokens."""

    def tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """string (batch,), UTF-8 → int32 (batch, ragged), without special tokens."""

    def decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """int32 (batch, ragged) → string (batch,); special tokens leave nothing.

        Byte-level BPE gives back the very bytes; of ids that no text gave these may be no UTF-8. Other tokenizers give
        back what is left after normalising.
        """

    def spell(self, ids: tf.Tensor) -> tf.Tensor:
        """int32 (any shape) → string (the same shape), what each token adds to the text before it.

        For texts that are written token by token: joined, they are `decode`'s text, but for a space at its start. A
        character may be spread over several tokens, so that single ones are no UTF-8.
        """

    def frame(
        self, ids: tf.RaggedTensor, pair: tf.RaggedTensor | None = None, *, max_length: int | None = None
    ) -> Framed:
        """Special tokens around the ids of one text, or of two.

        Args:
            ids, pair: int32 (batch, ragged), of `tokenize`.
            max_length: tokens a row may have, special ones included; None: nothing is cut. Of two texts the longer is
                cut first.

        Raises:
            ValueError: max_length has no room for the special tokens.
        """

    def encode_ragged(self, texts: tf.Tensor, max_length: int) -> tf.RaggedTensor:
        """`frame` of `tokenize`, for one text: int32 (batch, ragged)."""

    def encode(
        self, texts: tf.Tensor, max_length: int, pair: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """A model's inputs, padded to the batch's longest: token_ids, segment_ids and padding_mask (1 a token), each
        int32 (batch, longest). A model takes of them what its family names."""


class UnitTokenizer(Tokenizer, Protocol):
    """A tokenizer that tells the words, or characters, of a text, and where they stand in it.

    One special token stands before a window's pieces, and one after them.
    """

    @property
    def split_characters(self) -> bool:
        """Whether every character is a unit, and not every word."""

    def find_units(self, texts: tf.Tensor) -> Any:
        """string (batch,) → the `Units` of whole texts."""

    def encode_windows(self, texts: tf.Tensor, max_length: int, overlap: int | None = None) -> Any:
        """string (batch,) → `UnitWindows`: long texts in windows that overlap."""
