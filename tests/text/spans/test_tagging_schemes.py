"""Tags and spans: seqeval as the oracle, round trips, rules of what may follow, and telling schemes apart."""

from __future__ import annotations

import itertools
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval import scheme as strict_schemes
from seqeval.metrics.sequence_labeling import get_entities
from tag_makers import TYPES, draw_tags

from kerasft.errors import DataError
from kerasft.text.spans.scheme_detection import SchemeFinder
from kerasft.text.spans.tagging_schemes import (
    SCHEMES,
    build_tag_rules,
    convert_tags,
    find_faults,
    find_spans,
    list_tags,
    split_tag,
    write_tags,
)

LETTERED = [scheme for scheme in SCHEMES if scheme not in ("IO", "plain")]
STRICT = {"IOB1": strict_schemes.IOB1, "IOB2": strict_schemes.IOB2, "BIOES": strict_schemes.IOBES}
LETTERS = st.sampled_from([*list_tags(TYPES, "BIOES"), "B", "I", "E", "S"])


@st.composite
def spans_of_texts(draw, max_words: int = 9):
    """(spans, number of words)."""
    places = sorted(draw(st.lists(st.integers(0, 24), unique=True, max_size=max_words)))
    spans = [
        (start, end, draw(st.sampled_from(TYPES)))
        for start, end in itertools.pairwise(places)
        if draw(st.booleans())
    ]
    return spans, (places[-1] if places else 0) + draw(st.integers(0, 2))


def read_by_seqeval(tags: list[str]) -> list[tuple[int, int, str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [(start, end + 1, name) for name, start, end in get_entities(tags)]


def read_strictly(tags: list[str], scheme: str) -> list[tuple[int, int, str]]:
    entities = strict_schemes.Tokens(tags, STRICT[scheme]).entities
    return [(entity.start, entity.end, entity.tag) for entity in entities]


@pytest.mark.parametrize("legal", [True, False])
@pytest.mark.parametrize("scheme", LETTERED)
def test_spans_of_10_000_sequences_are_seqevals(scheme, legal):
    gold, predicted = draw_tags(scheme, 5_000, legal=legal)
    for tags in gold + predicted:
        assert find_spans(tags, scheme) == read_by_seqeval(tags)


@given(tags=st.lists(LETTERS, max_size=8), scheme=st.sampled_from(LETTERED))
def test_any_sequence_of_letters_is_read_as_seqeval_reads_it(tags, scheme):
    assert find_spans(tags, scheme) == read_by_seqeval(tags)


@pytest.mark.parametrize("scheme", LETTERED)
def test_spans_of_unbroken_sequences_are_those_of_seqevals_strict_mode(scheme):
    legal, broken = draw_tags(scheme, 5_000, legal=True), draw_tags(scheme, 5_000, legal=False)
    unbroken = [tags for side in (*legal, *broken) for tags in side if not find_faults(tags, scheme)]
    assert len(unbroken) > 10_000
    for tags in unbroken:
        assert find_spans(tags, scheme) == read_strictly(tags, scheme)


@given(text=spans_of_texts(), scheme=st.sampled_from(LETTERED))
def test_spans_written_as_tags_are_read_back_and_unbroken(text, scheme):
    spans, words = text
    tags = write_tags(reversed(spans), words, scheme)
    assert len(tags) == words
    assert find_spans(tags, scheme) == spans
    assert find_faults(tags, scheme) == []


@given(words=st.lists(st.sampled_from(["NOUN", "VERB", "O", "_", "-X-"]), max_size=8))
def test_each_word_of_plain_tags_is_a_span_but_for_those_outside(words):
    spans = find_spans(words, "plain")
    assert spans == [(i, i + 1, tag) for i, tag in enumerate(words) if tag in ("NOUN", "VERB")]
    mended = ["O" if tag in ("_", "-X-") else tag for tag in words]
    assert write_tags(spans, len(words), "plain") == mended
    assert find_faults(words, "plain") == []


@pytest.mark.parametrize(
    "tags", ["a a O a b b", "I-a I-a O I-a I-b b", "B-a I-a O S-a B-b E-b", "a a -X- a b b"]
)
def test_io_tags_join_neighbours_of_one_type(tags):
    spans = find_spans(tags.split(), "IO")
    assert spans == [(0, 2, "a"), (3, 4, "a"), (4, 6, "b")]
    assert write_tags(spans, 6, "IO") == ["a", "a", "O", "a", "b", "b"]
    assert len(find_faults(tags.split(), "IO")) == sum(tag[:1] in "BES" for tag in tags.split())


def test_two_entities_of_one_type_that_touch_cannot_be_io_tags():
    with pytest.raises(DataError, match="The a of words 1 to 1 cannot be written in IO tags"):
        write_tags([(0, 1, "a"), (1, 2, "a")], 2, "IO")


@given(tags=st.lists(LETTERS, max_size=8), source=st.sampled_from(LETTERED), target=st.sampled_from(LETTERED))
def test_converted_tags_hold_the_same_spans(tags, source, target):
    converted = convert_tags(tags, source, target)
    assert find_spans(converted, target) == find_spans(tags, source)
    assert find_faults(converted, target) == []


@pytest.mark.parametrize(
    ("source", "target", "tags", "expected"),
    [
        ("IOB1", "IOB2", "I-PER I-PER B-PER I-LOC O", "B-PER I-PER B-PER B-LOC O"),
        ("IOB2", "IOB1", "B-PER I-PER B-PER B-LOC O", "I-PER I-PER B-PER I-LOC O"),
        ("IOB2", "BIOES", "B-PER I-PER I-PER B-PER I-PER B-LOC", "B-PER I-PER E-PER B-PER E-PER S-LOC"),
        ("BIOES", "IOB2", "B-PER E-PER S-PER O", "B-PER I-PER B-PER O"),
        ("BIOES", "BIOES", "B-PER L-PER U-PER O", "B-PER E-PER S-PER O"),
        ("BIOES", "BIOES", "B-PER M-PER E-PER W-PER -X-", "B-PER I-PER E-PER S-PER O"),
        ("IOB2", "IOB2", "I-PER O B-LOC I-PER", "B-PER O B-LOC B-PER"),
        ("BIOES", "BIOES", "E-PER E-PER B-LOC O", "S-PER S-PER S-LOC O"),
        ("plain", "IOB2", "NOUN NOUN _ VERB", "B-NOUN B-NOUN O B-VERB"),
        ("IOB2", "IOB2", "B I O I", "B-_ I-_ O B-_"),
    ],
)
def test_conversions_are_these(source, target, tags, expected):
    assert convert_tags(tags.split(), source, target) == expected.split()


@pytest.mark.parametrize(
    ("scheme", "tags", "faults"),
    [
        ("IOB2", "I-PER O I-PER", [(0, "I-PER at the beginning"), (2, "I-PER after O")]),
        ("IOB2", "B-PER I-LOC I-LOC", [(1, "I-LOC after B-PER")]),
        ("IOB2", "B-PER E-PER", [(1, "E-PER is not a tag of IOB2")]),
        ("IOB2", "B-PER PER I-PER", [(1, "PER is not a tag of IOB2"), (2, "I-PER after PER")]),
        ("IOB2", "-X- _ O", []),
        ("IOB1", "B-PER O B-LOC I-LOC B-LOC", [(0, "B-PER at the beginning"), (2, "B-LOC after O")]),
        ("IOB1", "I-PER I-LOC B-LOC I-PER", []),
        ("BIOES", "E-PER O", [(0, "E-PER at the beginning")]),
        ("BIOES", "B-PER O B-PER", [(1, "O after B-PER"), (2, "B-PER at the end")]),
        ("BIOES", "B-PER S-PER", [(1, "S-PER after B-PER")]),
        ("BIOES", "B-PER L-PER U-LOC", []),
        ("BIOES", "I-PER", [(0, "I-PER at the beginning"), (0, "I-PER at the end")]),
        ("BIOES", "", []),
    ],
)
def test_faults_name_the_word_and_what_is_wrong(scheme, tags, faults):
    assert find_faults(tags.split(), scheme) == faults


@given(scheme=st.sampled_from(SCHEMES), data=st.data())
def test_rules_allow_exactly_the_sequences_without_faults(scheme, data):
    names = list_tags(TYPES, scheme)
    places = data.draw(st.lists(st.integers(0, len(names) - 1), min_size=1, max_size=6))
    rules = build_tag_rules(names, scheme)
    steps = [bool(rules.follows[i, j]) for i, j in itertools.pairwise(places)]
    allowed = bool(rules.starts[places[0]]) and all(steps) and bool(rules.ends[places[-1]])
    assert allowed == (not find_faults([names[place] for place in places], scheme))


def test_rules_of_one_type_are_these():
    rules = build_tag_rules(["O", "B-X", "I-X"], "IOB2")
    assert rules.follows.tolist() == [[True, True, False], [True, True, True], [True, True, True]]
    assert rules.starts.tolist() == [True, True, False]
    assert rules.ends.tolist() == [True, True, True]
    rules = build_tag_rules(["O", "B-X", "I-X", "E-X", "S-X"], "BIOES")
    opens, goes_on = [True, True, False, False, True], [False, False, True, True, False]
    assert rules.follows.tolist() == [opens, goes_on, goes_on, opens, opens]
    assert rules.starts.tolist() == opens
    assert rules.ends.tolist() == [True, False, False, True, True]


def test_rules_refuse_a_tag_of_another_scheme():
    with pytest.raises(ValueError, match="E-X, NOUN: not tags of IOB2"):
        build_tag_rules(["O", "E-X", "NOUN"], "IOB2")


def test_overlapping_entities_are_refused():
    with pytest.raises(DataError, match="the LOC of words 1 to 1 begins inside of a PER"):
        write_tags([(1, 2, "LOC"), (0, 2, "PER")], 3, "IOB2")


@pytest.mark.parametrize("span", [(0, 0, "X"), (-1, 1, "X"), (1, 4, "X"), (0, 1, "")])
def test_spans_that_are_none_are_refused(span):
    with pytest.raises(ValueError, match="is none of 3 words"):
        write_tags([span], 3, "IOB2")


@pytest.mark.parametrize("span", [(0, 2, "PER"), (0, 1, "O")])
def test_plain_tags_refuse_what_they_cannot_say(span):
    with pytest.raises(DataError, match="cannot be written in plain tags"):
        write_tags([span], 3, "plain")


def test_an_unknown_scheme_is_refused():
    with pytest.raises(ValueError, match="'IOE2' is none of IOB1, IOB2, BIOES, IO, plain"):
        find_spans(["O"], "IOE2")


def test_tags_without_a_letter_are_told_from_others():
    assert split_tag("B-PER") == ("B", "PER")
    assert split_tag("U-A-B") == ("S", "A-B")
    assert split_tag("B") == split_tag("B-") == ("B", "_")
    assert [split_tag(tag) for tag in ("O", "_", "-X-")] == [("O", "")] * 3
    assert [split_tag(tag) for tag in ("BPER", "NOUN", "", "-LRB-", "X-PER", "O-PER")] == [None] * 6


def find_scheme(*sequences: str) -> SchemeFinder:
    finder = SchemeFinder()
    for tags in sequences:
        finder.feed(tags.split())
    return finder


@pytest.mark.parametrize(
    ("scheme", "sequences", "why"),
    [
        ("IOB2", ["O B-PER I-PER O", "B-LOC B-LOC"], "no entity begins with I"),
        ("IOB2", ["B-PER", "O"], "no entity begins with I"),
        ("IOB2", ["O O", "_ -X-", ""], "no entity begins with I"),
        (
            "IOB1",
            ["O I-PER I-PER B-PER O"],
            "I-PER (word 2 of sequence 1) begins an entity, and B is used only after entities of its type",
        ),
        ("IOB1", ["I-PER I-PER I-LOC O"], "I-PER (word 1 of sequence 1) begins an entity, and B"),
        (
            "IOB2",
            ["O B-PER I-PER", "O O I-PER"],
            "B-PER (word 2 of sequence 1) begins an entity that IOB1 would begin with I; "
            "so I-PER (word 3 of sequence 2), which begins one too, is broken",
        ),
        ("IOB2", ["I-PER B-LOC"], "B-LOC (word 2 of sequence 1) begins an entity that IOB1"),
        ("BIOES", ["O B-PER", "S-LOC O"], "S-LOC (word 1 of sequence 2) ends an entity"),
        ("BIOES", ["B-PER I-PER L-PER U-LOC"], "L-PER (word 3 of sequence 1) ends an entity"),
        ("BIOES", ["B M E S B E"], "E (word 3 of sequence 1) ends an entity"),
        ("IOB2", ["B I O B"], "no entity begins with I"),
        (
            "plain",
            ["DET NOUN", "-LRB- _ O"],
            "no tag has a letter and a hyphen, as DET (word 1 of sequence 1)",
        ),
        (
            "IO",
            ["person person O", "O place"],
            "no tag has a letter, as person (word 1 of sequence 1) has none, and 40% of the words are O",
        ),
        ("plain", ["N V O", "O , D"], "no tag has a letter and a hyphen, as N (word 1 of sequence 1)"),
        ("plain", ["S N O L", "E , B"], "no tag has a letter and a hyphen, as N (word 2 of sequence 1)"),
    ],
)
def test_a_corpus_scheme_is_told_from_its_tags(scheme, sequences, why):
    finder = find_scheme(*sequences)
    assert finder.find() == scheme
    assert finder.explain().startswith(why)


@given(texts=st.lists(spans_of_texts(), min_size=1, max_size=6), scheme=st.sampled_from(LETTERED))
def test_no_scheme_that_is_told_breaks_what_was_written_in_another(texts, scheme):
    written = [write_tags(spans, words, scheme) for spans, words in texts]
    told = find_scheme(*map(" ".join, written)).find()
    assert all(find_spans(tags, told) == spans for tags, (spans, _) in zip(written, texts, strict=True))
    assert not any(find_faults(tags, told) for tags in written)


def test_tags_with_and_without_letters_are_refused():
    finder = find_scheme("O B-PER", "S-PRO S NOUN")
    with pytest.raises(
        DataError, match=r"as B-PER \(word 2 of sequence 1\), .* as NOUN \(word 3 of sequence 2\)"
    ):
        finder.find()


@pytest.mark.parametrize("tags", ["O B_PER I_PER", "PER-B PER-I O", "b-PER"])
def test_letters_spelled_otherwise_are_no_plain_tags(tags):
    with pytest.raises(DataError, match="has no known form"):
        find_scheme(tags).find()
