"""Texts whose tokens cut characters and stop strings: whole ones come out, however they were cut."""

from __future__ import annotations

import itertools

import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.text.generation.characters import (
    count_cut_bytes,
    count_cut_bytes_of,
    count_held_bytes,
    decode_text,
    find_stop,
    make_whole,
    strip_space,
)

PARTS = [*map(str.encode, "aé好👍"), b"\xe5\xa5", b"\xf0", b"\xf0\x9f", b"\x80", b"\xff"]
ODD_BYTES = st.lists(st.sampled_from(PARTS), max_size=12).map(b"".join)


def as_tensor(texts: list[bytes]) -> tf.Tensor:
    return tf.constant(texts, tf.string, [len(texts)])


def test_a_character_that_is_cut_is_counted_and_left_out() -> None:
    whole = "aé好👍".encode()
    prefixes = [whole[:length] for length in range(len(whole) + 1)]
    assert count_cut_bytes(as_tensor(prefixes)).numpy().tolist() == [0, 0, 1, 0, 1, 2, 0, 1, 2, 3, 0]
    for prefix, made in zip(prefixes, make_whole(as_tensor(prefixes)).numpy(), strict=True):
        assert made == prefix.decode("utf-8", "ignore").encode()
    assert make_whole(as_tensor([])).shape == (0,)


def test_what_is_no_character_becomes_a_replacement() -> None:
    made = make_whole(
        as_tensor([b"a\xffb", b"\x80", b"\xf0\x9fz", b"a\x00\r\n\x1b", b"\xff\xf0\x9f"])
    ).numpy()
    assert [text.decode() for text in made] == ["a\ufffdb", "\ufffd", "\ufffdz", "a\x00\r\n\x1b", "\ufffd"]


@given(text=ODD_BYTES, cuts=st.lists(st.integers(0, 40), max_size=6))
@settings(max_examples=60, deadline=None)
def test_pieces_are_what_the_whole_is(text: bytes, cuts: list[int]) -> None:
    borders = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    waiting, shown = b"", []
    for start, end in itertools.pairwise(borders):
        waiting += text[start:end]
        cut = count_cut_bytes_of(waiting)
        assert cut == count_cut_bytes(as_tensor([waiting])).numpy()[0]
        shown.append(decode_text(waiting[: len(waiting) - cut]))
        waiting = waiting[len(waiting) - cut :]
    assert "".join(shown).encode() == make_whole(as_tensor([text])).numpy()[0]


@given(
    texts=st.lists(st.text("ab", max_size=8), min_size=1, max_size=4),
    stops=st.lists(st.text("ab", min_size=1, max_size=3), max_size=3),
)
@settings(max_examples=60, deadline=None)
def test_the_first_stop_string_is_found(texts: list[str], stops: list[str]) -> None:
    tensors = as_tensor([t.encode() for t in texts]), as_tensor([s.encode() for s in stops])
    found = find_stop(*tensors, tf.constant([len(text) for text in texts])).numpy()
    for text, place in zip(texts, found, strict=True):
        assert place == min((text.find(stop) for stop in stops if stop in text), default=-1)
    for text, place in zip(texts, find_stop(*tensors, tf.fill([len(texts)], 1)).numpy(), strict=True):
        ended = [len(text) - len(stop) for stop in stops if text.endswith(stop)]
        assert place == min(ended, default=-1)


def test_stop_strings_are_bytes() -> None:
    texts, stops = ["", "naïve 👍🏽", "好"], ["🏽", "ï", "\n"]
    tensors = [as_tensor([part.encode() for part in parts]) for parts in (texts, stops)]
    found = find_stop(*tensors, tf.strings.length(tensors[0]))
    assert found.numpy().tolist() == [-1, 2, -1]


def test_what_may_begin_a_stop_string_is_held_back() -> None:
    stops = [b"\n\n", b"END"]
    texts = [b"", b"a", b"a\n", b"aE", b"aEN", b"aEND", b"ENE", b"EN"]
    assert [count_held_bytes(text, stops) for text in texts] == [0, 0, 1, 1, 2, 0, 1, 2]
    assert count_held_bytes(b"abc", []) == 0


def test_one_space_is_taken_from_the_front() -> None:
    texts = [b" a", b"  a", b"a ", b"", b" ", b"\n a"]
    assert strip_space(as_tensor(texts)).numpy().tolist() == [b"a", b" a", b"a ", b"", b"", b"\n a"]
