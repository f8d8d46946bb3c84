"""What a SentencePiece unigram tokenizer consists of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import cached_property

from kerasft.errors import PresetError
from kerasft.files import compute_fingerprint
from kerasft.text.tokenizers.base import ABSENT

SPACE = "\u2581"
"""What SentencePiece writes for a space."""


@dataclass(frozen=True)
class UnigramVocabulary:
    """The pieces of a unigram language model and how text is normalised before it.

    Attributes:
        pieces: the pieces; a piece's place is its id. `SPACE` stands for a space.
        scores: the logarithm of each piece's probability.
        special: the ids of special tokens, of bytes and of unused pieces: no text becomes one of them.
        unknown: the id of characters that no piece spells.
        byte_ids: the ids of the 256 bytes, which spell unknown characters; empty: these become `unknown`.
        charsmap: SentencePiece's `precompiled_charsmap`; empty: characters stay as they are.
        adds_space: whether a space is put before each text.
        strips_spaces: whether spaces at the ends are removed, and of several in a row all but one.
        splits_words: whether each word is looked at by itself in double precision, as `tokenizers` does, and not the
            whole text in single precision, as SentencePiece does: where two spellings are equally likely, it decides.
        begin, end, padding, mask: ids of special tokens; `ABSENT` where there is none.
        adds_begin, adds_end: whether `frame` puts `begin` before a text, and `end` after it.

    Raises:
        PresetError: no piece, not as many scores as pieces, or an id that no piece has.
    """

    pieces: tuple[str, ...]
    scores: tuple[float, ...]
    special: frozenset[int]
    unknown: int
    byte_ids: tuple[int, ...] = ()
    charsmap: bytes = b""
    adds_space: bool = True
    strips_spaces: bool = True
    splits_words: bool = False
    begin: int = ABSENT
    end: int = ABSENT
    padding: int = ABSENT
    mask: int = ABSENT
    adds_begin: bool = False
    adds_end: bool = False

    def __post_init__(self) -> None:
        if not self.index:
            raise PresetError("The vocabulary is empty.")
        if len(self.scores) != len(self.pieces):
            raise PresetError(f"The vocabulary has {len(self.pieces)} pieces and {len(self.scores)} scores.")
        if "" in self.index or len(self.index) != len(self.pieces) - len(self.special):
            raise PresetError("The vocabulary contains an empty piece, or one piece more than once.")
        if not 0 <= self.unknown < self.size:
            raise PresetError("The vocabulary has no token for unknown characters.")
        if len(self.byte_ids) not in (0, 256):
            raise PresetError(f"The vocabulary contains {len(self.byte_ids)} of the 256 bytes.")
        for name in ("begin", "end", "padding", "mask"):
            if not ABSENT <= getattr(self, name) < self.size:
                raise PresetError(f"The token {name} has the id {getattr(self, name)}, which no token has.")

    @property
    def size(self) -> int:
        """How many ids there are."""
        return len(self.pieces)

    @cached_property
    def index(self) -> dict[str, int]:
        """From a piece to its id, without special tokens."""
        return {piece: place for place, piece in enumerate(self.pieces) if place not in self.special}

    @property
    def unknown_score(self) -> float:
        """What a character without a piece counts: less than any piece.

        Source: SentencePiece, `kUnkPenalty` in unigram_model.cc.
        """
        return min(self.scores[place] for place in self.index.values()) - 10.0

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change when any token id of any text could."""
        return compute_fingerprint(
            {
                **{field.name: getattr(self, field.name) for field in fields(self)},
                "special": sorted(self.special),
                "charsmap": hashlib.sha256(self.charsmap).hexdigest(),
            }
        )
