"""Counts what a corpus holds: documents, characters, words, lengths and scripts."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasft.data.duplicates.normalization import IDEOGRAPHIC, SEPARATOR, compute_kinds
from kerasft.data.store import Payloads

QUANTILES = {"min": 0.0, "p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}
_BATCH_BYTES = 1 << 18
_SHOWN_SCRIPTS, _LEAST_SHARE = 4, 0.0005
_SCRIPTS = {
    "LATIN": "Latin",
    "CJK": "Han",
    "HIRAGANA": "Kana",
    "KATAKANA": "Kana",
    "KATAKANA-HIRAGANA": "Kana",
    "HANGUL": "Hangul",
    "CYRILLIC": "Cyrillic",
    "ARABIC": "Arabic",
    "DEVANAGARI": "Devanagari",
    "GREEK": "Greek",
    "HEBREW": "Hebrew",
    "THAI": "Thai",
    "BENGALI": "Bengali",
    "TAMIL": "Tamil",
    "TELUGU": "Telugu",
    "KANNADA": "Kannada",
    "MALAYALAM": "Malayalam",
    "GUJARATI": "Gujarati",
    "GURMUKHI": "Gurmukhi",
    "SINHALA": "Sinhala",
    "GEORGIAN": "Georgian",
    "ARMENIAN": "Armenian",
    "ETHIOPIC": "Ethiopic",
    "KHMER": "Khmer",
    "LAO": "Lao",
    "MYANMAR": "Myanmar",
    "TIBETAN": "Tibetan",
    "MONGOLIAN": "Mongolian",
}
"""The first word of a letter's name in Unicode → its script."""
_NAMES = ("", "other", *dict.fromkeys(_SCRIPTS.values()))
_OTHER, _HAN = 1, _NAMES.index("Han")
_WIDTHS = ("FULLWIDTH ", "HALFWIDTH ")
_TABLE_END = 0x20000
_LAST_IDEOGRAPH = 0x3FFFF


def profile_texts(payloads: Payloads, rows: np.ndarray) -> dict[str, Any]:
    """What the texts of some rows hold.

    Args:
        payloads: texts in UTF-8.
        rows: int64 (some,), rising.

    Returns:
        documents; bytes in UTF-8; characters (code points); words (runs of letters and digits, and single ideographs);
        lengths, in characters, by the names of `QUANTILES`; scripts, the shares of letters, the largest first.
    """
    lengths = np.zeros(len(rows), np.int64)
    sizes = payloads.lengths[rows].astype(np.int64)
    scripts = np.zeros(len(_NAMES), np.int64)
    words = done = 0
    blocks = np.cumsum(sizes) // _BATCH_BYTES
    for part in np.split(rows, np.flatnonzero(np.diff(blocks)) + 1) if len(rows) else ():
        texts = payloads.read_payloads(part)
        joined = b"\n".join(texts) + b"\n"
        data = np.frombuffer(joined, np.uint8)
        firsts = np.cumsum([0, *(len(text) + 1 for text in texts[:-1])])
        lengths[done : done + len(part)] = np.add.reduceat(data & 0xC0 != 0x80, firsts, dtype=np.int64) - 1
        done += len(part)
        codes = data
        if not joined.isascii():
            codes = np.frombuffer(joined.decode("utf-8").encode("utf-32-le"), np.uint32)
        scripts += np.bincount(_find_scripts(codes), minlength=len(_NAMES))
        words += _count_words(compute_kinds(codes))
    letters = max(int(scripts[1:].sum()), 1)
    shares = {
        name: int(count) / letters for name, count in zip(_NAMES[1:], scripts[1:], strict=True) if count
    }
    quantiles = (
        np.quantile(lengths, list(QUANTILES.values()), method="inverted_cdf").tolist() if len(rows) else []
    )
    return {
        "documents": len(rows),
        "bytes": int(sizes.sum()),
        "characters": int(lengths.sum()),
        "words": words,
        "lengths": dict(zip(QUANTILES, map(int, quantiles), strict=False)),
        "scripts": dict(sorted(shares.items(), key=lambda item: -item[1])),
    }


def describe_lengths(lengths: Mapping[str, int]) -> str:
    """A profile's lengths for people; empty where there are no documents."""
    if not lengths:
        return ""
    return f"{lengths['median']:,} (p5 {lengths['p5']:,}, p95 {lengths['p95']:,}, max {lengths['max']:,})"


def describe_scripts(scripts: Mapping[str, float]) -> str:
    """A profile's most frequent scripts for people, with their shares of the letters."""
    shown = [(name, share) for name, share in scripts.items() if share >= _LEAST_SHARE][:_SHOWN_SCRIPTS]
    return "  ".join(f"{name} {share:.1%}" for name, share in shown)


def _count_words(kinds: np.ndarray) -> int:
    ideographs = kinds == IDEOGRAPHIC
    inside = (kinds != SEPARATOR) & ~ideographs
    return int(ideographs.sum()) + int((inside[1:] & ~inside[:-1]).sum()) + int(inside[0])


def _find_scripts(codes: np.ndarray) -> np.ndarray:
    """uint8: each character's script, a place in `_NAMES`; 0 of what is no letter."""
    if codes.dtype == np.uint8:  # of ASCII
        return _build_table(0x80)[codes]
    table = _build_table(_TABLE_END)
    if int(codes.max()) < _TABLE_END:
        return table[codes]
    found = table[np.minimum(codes, _TABLE_END - 1)]
    found[codes >= _TABLE_END] = 0
    found[(codes >= _TABLE_END) & (codes <= _LAST_IDEOGRAPH)] = _HAN
    return found


@functools.cache
def _build_table(end: int) -> np.ndarray:
    """uint8 (end,): the script of each code point below."""
    table = np.zeros(end, np.uint8)
    for code in range(end):
        character = chr(code)
        if unicodedata.category(character)[0] == "L":
            name = unicodedata.name(character, "")
            for width in _WIDTHS:
                name = name.removeprefix(width)
            script = _SCRIPTS.get(name.partition(" ")[0])
            table[code] = _NAMES.index(script) if script else _OTHER
    return table
