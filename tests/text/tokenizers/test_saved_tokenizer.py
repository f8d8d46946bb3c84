"""A saved tokenizer holds core TensorFlow ops alone and answers as it did."""

from __future__ import annotations

import subprocess
import sys

import pytest
import tensorflow as tf
from bpe_oracle import train_bpe
from tokenizer_oracle import CORE_OPS, MORE_CORE_OPS, build_vocabulary, list_ops, real_vocabulary
from unigram_oracle import KINDS, train_sentencepiece

from kerasft.text.tokenizers.bpe_files import read_byte_bpe
from kerasft.text.tokenizers.byte_bpe import ByteBpe
from kerasft.text.tokenizers.characters import Characters, CharacterVocabulary
from kerasft.text.tokenizers.sentencepiece_model import read_sentencepiece_model
from kerasft.text.tokenizers.unigram import Unigram
from kerasft.text.tokenizers.wordpiece import WordPiece

TEXTS = ["unaffable the", "", "ÀB é [SEP] 中国", "a\u302e\ua953", "x" * 200]


class Served(tf.Module):
    """A tokenizer behind a signature, as an export holds it."""

    def __init__(self, tokenizer: WordPiece):
        super().__init__()
        self.tokenizer = tokenizer

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serve(self, text):
        return self.tokenizer.encode(text, 16)


def save(folder, *, marks: bool = True) -> Served:
    characters = "abcdefghilnutxé中国" + ("\u302e\ua953" if marks else "")
    vocabulary = build_vocabulary(
        characters, "the", "un", "##aff", "##able", lowercase=True, strip_accents=True
    )
    served = Served(WordPiece(vocabulary))
    tf.saved_model.save(served, str(folder), signatures={"serving_default": served.serve})
    return served


def test_a_saved_tokenizer_answers_as_before(tmp_path):
    served = save(tmp_path)
    loaded = tf.saved_model.load(str(tmp_path)).signatures["serving_default"]
    for texts in (TEXTS, [], TEXTS[:1]):
        batch = tf.constant(texts, tf.string, shape=[len(texts)])
        expected = served.serve(batch)
        answer = loaded(text=batch)
        assert set(answer) == {"token_ids", "segment_ids", "padding_mask"}
        for name, array in answer.items():
            tf.debugging.assert_equal(array, expected[name])


@pytest.mark.parametrize("marks", [False, True])
def test_a_saved_tokenizer_holds_core_ops_only(tmp_path, marks):
    save(tmp_path, marks=marks)
    assert list_ops(tmp_path) - set(CORE_OPS.split()) == set()


class Written(tf.Module):
    """A language model's tokenizer behind signatures: it reads texts, and writes them."""

    def __init__(self, tokenizer):
        super().__init__()
        self.tokenizer = tokenizer

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def read(self, text):
        return self.tokenizer.encode(text, 16)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32, name="ids")])
    def write(self, ids):
        return {"text": self.tokenizer.decode(ids), "parts": self.tokenizer.spell(ids)}


def check_saved(tokenizer, folder) -> None:
    """It answers as before when it is loaded, and consists of core ops."""
    module = Written(tokenizer)
    tf.saved_model.save(module, str(folder), signatures={"read": module.read, "write": module.write})
    assert list_ops(folder) - set((CORE_OPS + MORE_CORE_OPS).split()) == set()
    signatures = tf.saved_model.load(str(folder)).signatures
    for texts in (TEXTS, [], TEXTS[:1]):
        batch = tf.constant(texts, tf.string, shape=[len(texts)])
        expected, answer = module.read(batch), signatures["read"](text=batch)
        for name, array in answer.items():
            tf.debugging.assert_equal(array, expected[name])
        written = signatures["write"](ids=answer["token_ids"])
        tf.debugging.assert_equal(written["text"], tokenizer.decode(answer["token_ids"]))


def test_a_saved_byte_bpe_answers_as_before_and_holds_core_ops_only(tmp_path):
    tokenizer = ByteBpe(read_byte_bpe(train_bpe(tmp_path / "trained", "llama3", size=300)))
    check_saved(tokenizer, tmp_path / "saved")


def test_a_saved_tokenizer_works_inside_a_dataset(tmp_path):
    served = save(tmp_path)
    dataset = (
        tf.data.Dataset.from_tensor_slices(TEXTS).batch(2).map(lambda t: served.tokenizer.encode_ragged(t, 8))
    )
    rows = [row for batch in dataset for row in batch.to_list()]
    assert rows == served.tokenizer.encode_ragged(tf.constant(TEXTS), 8).to_list()


@pytest.mark.slow
def test_a_saved_tokenizer_loads_in_a_process_without_kerasft(tmp_path):
    served = save(tmp_path)
    expected = served.serve(tf.constant(TEXTS))["token_ids"].numpy().tolist()
    code = (
        "import sys, tensorflow as tf\n"
        f"answer = tf.saved_model.load({str(tmp_path)!r}).signatures['serving_default'](text=tf.constant({TEXTS!r}))\n"
        "assert not {'kerasft', 'keras_hub', 'tensorflow_text'} & set(sys.modules)\n"
        "print(answer['token_ids'].numpy().tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == str(expected)


def test_a_real_vocabulary_adds_little_to_an_export(tmp_path):
    served = Served(WordPiece(real_vocabulary("bert_uncased.txt", lowercase=True)))
    tf.saved_model.save(served, str(tmp_path), signatures={"serving_default": served.serve})
    assert (tmp_path / "saved_model.pb").stat().st_size < 4_000_000


@pytest.mark.parametrize("kind", ["t5", "bytes"])
def test_a_saved_unigram_answers_as_before_and_holds_core_ops_only(tmp_path, kind):
    train_sentencepiece(tmp_path / "spiece.model", **KINDS[kind])
    check_saved(Unigram(read_sentencepiece_model(tmp_path / "spiece.model")), tmp_path / "saved")


def test_saved_characters_answer_as_before_and_hold_core_ops_only(tmp_path):
    check_saved(Characters(CharacterVocabulary(("a", "b", "é", "中"))), tmp_path / "saved")
