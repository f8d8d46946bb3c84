"""Several tokenizers and encoders in one process are each traced once, and TensorFlow does not warn of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import tensorflow as tf
import tiny_bert

from kerasft.tasks.masked_lm.encoding import MaskedEncoder
from kerasft.text.encoding import TextEncoder
from kerasft.text.token_words import list_token_words
from kerasft.text.tokenizers.vocabulary import WordPieceVocabulary
from kerasft.text.tokenizers.wordpiece import WordPiece


class Kept(logging.Handler):
    """Keeps the texts of records."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    logger, handler = tf.get_logger(), Kept()
    level = logger.level
    logger.setLevel(logging.WARNING)
    logger.addHandler(handler)
    yield handler.texts
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_encoders_of_several_runs_are_not_taken_for_one_that_is_traced_again(warnings: list[str]) -> None:
    vocabulary = WordPieceVocabulary(tuple(tiny_bert.PIECES), lowercase=True, strip_accents=True)
    for length in range(8, 16):
        tokenizer = WordPiece(vocabulary)
        TextEncoder(tokenizer, length).encode(["the film was good"])
        encoder = MaskedEncoder(tokenizer, length, list_token_words(tokenizer), special_tokens=True)
        encoder.cut_questions(["the [MASK] was good"])
        encoder.cut_documents(["the film was good"])
    assert not [text for text in warnings if "retracing" in text]
    # and it would be seen
    for number in range(8):
        tf.function(lambda x, number=number: x + number)(tf.constant(1))
    assert [text for text in warnings if "retracing" in text]
