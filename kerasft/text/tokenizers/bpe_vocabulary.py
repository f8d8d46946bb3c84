"""What a byte-level BPE tokenizer consists of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from kerasft.errors import PresetError
from kerasft.files import compute_fingerprint
from kerasft.text.tokenizers.base import ABSENT
from kerasft.text.tokenizers.patterns import PATTERNS, PatternName


def map_bytes() -> dict[int, str]:
    """From each byte to the character that stands for it in tokenizer.json and vocab.json.

    Visible characters of Latin-1 stand for themselves, the other bytes for the characters from U+0100 on.

    Source: Radford et al. 2019, GPT-2's `bytes_to_unicode`.
    """
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in visible]
    return {byte: chr(byte) for byte in visible} | {b: chr(0x100 + n) for n, b in enumerate(others)}


@dataclass(frozen=True)
class ByteBpeVocabulary:
    """The tokens and merges of byte-level BPE.

    Attributes:
        tokens: each token's bytes; a token's place is its id. Special tokens are spelled out in UTF-8.
        merges: pairs of ids, those merged first at the beginning.
        special: the ids of special tokens: no text becomes one of them.
        pattern: where text is split before merging.
        begin, end, padding, unknown, mask: ids of special tokens; `ABSENT` where there is none.
        adds_begin, adds_end: whether `frame` puts `begin` before a text, and `end` after it.
        unknown_byte: the id of bytes that have no token; `ABSENT`: they are left out, as in SmolLM, which has
            none for 21 bytes: control characters and what no UTF-8 contains.
        ignores_merges: whether a word that is a token becomes that token, even if merging gives others.

    Raises:
        PresetError: no byte has a token, two tokens of the same bytes, or a merge whose result is no token.
    """

    tokens: tuple[bytes, ...]
    merges: tuple[tuple[int, int], ...]
    special: frozenset[int] = frozenset()
    pattern: PatternName = "gpt2"
    begin: int = ABSENT
    end: int = ABSENT
    padding: int = ABSENT
    unknown: int = ABSENT
    mask: int = ABSENT
    adds_begin: bool = False
    adds_end: bool = False
    unknown_byte: int = ABSENT
    ignores_merges: bool = False

    def __post_init__(self) -> None:
        if self.pattern not in PATTERNS:
            raise PresetError(f"The pattern {self.pattern!r} is not one of {', '.join(PATTERNS)}.")
        if len(self.index) != len(self.tokens) - len(self.special):
            counts = Counter(t for place, t in enumerate(self.tokens) if place not in self.special)
            raise PresetError(f"The vocabulary contains the token {counts.most_common(1)[0][0]!r} twice.")
        if not any(bytes([byte]) in self.index for byte in range(256)):
            raise PresetError("The vocabulary has no token for any byte: it is not byte-level BPE.")
        for name in ("begin", "end", "padding", "unknown", "mask", "unknown_byte"):
            if not ABSENT <= getattr(self, name) < len(self.tokens):
                raise PresetError(f"The token {name} has the id {getattr(self, name)}, which no token has.")
        _ = self.results

    @property
    def size(self) -> int:
        """How many ids there are."""
        return len(self.tokens)

    @cached_property
    def index(self) -> dict[bytes, int]:
        """From the bytes of a token to its id, without special tokens."""
        return {token: place for place, token in enumerate(self.tokens) if place not in self.special}

    @property
    def byte_ids(self) -> list[int]:
        """The id of each of the 256 bytes."""
        return [self.index.get(bytes([byte]), self.unknown_byte) for byte in range(256)]

    @cached_property
    def results(self) -> np.ndarray:
        """int32 (merges,), the id that each merge gives."""
        try:
            found = [self.index[self.tokens[a] + self.tokens[b]] for a, b in self.merges]
        except KeyError as error:
            raise PresetError(f"A merge gives {error.args[0]!r}, which is not in the vocabulary.") from error
        except IndexError as error:
            raise PresetError("A merge names an id that no token has.") from error
        return np.array(found, np.int32)

    @cached_property
    def is_safe(self) -> np.ndarray:
        """bool (merges,), whether all merges that use the result of this one come after it.

        Then it can be applied to all places of a word at once; if not, the first place must be looked at again before
        the next.
        """
        count = len(self.merges)
        first_use = np.full(self.size, count, np.int64)
        parts = np.array(self.merges, np.int64).reshape(count, 2)
        np.minimum.at(first_use, parts, np.arange(count)[:, None])
        return first_use[self.results] > np.arange(count)

    def fingerprint(self) -> str:
        """16 hexadecimal digits that change when any token id of any text could."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        tokens = [token.hex() for token in self.tokens]
        return compute_fingerprint({**values, "tokens": tokens, "special": sorted(self.special)})
