"""What logits say: one label, or any number of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit, softmax

from kerasft.tasks.answers import MultiLabel, SingleLabel

NAMES = ("cat", "dog", "owl")
LOGITS = np.array([[2.0, -1.0, 0.0], [-3.0, -4.0, -800.0], [900.0, 1.0, 0.5]], np.float32)
REFERENCES = np.array([[1, 0, 0], [0, 0, 0], [1, 1, 1]], np.uint8)


def test_probabilities_are_softmax_or_sigmoid_without_overflow():
    with np.errstate(all="raise", under="ignore"):
        assert SingleLabel(NAMES).probabilities(LOGITS) == pytest.approx(softmax(LOGITS.astype(float), 1))
        assert MultiLabel(NAMES).probabilities(LOGITS) == pytest.approx(expit(LOGITS.astype(float)))


def test_labels_from_one_half_on_are_answered():
    decoded = MultiLabel(NAMES).decode(LOGITS)
    assert [answer["labels"] for answer in decoded] == [["cat", "owl"], [], ["cat", "dog", "owl"]]
    assert list(decoded[0]["probabilities"]) == list(NAMES)
    assert json.loads(json.dumps(decoded)) == decoded


def test_records_hold_truth_and_prediction_by_name():
    prediction = MultiLabel(NAMES).decode(LOGITS)[0]
    record = MultiLabel(NAMES).record({"labels": (2, 0)}, prediction)
    assert (record["labels"], record["predicted"]) == (["cat", "owl"], ["cat", "owl"])
    assert record["probabilities"] == prediction["probabilities"]
    one = SingleLabel(NAMES)
    assert one.record({"label": 2}, one.decode(LOGITS)[0])["predicted"] == "cat"


def test_people_are_told_the_least_sure_of_the_labels():
    answers = MultiLabel(NAMES)
    records = [
        answers.record({"labels": labels}, prediction)
        for labels, prediction in zip(((0,), (), (0, 1)), answers.decode(LOGITS), strict=True)
    ]
    told = [answers.summarize(record) for record in records]
    assert [(truth, predicted) for truth, predicted, _ in told] == [
        ("cat", "cat, owl"),
        ("none", "none"),
        ("cat, dog", "cat, dog, owl"),
    ]
    assert [sure for *_, sure in told] == pytest.approx([0.5, expit(3.0), expit(0.5)])


def test_figures_and_pictures_come_from_the_same_threshold():
    answers = MultiLabel(NAMES)
    figures = answers.evaluate(LOGITS, REFERENCES, bootstrap_samples=0, seed=0)
    assert figures["accuracy"]["value"] == pytest.approx(2 / 3)
    assert figures["hamming_loss"]["value"] == pytest.approx(1 / 9)
    (figure,) = answers.draw(LOGITS, REFERENCES).values()
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == pytest.approx([1.0, 1.0, 0.5, 1.0, 1.0, 1.0])  # precision by label, then recall
