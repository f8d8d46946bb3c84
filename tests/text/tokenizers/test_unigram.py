"""Unigram in core ops gives SentencePiece's ids and texts, on anything."""

from __future__ import annotations

from pathlib import Path

import pytest
import sentencepiece
import tensorflow as tf
from bpe_oracle import CHOSEN, SENTENCES, load_reference
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizer_oracle import describe_differences, encode_with_reference, real_lines
from unigram_oracle import ALPHABET, KINDS, TEXTS, train_sentencepiece

from kerasft.errors import ConfigError, PresetError
from kerasft.text.tokenizers.base import ABSENT
from kerasft.text.tokenizers.config import TokenizerConfig
from kerasft.text.tokenizers.loading import load_tokenizer
from kerasft.text.tokenizers.patterns import CODE_POINTS
from kerasft.text.tokenizers.sentencepiece_model import read_sentencepiece_model
from kerasft.text.tokenizers.training import train_tokenizer
from kerasft.text.tokenizers.unigram import Unigram

SCALAR_VALUES = [chr(c) for c in range(CODE_POINTS) if not 0xD800 <= c <= 0xDFFF]


@pytest.fixture(scope="module", params=KINDS)
def pair(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("unigram") / "spiece.model"
    reference = train_sentencepiece(path, **KINDS[request.param])
    return Unigram(read_sentencepiece_model(path)), reference


def assert_same(pair, texts: list[str]) -> None:
    ids = pair[0].tokenize(tf.constant(texts, tf.string, shape=[len(texts)]))
    theirs = pair[1].encode(texts)
    assert ids.to_list() == theirs, describe_differences(texts, ids.to_list(), theirs)


def test_chosen_texts_give_sentencepieces_ids(pair) -> None:
    assert_same(pair, [*CHOSEN, *SENTENCES, *ALPHABET, "▁", " ▁ ", "a ▁ ", "▁▁a", "☃☃ ☃", "a☃"])


@given(texts=st.lists(TEXTS, min_size=8, max_size=32))
@settings(max_examples=15, deadline=None)
def test_any_text_gives_sentencepieces_ids(pair, texts) -> None:
    assert_same(pair, texts)


@pytest.mark.slow
@given(texts=st.lists(TEXTS, min_size=20, max_size=20))
@settings(max_examples=500, deadline=None)
def test_ten_thousand_texts_give_sentencepieces_ids(pair, texts) -> None:
    assert_same(pair, texts)


@pytest.mark.slow
@pytest.mark.parametrize("frame", ["{}", "a{}b", " {} a"])
def test_every_code_point_gives_sentencepieces_ids(pair, frame) -> None:
    texts = [frame.format(character) for character in SCALAR_VALUES]
    for start in range(0, len(texts), 50_000):
        assert_same(pair, texts[start : start + 50_000])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sst2", "wnut17", "cluener", "lm"])
def test_every_line_of_real_data_gives_sentencepieces_ids(pair, name) -> None:
    lines = real_lines(name)
    for start in range(0, len(lines), 10_000):
        assert_same(pair, lines[start : start + 10_000])


@example(texts=["▁0", "▁▁0", "  0 ", "▁▁▁the a▁▁b"])  # the sign that stands for a space
@given(texts=st.lists(TEXTS, min_size=4, max_size=8))
@settings(max_examples=10, deadline=None)
def test_decoding_gives_sentencepieces_text(pair, texts) -> None:
    ids = pair[0].tokenize(tf.constant(texts))
    ours = [text.decode("utf-8", "replace") for text in pair[0].decode(ids).numpy()]
    assert ours == pair[1].decode(ids.to_list())


def test_special_ids_are_read_from_the_model(tmp_path) -> None:
    train_sentencepiece(tmp_path / "spiece.model", **KINDS["t5"])
    special = load_tokenizer(tmp_path).special_ids
    assert (special.padding, special.end, special.unknown, special.begin) == (0, 1, 2, ABSENT)
    assert special.separator == special.cls == ABSENT
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "T5Tokenizer"}')
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.special_ids.separator == 1
    ids = tokenizer.encode_ragged(tf.constant(["the keeper"]), 50).to_list()[0]
    assert ids == [*tokenizer.tokenize(["the keeper"]).to_list()[0], 1]


def test_ids_of_xlm_r_are_those_of_fairseq(tmp_path) -> None:
    reference = train_sentencepiece(tmp_path / "sentencepiece.bpe.model")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "XLMRobertaTokenizer"}')
    tokenizer = load_tokenizer(tmp_path)
    # <s>, <pad>, </s> and <unk> take the place of <unk>, <s> and </s>
    expected = [[place + 1 if place else 3 for place in ids] for ids in reference.encode(SENTENCES)]
    assert tokenizer.tokenize(SENTENCES).to_list() == expected
    assert tokenizer.special_ids.mask == tokenizer.vocabulary_size - 1
    assert tokenizer.encode_ragged(tf.constant(["a"]), 9).to_list()[0][0] == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "tokenizer"
    config = TokenizerConfig(type="unigram", vocabulary_size=400, max_characters=150)
    train_tokenizer(config, (text for text in SENTENCES * 5), folder)
    return folder


def test_a_trained_tokenizer_gives_the_ids_of_tokenizers(trained) -> None:
    texts = [*SENTENCES, *CHOSEN, "Unseen wörds ☃☃ 東京"]
    tokenizer, reference = load_tokenizer(trained), load_reference(trained)
    texts = [text for text in texts if "<" not in text]  # where special tokens are spelled out, they differ
    ours = tokenizer.tokenize(tf.constant(texts)).to_list()
    theirs = encode_with_reference(reference, texts)
    assert ours == theirs, describe_differences(texts, ours, theirs)
    framed = tokenizer.encode_ragged(tf.constant(texts), 1000).to_list()
    assert framed == [reference.encode(text).ids for text in texts]
    assert [path.name for path in sorted(trained.iterdir())] == ["tokenizer.json", "tokenizer_config.json"]


def test_a_trained_tokenizer_has_special_tokens_first_and_comes_back(trained) -> None:
    tokenizer = load_tokenizer(trained)
    special = tokenizer.special_ids
    assert (special.begin, special.padding, special.end, special.unknown, special.mask) == (0, 1, 2, 3, 4)
    text = "the keeper counted the waves"
    encoded = tokenizer.encode(tf.constant([text]), 60)
    assert tokenizer.decode(encoded["token_ids"]).numpy().tolist() == [text.encode()]


def test_a_vocabulary_smaller_than_the_alphabet_is_refused(tmp_path) -> None:
    config = TokenizerConfig(type="unigram", vocabulary_size=40, max_characters=100)
    with pytest.raises(ConfigError, match="no room for the corpus' characters"):
        train_tokenizer(config, SENTENCES, tmp_path / "a")


def test_models_of_other_kinds_are_refused_by_name(tmp_path) -> None:
    path = tmp_path / "a.model"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 5),
        model_prefix=str(tmp_path / "a"),
        vocab_size=230,
        model_type="bpe",
        minloglevel=2,
    )
    with pytest.raises(PresetError, match="is SentencePiece's BPE"):
        load_tokenizer(tmp_path)
    content = path.read_bytes()
    train_sentencepiece(path, user_defined_symbols=["ab"])
    with pytest.raises(PresetError, match="user-defined symbols"):
        load_tokenizer(tmp_path)
    for broken in (content[: len(content) // 2], b"\xff" * 40, b"", b"\x0a\x05abc"):
        path.write_bytes(broken)
        with pytest.raises(PresetError, match=r"a\.model"):
            load_tokenizer(tmp_path)


def test_a_normaliser_of_another_kind_is_refused(trained, tmp_path) -> None:
    import json

    whole = json.loads((trained / "tokenizer.json").read_text())
    for key, value, message in (
        ("normalizer", {"type": "NFC"}, "normalises text by NFC"),
        ("pre_tokenizer", {"type": "Whitespace"}, "splits text by Whitespace"),
        ("normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAA"}, "rules is broken"),
    ):
        (tmp_path / "tokenizer.json").write_text(json.dumps({**whole, key: value}))
        with pytest.raises(PresetError, match=message):
            load_tokenizer(tmp_path)
