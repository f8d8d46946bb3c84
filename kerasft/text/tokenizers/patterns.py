"""The patterns that byte-level BPE splits text by before it merges, as data."""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

CODE_POINTS = 0x110000

PatternName = Literal["gpt2", "smollm", "llama3"]


class Kind(IntEnum):
    """What the patterns take a code point for."""

    OTHER = 0
    LETTER = 1
    NUMBER = 2
    SPACE = 3
    DIGIT_ONLY = 4
    """A number to `tokenizers`' rule that isolates digits, but not to its regular expressions, which know an older
    Unicode."""
    END = 5
    """No code point: the place after a text."""


class Pattern(NamedTuple):
    """How text is split into the words within which tokens are merged.

    Attributes:
        expression: the regular expression, in Oniguruma's syntax as `tokenizers` takes it; its matches are the words.
        isolates_digits: whether each digit is split off first, before the expression is applied to what is between.
        contractions: the endings that an apostrophe begins.
        ignores_case: whether they are found in capitals too.
        groups_digits: how many digits of a number one word has; 0: all.
        joins_any: whether a letter takes any character before it into its word, and not only a space; line breaks then
            are words of their own, or belong to what is no letter before them.
    """

    expression: str
    isolates_digits: bool
    contractions: tuple[str, ...]
    ignores_case: bool
    groups_digits: int
    joins_any: bool


_CONTRACTIONS = ("s", "t", "re", "ve", "m", "ll", "d")
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

PATTERNS: dict[PatternName, Pattern] = {
    "gpt2": Pattern(_GPT2, False, _CONTRACTIONS, False, 0, False),
    "smollm": Pattern(_GPT2, True, _CONTRACTIONS, False, 1, False),
    "llama3": Pattern(_LLAMA3, False, _CONTRACTIONS, True, 3, True),
}
"""GPT-2's, SmolLM's (GPT-2's with digits isolated) and Llama 3's."""


def table_path() -> Path:
    """Where the frozen table of code points lies."""
    return Path(__file__).with_name("pattern_table.npz")


@lru_cache(maxsize=1)
def load_kinds() -> np.ndarray:
    """uint8 (0x110000,), a `Kind` for each code point."""
    with np.load(table_path(), allow_pickle=False) as table:
        lengths = np.diff(np.append(table["starts"], CODE_POINTS))
        return np.repeat(table["kinds"], lengths)


def list_kinds(isolates_digits: bool) -> np.ndarray:
    """uint8 (0x110000,), the kinds for one pattern, `DIGIT_ONLY` not among them."""
    kinds = load_kinds().copy()
    kinds[kinds == Kind.DIGIT_ONLY] = Kind.NUMBER if isolates_digits else Kind.OTHER
    return kinds
