"""The table of pairs finds what a dictionary does, and the patterns' table of kinds is as `tokenizers` sees Unicode."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import __version__ as tokenizers_version

from kerasft.text.tokenizers.pair_table import build_pair_table
from kerasft.text.tokenizers.patterns import CODE_POINTS, Kind, load_kinds, table_path

SIZE = 12


@given(pairs=st.sets(st.tuples(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1))))
@settings(max_examples=100, deadline=None)
def test_each_pair_is_found_and_no_other(pairs) -> None:
    listed = sorted(pairs, key=hash)
    table = build_pair_table(np.array(listed, np.int64).reshape(-1, 2), SIZE)
    expected = {pair: place for place, pair in enumerate(listed)}
    for first in range(SIZE):
        for second in range(SIZE):
            slot = table.base[first] + second
            found = table.pair[slot] if table.owner[slot] == first else None
            assert found == expected.get((first, second))


def test_the_frozen_table_was_made_with_the_version_of_tokenizers_it_is_tested_with() -> None:
    with np.load(table_path(), allow_pickle=False) as table:
        made_with = str(table["tokenizers_version"])
    assert made_with.split(".")[:2] == tokenizers_version.split(".")[:2]


def test_every_code_point_has_a_kind() -> None:
    kinds = load_kinds()
    assert kinds.shape == (CODE_POINTS,)
    known = {"a": Kind.LETTER, "中": Kind.LETTER, "5": Kind.NUMBER, "½": Kind.NUMBER, "\u3000": Kind.SPACE}
    known |= {"'": Kind.OTHER, "\u0301": Kind.OTHER, "🚢": Kind.OTHER, "\U00011de3": Kind.DIGIT_ONLY}
    assert {character: Kind(kinds[ord(character)]) for character in known} == known
