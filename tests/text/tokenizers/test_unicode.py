"""Every code point of Unicode is normalised and split as `tokenizers` does it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from tokenizer_oracle import (
    VARIANTS,
    build_reference,
    build_vocabulary,
    describe_differences,
    encode_with_reference,
)
from tokenizers import __version__ as tokenizers_version
from tokenizers.normalizers import BertNormalizer

from kerasft.text.tokenizers.character_table import (
    CODE_POINTS,
    LENGTH_BITS,
    describe_variant,
    load_character_table,
    table_path,
)
from kerasft.text.tokenizers.wordpiece import WordPiece

SCALAR_VALUES = [chr(c) for c in range(CODE_POINTS) if not 0xD800 <= c <= 0xDFFF]
CHUNK = 512


@cache
def outputs_of_other_characters(lowercase: bool, strip_accents: bool) -> str:
    """Each character that normalising makes of another one: a wrong mapping shows as a wrong id or as unknown."""
    normaliser = BertNormalizer(lowercase=lowercase, strip_accents=strip_accents)
    outputs = {
        part
        for character in SCALAR_VALUES
        for part in normaliser.normalize_str(character)
        if part != character
    }
    return "".join(sorted(outputs - {" "}))


def chunk(frame: str) -> list[str]:
    words = [frame.format(character) for character in SCALAR_VALUES]
    return [" ".join(words[start : start + CHUNK]) for start in range(0, len(words), CHUNK)]


FRAMES = {"alone": "{}", "between letters": "a{}b"}
# One of the eight runs is fast enough for every day.
EVERY_DAY = ("between letters", True, True)
RUNS = [(frame, *variant) for frame in FRAMES for variant in VARIANTS]


@pytest.mark.parametrize(
    ("frame", "lowercase", "strip_accents"),
    [pytest.param(*run, marks=[] if run == EVERY_DAY else pytest.mark.slow) for run in RUNS],
)
def test_every_code_point_gives_the_ids_of_tokenizers(frame, lowercase, strip_accents):
    outputs = outputs_of_other_characters(lowercase, strip_accents)
    characters = "ab" + outputs + "".join(map(chr, range(33, 127)))
    vocabulary = build_vocabulary(characters, "ab", lowercase=lowercase, strip_accents=strip_accents)
    texts = chunk(FRAMES[frame])
    ours = WordPiece(vocabulary).tokenize(tf.constant(texts)).to_list()
    theirs = encode_with_reference(build_reference(vocabulary), texts)
    assert ours == theirs, describe_differences(texts, ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize(("lowercase", "strip_accents"), [(True, True), (False, False)])
def test_every_code_point_gives_the_ids_of_tokenizers_where_ideographs_are_not_split(
    lowercase, strip_accents
):
    characters = "ab" + outputs_of_other_characters(lowercase, strip_accents)
    vocabulary = build_vocabulary(characters, "ab", lowercase=lowercase, strip_accents=strip_accents)
    vocabulary = replace(vocabulary, split_cjk=False)
    texts = chunk("a{}b")
    ours = WordPiece(vocabulary).tokenize(tf.constant(texts)).to_list()
    theirs = encode_with_reference(build_reference(vocabulary), texts)
    assert ours == theirs, describe_differences(texts, ours, theirs)


def test_the_frozen_table_was_made_with_the_version_of_tokenizers_it_is_tested_with():
    with np.load(table_path(), allow_pickle=False) as table:
        made_with = str(table["tokenizers_version"])
    assert made_with.split(".")[:2] == tokenizers_version.split(".")[:2]


@pytest.mark.parametrize(("lowercase", "strip_accents"), VARIANTS)
def test_mapped_code_points_are_ascending_and_their_sequences_whole(lowercase, strip_accents):
    table = load_character_table(lowercase, strip_accents)
    assert table.kinds.shape == (CODE_POINTS,), describe_variant(lowercase, strip_accents)
    assert np.all(np.diff(table.mapped) > 0)
    assert int(table.lengths.sum()) == len(table.sequences)
    # An ideograph's sequence gains a separator at either end, and its length must fit beside its place.
    assert int(table.lengths.max(initial=0)) + 2 < 2**LENGTH_BITS
