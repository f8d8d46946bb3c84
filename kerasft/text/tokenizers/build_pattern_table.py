"""Writes pattern_table.npz: the kind of each of Unicode's code points in the patterns of byte-level BPE.

    python -m kerasft.text.tokenizers.build_pattern_table

It asks `tokenizers`, whose regular expressions the patterns are written for. The table is frozen data, so that neither
Python's Unicode version nor TensorFlow's decides how a text is split.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kerasft.files import whole_file
from kerasft.text.tokenizers.patterns import CODE_POINTS, Kind, table_path

_MARK = "\x01"


def compute_kinds() -> np.ndarray:
    """uint8 (0x110000,), a `Kind` for each code point; OTHER for halves of surrogate pairs."""
    from tokenizers import Regex, normalizers, pre_tokenizers

    scalars = [c for c in range(CODE_POINTS) if not 0xD800 <= c <= 0xDFFF and c != ord(_MARK)]
    text = "".join(map(chr, scalars))
    kinds = np.full(CODE_POINTS, Kind.OTHER, np.uint8)
    split = pre_tokenizers.Digits(individual_digits=True).pre_tokenize_str
    kinds[[c for c in scalars if len(split(f"a{chr(c)}b")) == 3]] = Kind.DIGIT_ONLY
    for kind, expression in ((Kind.LETTER, r"\p{L}"), (Kind.NUMBER, r"\p{N}"), (Kind.SPACE, r"\s")):
        marked = normalizers.Replace(Regex(expression), _MARK).normalize_str(text)
        found = [c for c, character in zip(scalars, marked, strict=True) if character == _MARK]
        if kind is Kind.NUMBER and not all(kinds[found] == Kind.DIGIT_ONLY):
            raise AssertionError("Some number is not a digit to the rule that isolates digits.")
        kinds[found] = kind
    return kinds


def build_pattern_table() -> dict[str, Any]:
    """The arrays of pattern_table.npz: where runs of one kind start, and their kinds; takes some seconds."""
    import tokenizers

    kinds = compute_kinds()
    starts = np.flatnonzero(np.diff(kinds, prepend=kinds[:1] + 1))
    return {
        "tokenizers_version": np.array(tokenizers.__version__),
        "starts": starts.astype(np.int32),
        "kinds": kinds[starts],
    }


def main(path: Path | None = None) -> Path:
    """Writes the table beside this module, or at `path`."""
    path = table_path() if path is None else path
    table = build_pattern_table()
    with whole_file(path) as temporary:
        np.savez_compressed(temporary, **table)
    return path


if __name__ == "__main__":
    main()
