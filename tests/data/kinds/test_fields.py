"""What counts as a text and as a label."""

import math

import pytest

from kerasft.data.kinds.fields import InvalidValue, parse_label, parse_text, spell_label


@pytest.mark.parametrize("text", ["a", "  spaces stay ", "line\nbreak", "你好", "😀", "!!!", "\x07 bell"])
def test_a_text_is_kept_as_it_is(text):
    assert parse_text(text) == text


@pytest.mark.parametrize("letter", ["a", "é", "字", "😀"])
def test_the_longest_text_is_measured_in_bytes(letter):
    most = (8 << 20) // len(letter.encode())
    assert len(parse_text(letter * most)) == most
    with pytest.raises(InvalidValue, match="text too long"):
        parse_text(letter * (most + 1))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "empty text"),
        (" \t\n\u3000\u200b\ufeff", "empty text"),
        (None, "missing text"),
        (7, "text is not a string"),
        (["a"], "text is not a string"),
        ("nul\0inside", "NUL character"),
        ("half \ud83d", "unpaired surrogate"),
    ],
)
def test_what_is_no_text_is_refused_with_a_reason(value, reason):
    with pytest.raises(InvalidValue) as error:
        parse_text(value)
    assert error.value.reason == reason


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("positive", "positive"),
        (" 1 ", "1"),
        ("1.0", "1.0"),
        (1, "1"),
        (-3, "-3"),
        (1.0, "1"),
        (0.5, "0.5"),
        (True, "true"),
        (False, "false"),
        ("très bon", "très bon"),
    ],
)
def test_labels_become_names(value, name):
    assert parse_label(value) == name


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "missing label"),
        ("  ", "missing label"),
        (None, "missing label"),
        (math.nan, "missing label"),
        ({"a": 1}, "label is neither string nor number"),
        ([1], "label is neither string nor number"),
        ("two\nlines", "control character in the label"),
        ("a\0b", "control character in the label"),
        ("\udcff", "unpaired surrogate"),
        (math.inf, "label is not a finite number"),
    ],
)
def test_what_is_no_label_is_refused_with_a_reason(value, reason):
    with pytest.raises(InvalidValue) as error:
        parse_label(value)
    assert error.value.reason == reason


@pytest.mark.parametrize(
    ("written", "name"),
    [("0.0", "0"), ("-0.0", "0"), ("-2.00", "-2"), ("TRUE", "true"), (" False ", "false"), ("1.50", "1.50"),
     ("1e3", "1e3"), ("v1.0", "v1.0"), ("truer", "truer"), ("1.", "1.")],
)  # fmt: skip
def test_labels_of_csv_are_spelled_as_json_would(written, name):
    assert spell_label(written) == name


def test_accents_of_labels_are_composed():
    assert parse_label("cafe\u0301") == parse_label("caf\u00e9") == "caf\u00e9"
