"""Tokens as words that stand behind masks: spelled, put into texts, in Python and in the graph alike."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tiny_bert
from bpe_oracle import train_bpe

from kerasft.errors import PresetError
from kerasft.text.token_words import TokenWords, list_token_words
from kerasft.text.tokenizers.base import Tokenizer
from kerasft.text.tokenizers.config import TokenizerConfig
from kerasft.text.tokenizers.loading import load_tokenizer
from kerasft.text.tokenizers.training import train_tokenizer
from kerasft.text.tokenizers.vocabulary import WordPieceVocabulary
from kerasft.text.tokenizers.wordpiece import WordPiece

MARKED = TokenWords("[M]", ("good", "##ing", "##"), np.array([False, True, True]), "##", ())
SPACED = TokenWords(
    "<m>", (" good", "ing", " ", "\n", " \ufffd"), np.array([False, True, False, False, False]), "", ()
)


@pytest.mark.parametrize(
    ("words", "text", "given", "filled"),
    [
        (MARKED, "play [M] now, [M]!", ["##ing", "good"], "playing now, good!"),
        (MARKED, "[M]", ["##"], "##"),
        (MARKED, "no mask", [], "no mask"),
        (SPACED, "play <m> now,<m>!", ["ing", " good"], "playing now, good!"),
        (SPACED, "<m> film \n <m>", [" good", " good"], "good film \n good"),
        (SPACED, "the <m><m><m>", [" good", "ing", " good"], "the gooding good"),
        (SPACED, "<m><m>", ["ing", " good"], "ing good"),
        (SPACED, "<m> ", [" good"], "good "),
        (SPACED, "so\t<m>", [" "], "so\t"),
    ],
)
def test_words_are_put_in_the_places_of_masks(
    words: TokenWords, text: str, given: list[str], filled: str
) -> None:
    assert words.fill(text, given) == filled


@pytest.mark.parametrize("words", [MARKED, SPACED])
def test_the_graph_fills_texts_as_python_does(words: TokenWords) -> None:
    mask = words.mask
    parts = ["", " ", "a", " a", "a ", "a\n", "\n \n"]
    texts = ["", mask, f"{mask}{mask}", *(mask.join(some) for some in itertools.product(parts, repeat=2))]
    texts += [mask.join(some) for some in itertools.product(parts[:5], repeat=3)]
    given = [[words.words[(place + 3 * at) % len(words.words)] for at in range(text.count(mask))]
             for place, text in enumerate(texts)]  # fmt: skip
    filled = words.fill_in_graph(tf.constant(texts), tf.ragged.constant(given, tf.string, ragged_rank=1))
    expected = [words.fill(text, some) for text, some in zip(texts, given, strict=True)]
    assert [text.decode() for text in filled.numpy()] == expected


def test_pieces_of_word_piece_are_words_as_they_stand() -> None:
    words = list_token_words(
        WordPiece(WordPieceVocabulary(tuple(tiny_bert.PIECES), lowercase=True, strip_accents=True))
    )
    assert (words.mask, words.mark, words.has_spaces) == ("[MASK]", "##", False)
    assert words.words == tuple(tiny_bert.PIECES)
    assert words.goes_on.sum() == sum(piece.startswith("##") for piece in tiny_bert.PIECES)
    assert set(words.unsaid) == {0, 1, 2, 3, 4}
    places = [tiny_bert.PIECES.index(piece) for piece in ("the", "film", "##ing", "was")]
    assert words.join(places) == "the filming was"


@pytest.fixture(scope="module")
def unigram(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("unigram")
    train_tokenizer(
        TokenizerConfig(type="unigram", vocabulary_size=120), tiny_bert.write_texts(200)[0], folder
    )
    return load_tokenizer(folder)


def test_a_tokenizer_without_a_mask_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PresetError, match="no token for masks"):
        list_token_words(load_tokenizer(train_bpe(tmp_path, "gpt2")))


def test_words_of_tokens_that_hold_spaces_join_to_the_text(unigram: Tokenizer) -> None:
    words = list_token_words(unigram)
    ids = unigram.tokenize(tf.constant(["the film was good"])).values.numpy().tolist()
    assert words.join(ids) == "the film was good"
    assert not words.goes_on[ids[0]]
