"""A WordPiece vocabulary is trained, written, and read by kerasft and by Hugging Face's `tokenizers` alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tensorflow as tf
from tokenizer_oracle import encode_with_reference
from tokenizers import Tokenizer

from kerasft.errors import ConfigError, DataError
from kerasft.progress import Silent, SilentBar
from kerasft.text.tokenizers.config import TokenizerConfig
from kerasft.text.tokenizers.corpus import PART_CHARACTERS, Corpus, split_text
from kerasft.text.tokenizers.training import WORDPIECE_SPECIALS, train_tokenizer
from kerasft.text.tokenizers.vocabulary import load_vocabulary
from kerasft.text.tokenizers.wordpiece import WordPiece

TEXTS = [
    "The lighthouse keeper counted the waves, and the waves counted him.",
    "Él canta; they were singing, sung and singer. Über-große Häuser!",
    "北京的春天 and the spring of Tōkyō: don't, can't, won't…",
    "the keeper keeps; the keepers kept. The light of the house is a lighthouse.",
] * 3


def train(folder: Path, texts=TEXTS, **settings) -> Path:
    train_tokenizer(TokenizerConfig(type="wordpiece", **settings), texts, folder)
    return folder


@pytest.fixture(scope="module", params=[False, True], ids=["cased", "lowercase"])
def trained(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "tokenizer"
    return train(folder, vocabulary_size=130, lowercase=request.param, max_characters=70)


def test_special_tokens_stand_first_and_the_size_is_as_asked(trained) -> None:
    vocabulary = load_vocabulary(trained)
    assert vocabulary.pieces[:5] == WORDPIECE_SPECIALS
    assert vocabulary.size == 130
    assert "the" in vocabulary.index


def test_the_written_tokenizer_json_gives_the_same_ids(trained) -> None:
    texts = [*TEXTS, "Unseen wörds, 東京 [SEP]x 1984 ÉTÉ keeperkeeper", "", "ß\u0301 …"]
    texts = [text.replace("[SEP]", "") for text in texts]  # Hugging Face reads it as the special token
    reference = Tokenizer.from_file(str(trained / "tokenizer.json"))
    ours = WordPiece(load_vocabulary(trained)).tokenize(tf.constant(texts)).to_list()
    assert ours == encode_with_reference(reference, texts)
    framed = WordPiece(load_vocabulary(trained)).encode_ragged(tf.constant(texts), 100).to_list()
    assert framed == [reference.encode(text).ids for text in texts]


def test_case_is_kept_or_not_as_asked(trained) -> None:
    lowercase = json.loads((trained / "tokenizer_config.json").read_text())["do_lower_case"]
    has_capitals = any(p != p.lower() for p in load_vocabulary(trained).pieces if p not in WORDPIECE_SPECIALS)
    assert has_capitals is not lowercase


def test_no_piece_is_wasted_on_punctuation_or_ideographs_inside_a_word(trained) -> None:
    assert not {"##,", "##京", "##!"} & set(load_vocabulary(trained).pieces)


def test_training_twice_gives_the_same_vocabulary_however_texts_are_read(tmp_path) -> None:
    first = train(tmp_path / "a", vocabulary_size=140, max_characters=70)
    second = train(tmp_path / "b", (text for text in TEXTS), vocabulary_size=140, max_characters=70)
    for name in ("tokenizer.json", "vocab.txt", "tokenizer_config.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert sorted(path.name for path in second.iterdir()) == [
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]


def test_rare_characters_become_unknown(tmp_path) -> None:
    vocabulary = load_vocabulary(
        train(tmp_path / "a", ["aaa bbb aab z"] * 2, vocabulary_size=20, max_characters=2)
    )
    assert "z" not in vocabulary.index
    ids = WordPiece(vocabulary).tokenize(["z ab"]).to_list()[0]
    assert ids[0] == vocabulary.unknown_id
    assert vocabulary.unknown_id not in ids[1:]


def test_more_characters_than_tokens_are_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"no room .* with special tokens they need 21"):
        train(tmp_path / "a", vocabulary_size=20, max_characters=8)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("texts", [[], ["", " \n"]], ids=["no texts", "white space"])
def test_an_empty_corpus_is_refused(tmp_path, texts) -> None:
    with pytest.raises(DataError, match="the texts are empty"):
        train(tmp_path / "a", texts)
    assert not list(tmp_path.iterdir())


def test_a_vocabulary_that_stays_small_is_reported(tmp_path) -> None:
    from kerasft.progress import Warnings

    config = TokenizerConfig(type="wordpiece", vocabulary_size=4000)
    with pytest.warns(UserWarning, match=r"tokens, not 4,000"):
        train_tokenizer(config, TEXTS, tmp_path / "a", Warnings())


def test_long_texts_are_split_before_white_space_and_nothing_is_lost() -> None:
    text = "word " * PART_CHARACTERS + "x" * 3 * PART_CHARACTERS
    parts = list(split_text(text))
    assert "".join(parts) == text
    assert max(map(len, parts)) <= PART_CHARACTERS
    assert parts[1].startswith(" word")
    assert list(split_text("a\ud800b")) == ["a?b"]


class Bars(Silent):
    """Counts what each bar was told."""

    def __init__(self) -> None:
        self.counted: dict[str, int] = {}

    def bar(self, description: str, total: int | None, unit: str = "rows") -> SilentBar:
        counted = self.counted

        class Counting(SilentBar):
            def advance(self, amount: int = 1, **figures: float | str) -> None:
                counted[description] = counted.get(description, 0) + amount

        return Counting()


def test_texts_that_can_be_read_once_are_read_again_from_a_copy(tmp_path) -> None:
    texts = ["a\nb", "\u2028", "", "é" * 3] * 100
    bars = Bars()
    corpus = Corpus(iter(texts), tmp_path / "copy", bars)
    assert list(corpus.read("Counting")) == list(corpus.read()) == texts
    assert bars.counted == {"Counting": len(texts), "Training the tokenizer": len(texts)}
    corpus.close()
    assert not list(tmp_path.iterdir())
