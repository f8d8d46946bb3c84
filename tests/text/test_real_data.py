"""Real vocabularies on real texts: the ids of `tokenizers` on every line."""

from __future__ import annotations

import pytest
import tensorflow as tf
from tokenizer_oracle import (
    assert_offsets_of_tokenizers,
    build_reference,
    describe_differences,
    encode_with_reference,
    real_lines,
    real_vocabulary,
)

from kerasft.text.encoding import UnitEncoder
from kerasft.text.spans.units import UnitTokenizer
from kerasft.text.tokenizers.wordpiece import WordPiece


@pytest.mark.slow
@pytest.mark.parametrize("vocabulary", ["bert_uncased.txt", "bert_chinese.txt"])
@pytest.mark.parametrize("lowercase", [True, False], ids=["uncased", "cased"])
def test_every_line_gives_the_ids_of_tokenizers(vocabulary, lowercase, record_property):
    settings = real_vocabulary(vocabulary, lowercase=lowercase)
    ours, theirs = WordPiece(settings), build_reference(settings)
    for name in ("sst2", "wnut17", "cluener", "lm"):
        lines = real_lines(name)
        record_property(name, len(lines))
        for start in range(0, len(lines), 2_000):
            batch = lines[start : start + 2_000]
            got = ours.tokenize(tf.constant(batch)).to_list()
            expected = encode_with_reference(theirs, batch)
            assert got == expected, describe_differences(batch, got, expected)


@pytest.mark.parametrize("vocabulary", ["bert_uncased.txt", "bert_chinese.txt"])
def test_some_lines_give_the_ids_of_tokenizers(vocabulary):
    settings = real_vocabulary(vocabulary, lowercase=True)
    lines = [line for name in ("sst2", "wnut17", "cluener", "lm") for line in real_lines(name)[::97]]
    got = WordPiece(settings).tokenize(tf.constant(lines)).to_list()
    expected = encode_with_reference(build_reference(settings), lines)
    assert got == expected, describe_differences(lines, got, expected)


@pytest.mark.slow
@pytest.mark.parametrize("vocabulary", ["bert_uncased.txt", "bert_chinese.txt"])
def test_the_units_of_every_line_stand_where_tokenizers_finds_them(vocabulary):
    settings = real_vocabulary(vocabulary, lowercase=True)
    encoder = UnitEncoder(UnitTokenizer(settings))
    for name in ("wnut17", "cluener"):
        assert_offsets_of_tokenizers(settings, encoder, real_lines(name))
