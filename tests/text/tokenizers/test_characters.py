"""One token a character: Python's own characters are the oracle."""

from __future__ import annotations

import json

import pytest
import tensorflow as tf
from bpe_oracle import SENTENCES
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.errors import DataError, PresetError
from kerasft.text.tokenizers.base import ABSENT
from kerasft.text.tokenizers.characters import SPECIALS
from kerasft.text.tokenizers.config import TokenizerConfig
from kerasft.text.tokenizers.loading import load_tokenizer
from kerasft.text.tokenizers.training import train_tokenizer

CORPUS = ["To be, or not to be:\n\tthat is the question.", "Être ou ne pas être…", "生きるべきか\x00🚢"]
KNOWN = sorted(set("".join(CORPUS)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("characters") / "tokenizer"
    train_tokenizer(TokenizerConfig(type="characters"), CORPUS, folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer(folder):
    return load_tokenizer(folder)


@given(texts=st.lists(st.one_of(st.text(alphabet=KNOWN), st.text(max_size=20)), max_size=8))
@settings(max_examples=50, deadline=None)
def test_each_character_of_the_corpus_is_a_token_and_others_are_unknown(tokenizer, texts) -> None:
    ids = tokenizer.tokenize(tf.constant(texts, tf.string, shape=[len(texts)]))
    index = {character: len(SPECIALS) + place for place, character in enumerate(KNOWN)}
    assert ids.to_list() == [[index.get(character, 1) for character in text] for text in texts]
    decoded = [text.decode("utf-8") for text in tokenizer.decode(ids).numpy()]
    assert decoded == ["".join(c if c in index else "\ufffd" for c in text) for text in texts]


def test_special_tokens_stand_first(tokenizer) -> None:
    special = tokenizer.special_ids
    assert (special.padding, special.unknown, special.end, special.mask) == (0, 1, 2, 3)
    assert special.cls == special.separator == special.begin == ABSENT
    assert tokenizer.vocabulary_size == 4 + len(KNOWN)
    encoded = tokenizer.encode(tf.constant(["to", "b"]), 8)
    assert encoded["padding_mask"].numpy().tolist() == [[1, 1], [1, 0]]
    assert tokenizer.decode([[2, 0]]).numpy().tolist() == [b""]


def test_bytes_that_are_not_utf_8_are_unknown(tokenizer) -> None:
    assert tokenizer.tokenize([b"\xffT"]).to_list()[0][0] == 1


def test_the_most_frequent_characters_are_kept(tmp_path) -> None:
    config = TokenizerConfig(type="characters", max_characters=2)
    train_tokenizer(config, ["aab", "bca", " a"], tmp_path / "a")
    assert json.loads((tmp_path / "a" / "characters.json").read_text())["characters"] == ["a", "b"]


def test_an_empty_corpus_is_refused(tmp_path) -> None:
    with pytest.raises(DataError, match="the texts are empty"):
        train_tokenizer(TokenizerConfig(type="characters"), [""], tmp_path / "a")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"special_tokens": list(SPECIALS), "characters": ["a", "a"]}, "a character twice"),
        ({"special_tokens": list(SPECIALS), "characters": ["ab"]}, "single characters"),
        ({"special_tokens": ["<x>"], "characters": ["a"]}, "special tokens are not"),
        ({"characters": ["a"]}, "not in a known form"),
    ],
)
def test_a_broken_file_is_refused(tmp_path, content, message) -> None:
    (tmp_path / "characters.json").write_text(json.dumps(content))
    with pytest.raises(PresetError, match=message):
        load_tokenizer(tmp_path)


def test_the_fingerprint_changes_with_the_characters(tokenizer, tmp_path) -> None:
    train_tokenizer(TokenizerConfig(type="characters"), SENTENCES, tmp_path / "a")
    assert load_tokenizer(tmp_path / "a").fingerprint != tokenizer.fingerprint
