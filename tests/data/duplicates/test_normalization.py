"""Normalised texts, and the keys by which equal ones are found."""

import itertools
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.data.duplicates.normalization import compute_keys, normalize_texts

texts = st.text(
    st.characters(exclude_categories=["Cs", "Cn", "Co"], exclude_characters="\0"), min_size=1, max_size=40
)


def normalize(*given):
    codes, kinds, starts = normalize_texts(given)
    assert len(codes) == len(kinds) == starts[-1]
    return ["".join(map(chr, codes[start:end])) for start, end in itertools.pairwise(starts)]


def normalize_slowly(text):
    """The same, by the book, one character after the other."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())

    def is_word(character):
        category = unicodedata.category(character)
        return ord(character) < 0x40000 and (category[0] in "LMN" or category in ("Sc", "Sm", "So"))

    def is_ideograph(character):
        name = unicodedata.name(character, "")
        return (
            name.startswith(("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH", "CJK RADICAL"))
            or character in "々〆〇"
        )

    if not any(map(is_word, text)):
        return text
    out = ""
    gap = False
    for character in text:
        if not is_word(character):
            gap = True
            continue
        if gap and out and not is_ideograph(character) and not is_ideograph(out[-1]):
            out += " "
        out += character
        gap = False
    return out


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("Hello,   World!!", "hello world"),
        ("  -- hello\tworld --", "hello world"),
        ("STRASSE straße", "strasse strasse"),
        ("ＦＵＬＬ １２", "full 12"),
        ("e\u0301te\u0301", "été"),
        ("你好， 世界！", "你好世界"),
        ("我用 Keras 训练", "我用keras训练"),
        ("한국어 문장", "한국어 문장"),
        ("so 😀 5€", "so 😀 5€"),
        ("?!", "?!"),
    ],
)
def test_case_space_punctuation_and_width_do_not_matter(text, normalized):
    assert normalize(text) == [normalized]


def test_each_text_of_a_batch_is_itself():
    batch = ["a b", "...", "你好", "C", "!", "d,e"]
    assert normalize(*batch) == ["a b", "...", "你好", "c", "!", "d e"]


@settings(max_examples=100, deadline=None)
@given(st.lists(texts, min_size=1, max_size=6))
def test_batches_equal_the_plain_definition(batch):
    assert normalize(*batch) == [normalize_slowly(text) for text in batch]


def test_keys_are_equal_where_normalised_texts_are():
    keys = compute_keys(
        normalize_texts(["Good film!", "good  film", "good films", "GOOD FILM.", "你好", "你好。"])
    )
    assert keys.dtype == np.uint64
    assert keys[0] == keys[1] == keys[3]
    assert keys[4] == keys[5]
    assert len(set(keys.tolist())) == 3
