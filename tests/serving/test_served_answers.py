"""What the served signature makes of batches of any size and of bytes of any kind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tiny_bert
from tolerances import TINY_BERT

pytestmark = pytest.mark.numerical

LABELS = ("disliked", "zły", "好")


def test_the_outputs_have_their_names_shapes_and_types(serve):
    answers = serve(["a lovely film", "dull", "the staff"])
    assert {name: (value.shape, value.dtype) for name, value in answers.items()} == {
        "label": ((3,), np.dtype(object)),
        "probabilities": ((3, 3), np.dtype(np.float32)),
        "logits": ((3, 3), np.dtype(np.float32)),
        "status": ((3,), np.dtype(object)),
    }
    assert [label.decode() for label in answers["label"]] == [LABELS[i] for i in answers["logits"].argmax(1)]
    exponentials = np.exp(answers["logits"])
    probabilities = exponentials / exponentials.sum(1, keepdims=True)
    np.testing.assert_allclose(answers["probabilities"], probabilities, atol=TINY_BERT)


def test_a_batch_of_none_is_answered_with_none(serve):
    shapes = {name: value.shape for name, value in serve([]).items()}
    assert shapes == {"label": (0,), "probabilities": (0, 3), "logits": (0, 3), "status": (0,)}


def test_a_batch_of_none_passes_mean_pooling(tiny_preset):
    import tensorflow as tf

    from kerasft.models.text.heads import build_fast_classifier
    from kerasft.models.text.presets import load_text_backbone
    from kerasft.tasks.text_classification.serving import TextClassifierModule
    from kerasft.text.tokenizers.vocabulary import load_vocabulary
    from kerasft.text.tokenizers.wordpiece import WordPiece

    model = build_fast_classifier(load_text_backbone(tiny_preset), 2, pooling="mean", dropout=0.1, seed=0)
    module = TextClassifierModule(model, WordPiece(load_vocabulary(tiny_preset)), 8, ("a", "b"))
    assert module.serving_default(tf.constant([], tf.string))["logits"].shape == (0, 2)
    assert np.isfinite(module.serving_default(tf.constant(["", "film"]))["logits"]).all()


def test_bytes_that_are_not_utf8_have_a_status_and_no_answer(serve):
    answers = serve([b"\xff\xfe dull\xc3 film", b"film", b"\x80", b"f\xf0\x9f\x91ilm"])
    assert answers["status"].tolist() == [b"invalid UTF-8", b"", b"invalid UTF-8", b"invalid UTF-8"]
    assert [label == b"" for label in answers["label"]] == [True, False, True, True]
    assert not answers["logits"][[0, 2, 3]].any()
    np.testing.assert_allclose(answers["logits"][1:2], serve([b"film"])["logits"], atol=TINY_BERT)


def test_a_very_long_text_counts_as_its_first_tokens(serve):
    start = "lovely film " * 11
    long = serve([start + "awful " * 200_000])["logits"]
    np.testing.assert_allclose(long, serve([start])["logits"], atol=TINY_BERT)
    assert not np.allclose(long, serve(["awful " * 200_000])["logits"], atol=1e-3)


def test_a_text_is_answered_alike_in_any_batch(serve):
    batch = tiny_bert.write_texts(32)[0]
    together = serve(batch)["logits"]
    alone = np.concatenate([serve([text])["logits"] for text in batch])
    np.testing.assert_allclose(together, alone, atol=TINY_BERT)
    assert np.ptp(alone, axis=0).min() > 1e-2


def test_threads_get_the_answers_of_their_own_texts(serve):
    batches = [tiny_bert.write_texts(size, seed=size)[0] for size in range(1, 17)]
    one_by_one = [serve(batch)["logits"] for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        for answers, logits in zip(pool.map(serve, batches * 4), one_by_one * 4, strict=True):
            np.testing.assert_allclose(answers["logits"], logits, atol=TINY_BERT)
