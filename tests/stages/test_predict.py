"""predict: answers in the input's order, whatever the texts and however they come."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_bert import write_texts
from tolerances import TINY_BERT

from kerasft.errors import ConfigError, DataError
from kerasft.runs.folder import RunFolder
from kerasft.stages.predict import Predictor


@pytest.fixture(scope="module")
def predictor(tiny_run) -> Predictor:
    return Predictor(tiny_run, batch_size=8)


def test_answers_keep_the_order_of_texts_of_all_lengths(predictor: Predictor) -> None:
    texts, labels = write_texts(60, seed=5)
    texts[7], texts[31] = texts[7] + " the the" * 400, ""
    rows = [{"text": text, "id": index} for index, text in enumerate(texts)]
    answers = list(predictor.predict(rows, rows_ahead=7))
    assert [answer["id"] for answer in answers] == list(range(60))
    assert [answer["text"] for answer in answers] == texts
    right = [answer["label"] == label for answer, label in zip(answers, labels, strict=True)]
    assert np.mean(right) > 0.9
    for index in (0, 7, 31, 59):
        alone = next(iter(predictor.predict([rows[index]])))
        assert alone["label"] == answers[index]["label"]
        assert alone["probabilities"] == pytest.approx(answers[index]["probabilities"], abs=TINY_BERT)


def test_windows_do_not_change_answers(predictor: Predictor) -> None:
    rows = [{"text": text} for text in write_texts(20, seed=6)[0]]
    whole = list(predictor.predict(rows))
    for window in (1, 3, 20, 21):
        for a, b in zip(predictor.predict(rows, rows_ahead=window), whole, strict=True):
            assert a["probabilities"] == pytest.approx(b["probabilities"], abs=TINY_BERT)


def test_no_more_than_a_window_is_read_ahead(predictor: Predictor) -> None:
    read = []

    def rows():
        for index in range(100):
            read.append(index)
            yield {"text": "a good film"}

    answers = predictor.predict(rows(), rows_ahead=5)
    next(answers)
    assert len(read) == 5


@pytest.mark.parametrize(
    "text", ["", " \n\t ", "good film " * 10_000, "x" * 100_000, "\ud800", "\x00", "👍🏽" * 50]
)
def test_any_string_has_an_answer(predictor: Predictor, text: str) -> None:
    answer = next(iter(predictor.predict([{"text": text}])))
    assert answer["label"] in ("liked", "disliked")
    assert sum(answer["probabilities"].values()) == pytest.approx(1)
    json.dumps(answer, allow_nan=False)


def test_nothing_in_nothing_out(predictor: Predictor) -> None:
    assert list(predictor.predict([])) == []


@pytest.mark.parametrize("row", [{"text": None}, {"text": 3}, {"review": "good"}, {"text": b"good"}])
def test_what_is_no_text_is_named_by_its_place(predictor: Predictor, row) -> None:
    rows = [{"text": "a good film"}] * 4 + [row]
    answers = predictor.predict(rows, rows_ahead=3)
    assert len([next(answers) for _ in range(3)]) == 3
    with pytest.raises(DataError, match=r"inputs\[4\]: the input holds no text"):
        next(answers)


def test_a_folder_without_a_model_is_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="no trained model"):
        Predictor(RunFolder(tmp_path))
