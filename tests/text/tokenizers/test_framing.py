"""Special tokens around one text and around two, against Hugging Face's `tokenizers`."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from tokenizer_oracle import CORE_OPS, build_reference, build_vocabulary, list_ops
from tokenizers.processors import BertProcessing

from kerasft.text.encoding import TextEncoder
from kerasft.text.tokenizers.base import ABSENT
from kerasft.text.tokenizers.wordpiece import WordPiece

VOCABULARY = build_vocabulary("abcdefghij", lowercase=True, strip_accents=True)


def make_texts(count: int, seed: int) -> list[str]:
    """Texts of none to some twenty tokens."""
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice([*"abcdefghij"], generator.integers(0, 21))) for _ in range(count)]


FIRST, SECOND = make_texts(200, 0), make_texts(200, 1)


@pytest.fixture(scope="module")
def tokenizer() -> WordPiece:
    return WordPiece(VOCABULARY)


def encode_with_reference(max_length: int | None, pairs: bool) -> list[tuple[list[int], list[int]]]:
    reference = build_reference(VOCABULARY)
    reference.post_processor = BertProcessing(
        ("[SEP]", VOCABULARY.separator_id), ("[CLS]", VOCABULARY.cls_id)
    )
    if max_length is not None:
        reference.enable_truncation(max_length, strategy="longest_first")
    found = reference.encode_batch(list(zip(FIRST, SECOND, strict=True)) if pairs else FIRST)
    return [(each.ids, each.type_ids) for each in found]


@pytest.mark.parametrize("pairs", [False, True])
@pytest.mark.parametrize("max_length", [None, 3, 4, 9, 16, 17, 60])
def test_ids_and_segments_are_those_of_tokenizers(tokenizer, pairs: bool, max_length: int | None) -> None:
    ids = tokenizer.tokenize(FIRST)
    framed = tokenizer.frame(ids, tokenizer.tokenize(SECOND) if pairs else None, max_length=max_length)
    found = list(zip(framed.token_ids.to_list(), framed.segment_ids.to_list(), strict=True))
    assert found == encode_with_reference(max_length, pairs)


def test_one_text_is_framed_as_it_is_encoded(tokenizer) -> None:
    framed = tokenizer.frame(tokenizer.tokenize(FIRST), max_length=9)
    assert framed.token_ids.to_list() == tokenizer.encode_ragged(FIRST, 9).to_list()


def test_pairs_are_padded_to_the_longest(tokenizer) -> None:
    inputs = tokenizer.encode(tf.constant(FIRST), 16, tf.constant(SECOND))
    for row, (ids, segments) in enumerate(encode_with_reference(16, True)):
        rest = 16 - len(ids)
        assert inputs["token_ids"][row].numpy().tolist() == ids + rest * [VOCABULARY.padding_id]
        assert inputs["segment_ids"][row].numpy().tolist() == segments + rest * [0]
        assert inputs["padding_mask"][row].numpy().tolist() == len(ids) * [1] + rest * [0]


def test_pairs_for_the_cache_are_what_a_served_model_makes_of_them(tokenizer) -> None:
    encoder = TextEncoder(tokenizer, 16)
    rows = encoder.encode_pairs(FIRST, SECOND)
    lengths = np.array([len(ids) for ids, _ in rows])
    padded = np.zeros((len(rows), 16), np.int32)
    for target, (ids, _) in zip(padded, rows, strict=True):
        target[: len(ids)] = ids
    batch = encoder.pad(padded, lengths, np.array([first for _, first in rows]))
    for name, served in tokenizer.encode(tf.constant(FIRST), 16, tf.constant(SECOND)).items():
        np.testing.assert_array_equal(batch[name], served)


def test_a_model_is_given_the_inputs_that_it_names(tokenizer) -> None:
    encoder = TextEncoder(tokenizer, 16, ("token_ids", "padding_mask"))
    assert list(encoder.pad(np.ones((2, 3), np.int32), np.array([1, 3]))) == ["token_ids", "padding_mask"]


@pytest.mark.parametrize(("pairs", "least"), [(False, 2), (True, 3)])
def test_special_tokens_must_have_room(tokenizer, pairs: bool, least: int) -> None:
    ids = tokenizer.tokenize(["a b"])
    with pytest.raises(ValueError, match=f"at least {least}"):
        tokenizer.frame(ids, ids if pairs else None, max_length=least - 1)
    framed = tokenizer.frame(ids, ids if pairs else None, max_length=least)
    assert framed.token_ids.row_lengths().numpy().tolist() == [least]


def test_what_a_tokenizer_tells_of_itself_is_its_vocabularys(tokenizer) -> None:
    assert tokenizer.vocabulary_size == VOCABULARY.size
    assert tokenizer.fingerprint == VOCABULARY.fingerprint()
    special = tokenizer.special_ids
    assert [VOCABULARY.pieces[each] for each in special[:5]] == ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    assert special.begin == special.end == ABSENT


def test_pairs_are_served_in_core_ops(tokenizer, tmp_path) -> None:
    class Served(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name=name) for name in ("a", "b")])
        def serve(self, a, b):
            return tokenizer.encode(a, 16, b)

    tf.saved_model.save(Served(), str(tmp_path / "saved"))
    more = "All Assert BroadcastArgs ExpandDims FloorDiv OnesLike RaggedGather RaggedTensorToTensor Tile Transpose"
    known = {*CORE_OPS.split(), *more.split()}
    assert list_ops(tmp_path / "saved") <= known
    served = tf.saved_model.load(str(tmp_path / "saved")).serve(tf.constant(FIRST), tf.constant(SECOND))
    for name, expected in tokenizer.encode(tf.constant(FIRST), 16, tf.constant(SECOND)).items():
        np.testing.assert_array_equal(served[name], expected)
