"""Units stand where the user wrote them: in characters and in bytes, as `tokenizers` finds words."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_oracle import VARIANTS, assert_offsets_of_tokenizers, build_vocabulary, removed_by

from kerasft.text.encoding import UnitEncoder
from kerasft.text.spans.units import REMOVED_SPACES, UnitTokenizer
from kerasft.text.spans.windows import cut_windows
from kerasft.text.tokenizers.character_table import Kind, load_character_table
from kerasft.text.tokenizers.vocabulary import WordPieceVocabulary

LETTERS = "abcdefghinorstuxyzABÀÉÖñéäßıİïſøΣσςиЙйไท"
# Marks that stripping drops, and one of class 0 that it keeps.
MARKS = "\u0301\u0328\u034f\u0331\u0903\u0e31\ufe0f\U0001f3fd"
# Marks that stripping keeps and decomposing reorders, of which `tokenizers` does not tell the places rightly.
MOVED_MARKS = "\u302e\u302f\U0001d165\U0001d16d\ua953"
OTHERS = "中国金\uf900가각。、！-_.'’…[]#½①ﬁǅ\u200d👩💻❤☺\u0f93"
SPACES = " \t\n\u00a0\u3000\u200b\ufeff\u0000\u0007\ufffd\u0085\u000b\u001c\u2028\u00ad"
WORDS = ("the", "##ing", "##ab", "abc", "un", "##aff", "##able", "ab")

TEXTS = st.one_of(
    st.text(max_size=30),
    st.text(alphabet=LETTERS + MARKS + OTHERS + SPACES, max_size=30),
    st.lists(st.sampled_from(["abc", "unaffable,", "thé", "[SEP]", "x" * 101]), max_size=5).map(" ".join),
)
ANY_TEXTS = st.one_of(TEXTS, st.text(alphabet="ab " + MARKS + MOVED_MARKS + SPACES, max_size=12))
CHOSEN = [
    "e\u0301 é, na\u0308ive-naïve",
    "👩\u200d💻 ❤\ufe0f 👍🏽 🇩🇪",
    "中国a中\u0301国",
    "İstanbul'da ıı İ",
    "ไทย ภาษาไทย",
    "a\u0000b\u0007 \u0000 c\x0b\x0cd\x85",
    "x" * 101 + " y" + "é" * 100 + " " + "e\u0301" * 101,
    "≮a≠b \u037e\u1fef",
    " \u0301a\u0301 \u0301",
]


def small_vocabulary(lowercase: bool, strip_accents: bool) -> WordPieceVocabulary:
    characters = LETTERS + MARKS + MOVED_MARKS + OTHERS
    return build_vocabulary(characters, *WORDS, lowercase=lowercase, strip_accents=strip_accents)


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda v: f"lower={v[0]}-strip={v[1]}")
def vocabulary(request):
    return small_vocabulary(*request.param)


@pytest.fixture(scope="module")
def words(vocabulary):
    return UnitEncoder(UnitTokenizer(vocabulary))


@pytest.fixture(scope="module")
def characters(vocabulary):
    return UnitEncoder(UnitTokenizer(vocabulary, split_characters=True))


@pytest.fixture(scope="module")
def uncased():
    return UnitEncoder(UnitTokenizer(small_vocabulary(True, True)))


def pieces_of(units) -> list[list[int]]:
    """Each unit's ids."""
    return [piece.tolist() for piece in np.split(units.token_ids, units.first_pieces[1:])]


def assert_units_are_sound(encoder: UnitEncoder, texts: list[str]) -> None:
    for text, units in zip(texts, encoder.encode(texts), strict=True):
        assert all(column.dtype == np.int32 for column in units)
        start, end = units.start.tolist(), units.end.tolist()
        edges = [0, *(edge for span in zip(start, end, strict=True) for edge in span), len(text)]
        assert edges == sorted(edges), ascii(text)
        assert all(first < last for first, last in zip(start, end, strict=True)), ascii(text)
        assert units.start_byte.tolist() == [len(text[:place].encode()) for place in start]
        assert units.end_byte.tolist() == [len(text[:place].encode()) for place in end]
        # What stands in a unit gives the unit's pieces, and what stands in none gives nothing.
        within = encoder.encode([text[first:last] for first, last in zip(start, end, strict=True)])
        assert [alone.token_ids.tolist() for alone in within] == (pieces_of(units) if start else []), ascii(
            text
        )
        gaps = [text[last:first] for last, first in zip([0, *end], [*start, len(text)], strict=True)]
        assert all(gap.token_ids.size == 0 for gap in encoder.encode(gaps)), ascii(text)
        # A unit begins with a character of its own and takes all that is removed after it.
        for first, last in zip(start, end, strict=True):
            assert not removed_by(encoder.tokenizer.vocabulary, text[first]), ascii(text)
            assert not any(removed_by(encoder.tokenizer.vocabulary, c) for c in text[last : last + 1]), ascii(
                text
            )


@pytest.mark.parametrize("text", CHOSEN, ids=range(len(CHOSEN)))
def test_chosen_texts_have_the_offsets_of_tokenizers(vocabulary, words, text):
    assert_offsets_of_tokenizers(vocabulary, words, [text])


@given(texts=st.lists(TEXTS, min_size=6, max_size=24))
@settings(max_examples=10, deadline=None)
def test_any_text_has_the_offsets_of_tokenizers(vocabulary, words, texts):
    assert_offsets_of_tokenizers(vocabulary, words, texts)


@given(texts=st.lists(ANY_TEXTS, min_size=3, max_size=12))
@settings(max_examples=10, deadline=None)
def test_units_are_in_order_and_hold_just_what_their_pieces_came_from(words, characters, texts):
    assert_units_are_sound(words, texts)
    assert_units_are_sound(characters, texts)


@given(texts=st.lists(ANY_TEXTS, min_size=6, max_size=24))
@settings(max_examples=10, deadline=None)
def test_units_have_the_pieces_that_tokenizing_gives(words, characters, texts):
    batch = tf.constant(texts, tf.string, shape=[len(texts)])
    assert [u.token_ids.tolist() for u in words.encode(texts)] == words.tokenizer.tokenize(batch).to_list()
    spaced = tf.constant([" ".join(text) for text in texts], tf.string, shape=[len(texts)])
    expected = words.tokenizer.tokenize(spaced).to_list()
    assert [u.token_ids.tolist() for u in characters.encode(texts)] == expected
    assert characters.tokenizer.tokenize(batch).to_list() == expected


def test_a_composed_and_a_decomposed_accent_are_covered_whole(uncased):
    units = uncased.encode(["é!", "e\u0301!", "e\u0301\u0328\u200d\x0b!"])
    assert [u.start.tolist() for u in units] == [[0, 1], [0, 2], [0, 5]]
    assert [u.end.tolist() for u in units] == [[1, 2], [2, 3], [4, 6]]
    assert [u.end_byte.tolist() for u in units] == [[2, 3], [3, 4], [8, 10]]


def test_a_word_too_long_is_one_unit_of_one_unknown_piece(uncased):
    units = uncased.encode(["ab " + "x" * 101 + " ab"])[0]
    assert units.token_ids[1] == uncased.tokenizer.vocabulary.unknown_id
    assert (units.first_pieces.tolist(), units.end.tolist()) == ([0, 1, 2], [2, 104, 107])


@pytest.mark.parametrize(("lowercase", "strip_accents"), VARIANTS)
def test_no_character_gives_parts_of_two_units(lowercase, strip_accents):
    mapped = map(chr, load_character_table(lowercase, strip_accents).mapped.tolist())
    text = "".join(f"a{character}b " for character in mapped)
    plain = build_vocabulary("abc", lowercase=lowercase, strip_accents=strip_accents)
    for split_characters in (False, True):
        units = UnitEncoder(UnitTokenizer(plain, split_characters=split_characters)).encode([text])[0]
        assert np.all(units.start[1:] >= units.end[:-1])
        assert np.all(units.end > units.start)


@pytest.mark.parametrize(("lowercase", "strip_accents"), VARIANTS)
def test_the_white_space_that_is_removed_is_known(lowercase, strip_accents):
    kinds = load_character_table(lowercase, strip_accents).kinds
    removed = np.flatnonzero((kinds == Kind.DROP) | (kinds == Kind.BLOCKER)).tolist()
    assert tuple(code for code in removed if chr(code).isspace()) == REMOVED_SPACES


@given(
    texts=st.lists(
        st.one_of(st.binary(max_size=16), TEXTS.map(lambda t: t.encode()[1:])), min_size=6, max_size=24
    )
)
@settings(max_examples=15, deadline=None)
def test_bytes_that_are_not_utf_8_count_as_python_replaces_them(uncased, texts):
    found = uncased.tokenizer.find_units(tf.constant(texts, tf.string, shape=[len(texts)]))
    decoded = [text.decode("utf-8", "replace") for text in texts]
    expected = uncased.encode(decoded)
    for name in ("token_ids", "first_pieces", "start", "end"):
        assert getattr(found, name).to_list() == [getattr(units, name).tolist() for units in expected], name
    for raw, text, units, first, last in zip(
        texts, decoded, expected, found.start_byte.to_list(), found.end_byte.to_list(), strict=True
    ):
        for start, end, start_byte, end_byte in zip(units.start, units.end, first, last, strict=True):
            assert raw[start_byte:end_byte].decode("utf-8", "replace") == text[start:end]
            assert raw[:start_byte].decode("utf-8", "replace") == text[:start]


def test_many_texts_are_encoded_as_one_by_one(uncased):
    texts = [f"ab {'un ' * (number % 7)}e\u0301" for number in range(1100)]
    for text, units in zip(texts[1000:], uncased.encode(texts)[1000:], strict=True):
        for column, alone in zip(units, uncased.encode([text])[0], strict=True):
            np.testing.assert_array_equal(column, alone)
    assert uncased.encode([]) == []


def test_an_encoders_fingerprint_tells_words_from_characters(vocabulary, words, characters):
    assert words.fingerprint == UnitEncoder(UnitTokenizer(vocabulary)).fingerprint
    assert words.fingerprint != characters.fingerprint


def assert_same_windows(encoder: UnitEncoder, texts: list[str], max_length: int, overlap: int | None) -> None:
    """The graph's windows are those of `cut_windows`, and every unit's first piece stands where it is said to."""
    batch = tf.constant(texts, tf.string, shape=[len(texts)])
    found = encoder.tokenizer.encode_windows(batch, max_length, overlap)
    rows, speaks, columns = [], [], []
    for units in encoder.encode(texts):
        windows = cut_windows(units.first_pieces, len(units.token_ids), max_length, overlap)
        speaks.append((windows.unit_windows + len(rows)).tolist())
        columns.append((1 + units.first_pieces - windows.first_pieces[windows.unit_windows]).tolist())
        rows += encoder.frame(units.token_ids, windows)
    assert (found.windows.to_list(), found.positions.to_list()) == (speaks, columns)
    lengths = np.array([len(row) for row in rows], np.int32)
    padded = np.zeros((len(rows), lengths.max(initial=2)), np.int32)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = row
    for name, array in encoder.pad(padded, lengths).items():
        np.testing.assert_array_equal(found.inputs[name], array)
    ids = found.inputs["token_ids"].numpy()[found.windows.flat_values, found.positions.flat_values]
    firsts = [u.token_ids[u.first_pieces] for u in encoder.encode(texts)]
    np.testing.assert_array_equal(ids, np.concatenate([*firsts, np.zeros(0, np.int32)]))


@given(texts=st.lists(TEXTS, max_size=6), max_length=st.integers(3, 16), data=st.data())
@settings(max_examples=30, deadline=None)
def test_windows_in_a_graph_are_those_of_training(uncased, texts, max_length, data):
    overlap = data.draw(st.one_of(st.none(), st.integers(0, max_length - 3)))
    assert_same_windows(uncased, texts, max_length, overlap)


@pytest.mark.parametrize("overlap", [0, 1, 15, 30, 31, 61])
def test_a_long_document_is_labelled_whole(uncased, overlap):
    document = " ".join(["unaffable", "the", "e\u0301a,", "abcing"][place % 4] for place in range(3000))
    texts = ["ab", "", document, "", "the"]
    assert_same_windows(uncased, texts, 64, overlap)
    found = uncased.tokenizer.encode_windows(tf.constant(texts), 64, overlap)
    assert found.units.start.row_lengths().numpy().tolist() == [1, 0, 3750, 0, 1]
    # Away from the text's ends each unit sees about half of what is shared on either side.
    window, position = found.windows[2].numpy(), found.positions[2].numpy()
    inner = (window > window[0]) & (window < window[-1])
    assert position[inner].min() >= overlap // 2 - 3


def test_windows_without_room_are_refused(uncased):
    with pytest.raises(ValueError, match="max_length must be at least 3"):
        uncased.tokenizer.encode_windows(tf.constant(["the"]), 2)
    with pytest.raises(ValueError, match="overlap must be in"):
        uncased.tokenizer.encode_windows(tf.constant(["the"]), 8, 6)


def test_every_character_is_a_unit_where_characters_are_split(characters):
    text = "ab,中 é!"
    units = characters.encode([text])[0]
    assert [text[start:end] for start, end in zip(units.start, units.end, strict=True)] == list("ab,中é!")


def test_a_tokenizer_of_characters_is_still_a_tokenizer():
    vocabulary = small_vocabulary(True, True)
    tokenizer = UnitTokenizer(vocabulary, split_characters=True)
    expected = [vocabulary.cls_id, vocabulary.index["a"], vocabulary.index["b"], vocabulary.separator_id]
    assert tokenizer.encode_ragged(tf.constant(["ab"]), 8).to_list() == [expected]
