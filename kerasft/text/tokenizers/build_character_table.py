"""Writes character_table.npz: what BERT's normalisation does to each of Unicode's code points, asked of `tokenizers`.

    python -m kerasft.text.tokenizers.build_character_table

The table is frozen data, so that neither Python's Unicode version nor TensorFlow's ICU decides how a text is split:
only the version of `tokenizers` it was made with does, and that is recorded in the table.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.files import whole_file
from kerasft.text.tokenizers.character_table import BLOCKER, CODE_POINTS, Kind, describe_variant, table_path


class _Normaliser:
    """`tokenizers`' own rules, one at a time."""

    def __init__(self) -> None:
        from tokenizers import normalizers, pre_tokenizers

        def bert(**rules: bool):
            off = {
                "clean_text": False,
                "handle_chinese_chars": False,
                "strip_accents": False,
                "lowercase": False,
            }
            return normalizers.BertNormalizer(**{**off, **rules}).normalize_str

        self.clean = bert(clean_text=True)
        self.split_cjk = bert(handle_chinese_chars=True)
        self.strip_accents = bert(strip_accents=True)
        self.lowercase = bert(lowercase=True)
        self.decompose = normalizers.NFD().normalize_str
        self._pre_tokenize = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
        self._bert = normalizers.BertNormalizer
        self._punctuation: dict[str, bool] = {}

    def is_punctuation(self, character: str) -> bool:
        if character not in self._punctuation:
            words = [word for word, _ in self._pre_tokenize(f"a{character}b")]
            self._punctuation[character] = words == ["a", character, "b"]
        return self._punctuation[character]

    def is_combining(self, character: str) -> bool:
        """Whether its canonical combining class is not 0: whether decomposing can move it past another mark."""
        low, high = "\u0334", "\u0345"  # of classes 1 and 240, the ends of the scale
        swapped = self.decompose(high + character) != high + character
        return swapped or self.decompose(character + low) != character + low

    def words(self, text: str, *, lowercase: bool, strip_accents: bool) -> list[str]:
        normaliser = self._bert(lowercase=lowercase, strip_accents=strip_accents, handle_chinese_chars=False)
        return [word for word, _ in self._pre_tokenize(normaliser.normalize_str(text))]


def compute_mark_order(normaliser: _Normaliser) -> tuple[np.ndarray, np.ndarray]:
    """The combining characters that stripping keeps, and the order decomposing puts them in.

    Returns:
        int32 code points and uint8 ranks: equal ranks keep their order, lower ones move before higher ones.
    """
    kept = [
        character
        for character in map(chr, _scalar_values())
        if normaliser.decompose(character) == character
        and normaliser.is_combining(character)
        and normaliser.strip_accents(character) == character
    ]
    representatives: list[str] = []
    for character in kept:
        position = 0
        while position < len(representatives) and _moves_before(
            normaliser, representatives[position], character
        ):
            position += 1
        same = position < len(representatives) and not _moves_before(
            normaliser, character, representatives[position]
        )
        if not same:
            representatives.insert(position, character)
    ranks = [
        1 + sum(_moves_before(normaliser, other, character) for other in representatives)
        for character in kept
    ]
    return np.array([ord(c) for c in kept], np.int32), np.array(ranks, np.uint8)


def _moves_before(normaliser: _Normaliser, first: str, second: str) -> bool:
    return normaliser.decompose(second + first) == first + second and first != second


def _scalar_values() -> chain[int]:
    return chain(range(0xD800), range(0xE000, CODE_POINTS))


def compute_variant(
    normaliser: _Normaliser, *, lowercase: bool, strip_accents: bool
) -> tuple[np.ndarray, dict[int, list[int]]]:
    """For one setting of the normaliser: each code point's kind, and the sequences of those that are mapped."""
    kinds = np.full(CODE_POINTS, Kind.DROP, np.uint8)
    mapped: dict[int, list[int]] = {}
    for code_point in _scalar_values():
        character = chr(code_point)
        cleaned = normaliser.clean(character)
        if cleaned == " ":
            kinds[code_point] = Kind.SEPARATOR
        elif cleaned == character:
            sequence = _compute_sequence(normaliser, character, lowercase, strip_accents)
            cjk = normaliser.split_cjk(character) != character
            kinds[code_point] = _classify(code_point, sequence, cjk)
            if kinds[code_point] in (Kind.MAPPED, Kind.MAPPED_CJK):
                mapped[code_point] = sequence
            spelled = "".join(chr(c) for c in sequence if c != BLOCKER).split()
            if spelled != normaliser.words(character, lowercase=lowercase, strip_accents=strip_accents):
                raise AssertionError(
                    f"U+{code_point:04X}: the rules one by one do not give the whole's words."
                )
    return kinds, mapped


def _compute_sequence(
    normaliser: _Normaliser, character: str, lowercase: bool, strip_accents: bool
) -> list[int]:
    sequence: list[int] = []
    for part in normaliser.decompose(character) if strip_accents else character:
        if strip_accents and normaliser.strip_accents(part) == "":
            if not normaliser.is_combining(part):
                sequence.append(BLOCKER)
            continue
        for output in normaliser.lowercase(part) if lowercase else part:
            spaced = f" {output} " if normaliser.is_punctuation(output) else output
            sequence.extend(map(ord, spaced))
    return sequence


def _classify(code_point: int, sequence: list[int], cjk: bool) -> Kind:
    if sequence == [code_point]:
        return Kind.CJK if cjk else Kind.KEEP
    if sequence == [ord(" "), code_point, ord(" ")]:
        return Kind.PUNCTUATION
    if sequence == [BLOCKER]:
        return Kind.BLOCKER
    if not sequence:
        return Kind.DROP
    return Kind.MAPPED_CJK if cjk else Kind.MAPPED


def build_character_table() -> dict[str, Any]:
    """The arrays of character_table.npz; takes about a minute."""
    import tokenizers

    normaliser = _Normaliser()
    marks, mark_ranks = compute_mark_order(normaliser)
    table: dict[str, Any] = {
        "tokenizers_version": np.array(tokenizers.__version__),
        "marks": marks,
        "mark_ranks": mark_ranks,
    }
    for lowercase in (False, True):
        for strip_accents in (False, True):
            name = describe_variant(lowercase, strip_accents)
            kinds, mapped = compute_variant(normaliser, lowercase=lowercase, strip_accents=strip_accents)
            table[f"{name}.kinds"] = kinds
            table[f"{name}.mapped"] = np.array(list(mapped), np.int32)
            table[f"{name}.lengths"] = np.array([len(s) for s in mapped.values()], np.uint8)
            table[f"{name}.sequences"] = np.array(list(chain.from_iterable(mapped.values())), np.int32)
    return table


def main(path: Path | None = None) -> Path:
    """Writes the table beside this module, or at `path`."""
    path = table_path() if path is None else path
    table = build_character_table()
    with whole_file(path) as temporary:
        np.savez_compressed(temporary, **table)
    return path


if __name__ == "__main__":
    main()
