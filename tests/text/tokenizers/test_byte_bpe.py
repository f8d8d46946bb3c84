"""Byte-level BPE in core ops gives the ids of Hugging Face's `tokenizers` on anything, and every text back."""

from __future__ import annotations

import pytest
import tensorflow as tf
from bpe_oracle import CHOSEN, SENTENCES, TEXTS, load_reference, train_bpe
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_oracle import describe_differences, encode_with_reference, real_lines

from kerasft.text.tokenizers.base import ABSENT
from kerasft.text.tokenizers.bpe_files import read_byte_bpe
from kerasft.text.tokenizers.bpe_vocabulary import ByteBpeVocabulary
from kerasft.text.tokenizers.byte_bpe import ByteBpe
from kerasft.text.tokenizers.patterns import CODE_POINTS, PATTERNS

SCALAR_VALUES = [chr(c) for c in range(CODE_POINTS) if not 0xD800 <= c <= 0xDFFF]


@pytest.fixture(scope="module", params=PATTERNS)
def pair(request, tmp_path_factory):
    folder = train_bpe(tmp_path_factory.mktemp("bpe") / request.param, request.param)
    return ByteBpe(read_byte_bpe(folder)), load_reference(folder)


def assert_same(pair, texts: list[str]) -> None:
    ids = pair[0].tokenize(tf.constant(texts, tf.string, shape=[len(texts)]))
    theirs = encode_with_reference(pair[1], texts)
    assert ids.to_list() == theirs, describe_differences(texts, ids.to_list(), theirs)
    assert pair[0].decode(ids).numpy().tolist() == [text.encode("utf-8") for text in texts]


def test_chosen_texts_give_the_ids_of_tokenizers_and_come_back(pair) -> None:
    assert_same(pair, CHOSEN + SENTENCES)


@given(texts=st.lists(TEXTS, min_size=8, max_size=32))
@settings(max_examples=25, deadline=None)
def test_any_text_gives_the_ids_of_tokenizers_and_comes_back(pair, texts) -> None:
    assert_same(pair, texts)


@pytest.mark.slow
@given(texts=st.lists(TEXTS, min_size=20, max_size=20))
@settings(max_examples=500, deadline=None)
def test_ten_thousand_texts_give_the_ids_of_tokenizers_and_come_back(pair, texts) -> None:
    assert_same(pair, texts)


@pytest.mark.slow
@pytest.mark.parametrize("frame", ["{}", "a{}b", " {} ", "'{}", "1{}\n"])
def test_every_code_point_gives_the_ids_of_tokenizers_and_comes_back(pair, frame) -> None:
    texts = [frame.format(character) for character in SCALAR_VALUES]
    for start in range(0, len(texts), 50_000):
        assert_same(pair, texts[start : start + 50_000])


def test_every_code_point_of_a_share_gives_the_ids_of_tokenizers(pair) -> None:
    words = ["a" + "b'".join(SCALAR_VALUES[start : start + 64]) for start in range(0, 0x3000, 64)]
    words += ["x".join(SCALAR_VALUES[start::7001]) for start in range(0, 7001, 700)]
    assert_same(pair, words)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sst2", "wnut17", "cluener", "lm"])
def test_every_line_of_real_data_gives_the_ids_of_tokenizers_and_comes_back(pair, name) -> None:
    lines = real_lines(name)
    for start in range(0, len(lines), 10_000):
        assert_same(pair, lines[start : start + 10_000])


@given(texts=st.lists(st.binary(max_size=20), min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_bytes_that_are_not_utf_8_become_the_replacement_character(pair, texts) -> None:
    found = [text.decode("utf-8") for text in pair[0].decode(pair[0].tokenize(texts)).numpy()]
    for text, back in zip(texts, found, strict=True):
        expected = text.decode("utf-8", errors="replace")
        assert back.replace("\ufffd", "") == expected.replace("\ufffd", "")
        assert ("\ufffd" in back) is ("\ufffd" in expected)


def test_tokens_joined_one_by_one_are_the_text(pair) -> None:
    text = "".join(SENTENCES)
    ids = pair[0].tokenize([text])[0]
    pieces = [pair[0].spell(one).numpy() for one in ids]
    assert b"".join(pieces).decode("utf-8") == text
    assert pair[0].spell(tf.reshape(ids[:4], [2, 2])).shape == (2, 2)


def test_special_tokens_leave_nothing(pair) -> None:
    ids = pair[0].tokenize(["keeper"]).to_list()[0]
    end = pair[0].special_ids.end
    assert pair[0].decode([[end, *ids, end], []]).numpy().tolist() == [b"keeper", b""]


def test_special_ids_are_those_of_a_language_model(pair) -> None:
    special = pair[0].special_ids
    assert (special.end, special.begin, special.padding) == (0, 0, 0)
    assert special.cls == special.separator == special.mask == special.unknown == ABSENT
    encoded = pair[0].encode(tf.constant(["the keeper counted", "a"]), 3)
    assert encoded["token_ids"].shape == (2, 3)
    assert encoded["padding_mask"].numpy().tolist()[1] == [1, 0, 0]


def test_a_batch_of_no_texts_gives_nothing(pair) -> None:
    assert pair[0].tokenize(tf.constant([], tf.string)).to_list() == []
    assert pair[0].decode(pair[0].tokenize(tf.constant([], tf.string))).shape == (0,)


def build_small(merges: list[tuple[bytes, bytes]], **settings) -> ByteBpeVocabulary:
    """All bytes, and what merges give."""
    tokens = [bytes([byte]) for byte in range(256)]
    for first, second in merges:
        if first + second not in tokens:
            tokens.append(first + second)
    return ByteBpeVocabulary(
        tuple(tokens), tuple((tokens.index(a), tokens.index(b)) for a, b in merges), **settings
    )


def test_a_merge_whose_result_an_earlier_one_uses_is_applied_place_by_place() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    # "cd" comes third, but first of all "abcd" is made of it, where "ab" stands before.
    merges = [(b"cd", b"a"), (b"b", b"cd"), (b"c", b"d"), (b"a", b"b"), (b"cd", b"c")]
    vocabulary = build_small(merges)
    assert not vocabulary.is_safe.all()
    names = pre_tokenizers.ByteLevel.alphabet()
    assert {"a", "b", "c", "d"} <= set(names)
    ids = {token.decode("latin-1"): place for place, token in enumerate(vocabulary.tokens)}
    model = models.BPE(ids, [(a.decode(), b.decode()) for a, b in merges])
    reference = Tokenizer(model)
    texts = ["abcd", "bcdcda", "cdcdcd", "abcdabcdcd", "cdabcdacdb", "bcdbcd" * 4, "dcdcacdbcd"]
    texts += ["".join("abcd"[(n >> 2 * k) & 3] for k in range(7)) for n in range(0, 4**7, 11)]
    assert ByteBpe(vocabulary).tokenize(texts).to_list() == encode_with_reference(reference, texts)


def test_a_word_that_is_a_token_is_not_merged_where_merges_are_ignored() -> None:
    merges = [(b"b", b"c"), (b"a", b"b"), (b"ab", b"c")]
    for ignores, expected in ((True, [b"abc"]), (False, [b"a", b"bc"])):
        vocabulary = build_small(merges, ignores_merges=ignores)
        ids = ByteBpe(vocabulary).tokenize(["abc"]).to_list()[0]
        assert [vocabulary.tokens[i] for i in ids] == expected


def test_a_very_long_word_is_merged() -> None:
    tokenizer = ByteBpe(build_small([(b"a", b"a"), (b"aa", b"aa")]))
    assert tokenizer.tokenize(["a" * 4001]).row_lengths().numpy().tolist() == [1001]
