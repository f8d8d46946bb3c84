"""The table of BERT's character normalisation, and its form for one vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from pathlib import Path

import numpy as np

CODE_POINTS = 0x110000
PAGE = 256
BLOCKER = 0
"""In a mapped sequence: a mark that was stripped, but across which no other mark may be reordered."""

SEPARATOR_SYMBOL = 0
UNKNOWN_SYMBOL = 1
BLOCKER_SYMBOL = 2
FIRST_SYMBOL = 3

LENGTH_BITS = 5


class Kind(IntEnum):
    """What normalisation makes of one code point."""

    KEEP = 0
    DROP = 1
    SEPARATOR = 2
    PUNCTUATION = 3
    CJK = 4
    MAPPED = 5
    MAPPED_CJK = 6
    BLOCKER = 7


def describe_variant(lowercase: bool, strip_accents: bool) -> str:
    """The name of one of the table's four variants."""
    return f"{'lower' if lowercase else 'cased'}_{'stripped' if strip_accents else 'accented'}"


def table_path() -> Path:
    """Where the frozen table lies."""
    return Path(__file__).with_name("character_table.npz")


@dataclass(frozen=True)
class CharacterTable:
    """One variant of the frozen table.

    Attributes:
        kinds: uint8 (0x110000,), a `Kind` for each code point.
        mapped: int32 (m,), the code points of kind MAPPED and MAPPED_CJK, ascending.
        lengths: uint8 (m,), how many characters each is mapped to.
        sequences: int32 (sum of lengths,), those characters; spaces part words, `BLOCKER` stands for itself.
        mark_ranks: code point → rank, of the combining marks that stripping keeps and decomposing reorders.
    """

    kinds: np.ndarray
    mapped: np.ndarray
    lengths: np.ndarray
    sequences: np.ndarray
    mark_ranks: Mapping[int, int]


@lru_cache(maxsize=4)
def load_character_table(lowercase: bool, strip_accents: bool) -> CharacterTable:
    """Reads one variant of the frozen table."""
    name = describe_variant(lowercase, strip_accents)
    with np.load(table_path(), allow_pickle=False) as table:
        ranks = dict(zip(table["marks"].tolist(), table["mark_ranks"].tolist(), strict=True))
        return CharacterTable(
            kinds=table[f"{name}.kinds"],
            mapped=table[f"{name}.mapped"],
            lengths=table[f"{name}.lengths"],
            sequences=table[f"{name}.sequences"],
            mark_ranks=ranks if strip_accents else {},
        )


@dataclass(frozen=True)
class SymbolTable:
    """From code points to symbols: the separator, the unknown character, and the vocabulary's characters.

    A code point's entry is `entries[pages[code_point // 256] * 256 + code_point % 256]`; its symbols are
    `sequences[entry >> LENGTH_BITS:][:entry & (2**LENGTH_BITS - 1)]`.

    Attributes:
        pages: int32 (4352,).
        entries: int32 (pages in use × 256,).
        sequences: int32 (any,), symbols.
        mark_ranks: int32 (symbols,), above 0 for marks that must be put in order; None where no text can need it.
    """

    pages: np.ndarray
    entries: np.ndarray
    sequences: np.ndarray
    mark_ranks: np.ndarray | None


def build_symbol_table(
    table: CharacterTable, symbols: Mapping[str, int], *, split_cjk: bool, split_all: bool = False
) -> SymbolTable:
    """The table a tokenizer looks code points up in.

    Args:
        table: the frozen table's variant.
        symbols: character → symbol, from `FIRST_SYMBOL` on; every other character is `UNKNOWN_SYMBOL`.
        split_cjk: whether CJK ideographs are words of their own.
        split_all: whether all characters are.
    """
    symbol_of = np.full(CODE_POINTS, UNKNOWN_SYMBOL, np.int32)
    symbol_of[[ord(character) for character in symbols]] = list(symbols.values())
    symbol_of[ord(" ")], symbol_of[BLOCKER] = SEPARATOR_SYMBOL, BLOCKER_SYMBOL
    count = FIRST_SYMBOL + len(symbols)
    # Where each character is a word, no mark meets another that it could change places with.
    mark_ranks = None if split_all else _rank_marks(table, symbols, count)

    # Each symbol s lies at 3s + 1 between two separators: alone it is one entry, isolated as a word another.
    isolated = np.full((count, 3), SEPARATOR_SYMBOL, np.int32)
    isolated[:, 1] = np.arange(count)
    position = 3 * symbol_of
    entry = _pack(position + 1, 1)
    kinds = table.kinds
    entry[(kinds == Kind.DROP) | ((kinds == Kind.BLOCKER) & (mark_ranks is None))] = 0
    entry[kinds == Kind.SEPARATOR] = _pack(3 * SEPARATOR_SYMBOL, 1)
    entry[(kinds == Kind.BLOCKER) & (mark_ranks is not None)] = _pack(3 * BLOCKER_SYMBOL + 1, 1)
    split = (kinds == Kind.PUNCTUATION) | ((kinds == Kind.CJK) & (split_cjk | split_all))
    split |= (kinds == Kind.KEEP) & split_all
    entry[split] = _pack(position[split], 3)

    isolate = ((kinds[table.mapped] == Kind.MAPPED_CJK) & split_cjk) | split_all
    sequences, starts, lengths = _map_sequences(
        table, symbol_of, isolate, keep_blockers=mark_ranks is not None
    )
    entry[table.mapped] = _pack(isolated.size + starts, lengths)
    rows = entry.reshape(-1, PAGE)
    places: dict[bytes, int] = {}
    pages = [places.setdefault(row.tobytes(), len(places)) for row in rows]
    return SymbolTable(
        pages=np.array(pages, np.int32),
        entries=np.frombuffer(b"".join(places), rows.dtype).astype(np.int32),
        sequences=np.concatenate([isolated.reshape(-1), sequences]).astype(np.int32),
        mark_ranks=mark_ranks,
    )


def _pack(start, length):
    return (start << LENGTH_BITS) | length


def _rank_marks(table: CharacterTable, symbols: Mapping[str, int], count: int) -> np.ndarray | None:
    # A word with a character outside the vocabulary is unknown however its marks stand, so that only marks
    # in the vocabulary count, and only those of different ranks ever change places.
    ranks = np.zeros(count, np.int32)
    for character, symbol in symbols.items():
        ranks[symbol] = table.mark_ranks.get(ord(character), 0)
    return ranks if len(np.unique(ranks[ranks > 0])) > 1 else None


def _map_sequences(
    table: CharacterTable, symbol_of: np.ndarray, isolate: np.ndarray, *, keep_blockers: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mapped code points' symbols, flat, with each one's start and length; `isolate` tells which are words."""
    owner = np.repeat(np.arange(len(table.mapped)), table.lengths)
    values = symbol_of[table.sequences]
    if not keep_blockers:
        owner, values = owner[values != BLOCKER_SYMBOL], values[values != BLOCKER_SYMBOL]
    # What is mapped to nothing but marks that are stripped is no word.
    isolated = np.flatnonzero(isolate & (np.bincount(owner, minlength=len(table.mapped)) > 0))
    edges = np.full(len(isolated), SEPARATOR_SYMBOL, np.int32)
    owner = np.concatenate([isolated, owner, isolated])
    values = np.concatenate([edges, values, edges])
    order = np.argsort(owner, kind="stable")
    owner, values = owner[order], values[order]
    lengths = np.bincount(owner, minlength=len(table.mapped)).astype(np.int32)
    starts = np.cumsum(lengths) - lengths
    return values, starts.astype(np.int32), lengths
