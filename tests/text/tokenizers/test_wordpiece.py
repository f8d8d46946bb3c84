"""The tokenizer in core ops gives the ids of Hugging Face's `tokenizers`, on anything."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_oracle import (
    VARIANTS,
    build_reference,
    build_vocabulary,
    describe_differences,
    encode_with_reference,
)

from kerasft.text.tokenizers.vocabulary import WordPieceVocabulary
from kerasft.text.tokenizers.wordpiece import WordPiece

LETTERS = "abcdefghinorstuxyzABÀÉÖñéäßıİïſøΣσςиЙй"
# Marks of classes 224, 216, 226 and 9 that stripping keeps, one of class 0 that it drops, and one of class 230.
MARKS = "\u302e\u302f\U0001d165\U0001d16d\ua953\u0903\u0301\u0328\u034f"
OTHERS = "中国金\uf900가각각。、！-_.'’…[]#½①ﬁǅ\u200d👩💻❤☺"
WORDS = (
    "the",
    "##ing",
    "##ab",
    "abc",
    "un",
    "##aff",
    "##able",
    "ab",
    "##c##",
    "[SEP",
    "...",
    "a b",
    "zz中",
    "ǆ",
)
SPACES = " \t\n\r\u00a0\u2003\u3000\u200b\ufeff\u0000\ufffd\u0085\u2028\u00ad"

TEXTS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=LETTERS + MARKS + OTHERS + SPACES, max_size=40),
    st.text(alphabet="abcun" + MARKS, max_size=12),
    st.text(alphabet=st.characters(categories=("Mn", "Mc", "Me", "Cf", "Zs", "Po", "Lo")), max_size=30),
    st.lists(
        st.sampled_from(["abc", "unaffable", "the", "abing", "x", "[SEP]", "[MASK]", "zz", "a" * 101]),
        max_size=6,
    ).map(" ".join),
)


def small_vocabulary(lowercase: bool, strip_accents: bool) -> WordPieceVocabulary:
    characters = LETTERS + MARKS + OTHERS
    return build_vocabulary(characters, *WORDS, lowercase=lowercase, strip_accents=strip_accents)


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda v: f"lower={v[0]}-strip={v[1]}")
def pair(request):
    vocabulary = small_vocabulary(*request.param)
    return WordPiece(vocabulary), build_reference(vocabulary)


@pytest.fixture(scope="module")
def uncased():
    vocabulary = small_vocabulary(True, True)
    return WordPiece(vocabulary), vocabulary


def assert_same(pair, texts: list[str]) -> None:
    ours = pair[0].tokenize(tf.constant(texts, tf.string, shape=[len(texts)])).to_list()
    theirs = encode_with_reference(pair[1], texts)
    assert ours == theirs, describe_differences(texts, ours, theirs)


@given(texts=st.lists(TEXTS, min_size=8, max_size=32))
@settings(max_examples=15, deadline=None)
def test_any_text_gives_the_ids_of_tokenizers(pair, texts):
    assert_same(pair, texts)


@pytest.mark.slow
@given(texts=st.lists(TEXTS, min_size=20, max_size=20))
@settings(max_examples=500, deadline=None)
def test_ten_thousand_texts_give_the_ids_of_tokenizers(pair, texts):
    assert_same(pair, texts)


@pytest.mark.parametrize(
    "texts",
    [
        ["unaffable abcing the", "abab", "abx", "THE Abc"],
        ["", " ", "\t\n\u3000", "\u0000\ufffd\u200b\ufeff", "a\u0000b", "\ufeffthe"],
        ["[SEP] [MASK] [CLS][UNK]", "[SEP]", "a[SEP]b"],
        ["a" * 100, "a" * 101, "é" * 100, "e\u0301" * 100, "İ" * 100, "a" * 100 + " b", "ß" * 101 + "-a"],
        ["中国a中", "\uf900", "가각", "👩\u200d💻 ❤\ufe0f", "a。b、c！", "don’t…", "½①ﬁǅ"],
        [
            "a\u0301\u302e",
            "a\U0001d165\u302e\U0001d16d",
            "a\U0001d16d\u302e",
            "a\u302e\ua953",
            "a\u302e\u034f\ua953",
        ],
        ["ΣΣ", "Σ", "ΑΣ σς", "İstanbul ıı", "ſ", "Йй"],
    ],
    ids=["pieces", "nothing", "special tokens", "long words", "scripts", "order of marks", "case"],
)
def test_chosen_texts_give_the_ids_of_tokenizers(pair, texts):
    assert_same(pair, texts)


def test_marks_are_put_in_order_only_where_the_vocabulary_can_tell():
    plain = build_vocabulary("abc", lowercase=True, strip_accents=True)
    marked = small_vocabulary(True, True)
    ids = WordPiece(marked).tokenize(["a\u302e\ua953", "a\ua953\u302e"]).to_list()
    assert ids[0] == ids[1]
    assert len(ids[0]) == 3
    assert WordPiece(plain)._mark_ranks is None


def test_special_tokens_in_a_text_stay_text(uncased):
    tokenizer, vocabulary = uncased
    ids = tokenizer.tokenize(["the [SEP] the [MASK]"]).to_list()[0]
    assert not set(ids) & {vocabulary.separator_id, vocabulary.mask_id, vocabulary.cls_id}


@given(
    texts=st.lists(st.one_of(st.binary(max_size=20), TEXTS.map(lambda t: t.encode("utf-8")[1:])), max_size=8)
)
@settings(max_examples=100, deadline=None)
def test_bytes_that_are_not_utf_8_are_dropped(uncased, texts):
    tokenizer, vocabulary = uncased
    ours = tokenizer.tokenize(tf.constant(texts, tf.string, shape=[len(texts)])).to_list()
    decoded = [text.decode("utf-8", errors="replace") for text in texts]
    assert ours == encode_with_reference(build_reference(vocabulary), decoded)


def test_a_batch_of_no_texts_gives_empty_arrays(uncased):
    tokenizer, _ = uncased
    nothing = tf.constant([], tf.string)
    assert tokenizer.tokenize(nothing).to_list() == []
    assert tokenizer.encode_ragged(nothing, 8).to_list() == []
    for array in tokenizer.encode(nothing, 8).values():
        assert (array.shape[0], array.dtype) == (0, tf.int32)


@given(texts=st.lists(TEXTS, min_size=1, max_size=6), max_length=st.integers(2, 30))
@settings(max_examples=60, deadline=None)
def test_encoding_truncates_frames_and_pads_as_tokenizers_does(uncased, texts, max_length):
    tokenizer, vocabulary = uncased
    encoded = tokenizer.encode(tf.constant(texts), max_length)
    framed = [
        [vocabulary.cls_id, *ids[: max_length - 2], vocabulary.separator_id]
        for ids in encode_with_reference(build_reference(vocabulary), texts)
    ]
    longest = max(map(len, framed))
    tokens = [ids + [vocabulary.padding_id] * (longest - len(ids)) for ids in framed]
    mask = [[1] * len(ids) + [0] * (longest - len(ids)) for ids in framed]
    np.testing.assert_array_equal(encoded["token_ids"], tokens)
    np.testing.assert_array_equal(encoded["padding_mask"], mask)
    np.testing.assert_array_equal(encoded["segment_ids"], np.zeros_like(tokens))
    assert tokenizer.encode_ragged(tf.constant(texts), max_length).to_list() == framed


def test_a_max_length_without_room_for_the_frame_is_refused(uncased):
    with pytest.raises(ValueError, match="at least 2"):
        uncased[0].encode(tf.constant(["the"]), 1)


def test_a_very_long_text_is_cut_without_looking_it_all_up(uncased):
    tokenizer, vocabulary = uncased
    text = "unaffable the abcing. " * 10_000
    assert tokenizer.encode(tf.constant([text]), 64)["token_ids"].shape == (1, 64)
    whole = tokenizer.tokenize(tf.constant([text])).to_list()[0]
    assert whole == encode_with_reference(build_reference(vocabulary), [text])[0]


def test_other_continuations_unknown_tokens_and_limits_are_followed():
    pieces = ("<s>", "</s>", "<unk>", "<pad>", "<mask>", "ab", "_c", "_ab", "a", "_b")
    vocabulary = WordPieceVocabulary(
        pieces, False, False, True, "<unk>", "<s>", "</s>", "<pad>", "<mask>", "_", max_characters_per_word=4
    )
    texts = ["abc", "ababc", "abab", "ab_c", "_ab", "abb", "<s>"]
    assert_same((WordPiece(vocabulary), build_reference(vocabulary)), texts)


def test_ideographs_stay_together_where_they_are_not_split():
    vocabulary = WordPieceVocabulary(
        ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "中国", "中", "##国", "a", "##中"),
        True,
        True,
        split_cjk=False,
    )
    assert_same((WordPiece(vocabulary), build_reference(vocabulary)), ["中国 中 a中国", "国", "中\u0301国"])


def test_decoding_joins_words_with_single_spaces(uncased):
    tokenizer = uncased[0]
    ids = tokenizer.tokenize(["Unaffable  THE...the", "", "the 東"])
    assert tokenizer.decode(ids).numpy().tolist() == [b"unaffable the . . . the", b"", b"the [UNK]"]
    framed = tokenizer.encode(tf.constant(["the abc"]), 8)["token_ids"]
    assert tokenizer.decode(framed).numpy().tolist() == [b"the abc"]
    assert tokenizer.spell(ids)[0].numpy().tolist()[:3] == [b" un", b"aff", b"able"]


@given(words=st.lists(st.lists(st.sampled_from([*"abc", "##a", "##b", "##able"]), min_size=1), max_size=5))
@settings(max_examples=30, deadline=None)
def test_decoding_gives_the_text_of_tokenizers(uncased, words):
    from tokenizers.decoders import WordPiece as Decoder

    tokenizer, vocabulary = uncased
    pieces = [piece for word in words for piece in ["the", *word]]
    ids = [vocabulary.index.get(piece, vocabulary.unknown_id) for piece in pieces]
    expected = Decoder(cleanup=False).decode([vocabulary.pieces[place] for place in ids])
    assert tokenizer.decode([ids]).numpy()[0].decode() == expected
