from __future__ import annotations

import numpy as np

from kerasft.report.verdict import build_verdict
from kerasft.tasks.labels_display import SplitPredictions


def verdict_of(content, split="test"):
    return {statement.text: statement.tone for statement in build_verdict(content, split)}


def find(verdict, words):
    return next(((text, tone) for text, tone in verdict.items() if words in text), (None, None))


def test_headline_says_how_often_and_how_surely(build_content):
    content = build_content()
    figure = content.figures["test"]["accuracy"]
    expected = (
        f"{100 * figure['value']:.1f}\u202f% of the time (95\u202f% interval {100 * figure['low']:.1f}–"
    )
    assert content.shown["test"].headline.startswith("On 300 test examples the model is right " + expected)


def test_a_model_that_guesses_is_said_to_be_no_better(build_content, predict):
    text, tone = find(
        verdict_of(build_content(predictions={"test": predict(400, skill=0.0)})), "Always saying"
    )
    assert tone == "bad"
    assert "not better than that beyond what chance explains" in text


def test_a_model_that_is_worse_than_one_label_is_said_to_be(build_content, predict):
    text, tone = find(
        verdict_of(build_content(predictions={"test": predict(400, skill=-2.0)})), "Always saying"
    )
    assert (tone, "is worse than that" in text) == ("bad", True)


def test_a_good_model_is_better_than_the_most_frequent_label(build_content, predict):
    found = predict(300)
    text, tone = find(verdict_of(build_content(predictions={"test": found})), "Always saying")
    labels = found.labels
    assert f"{100 * max(np.mean(labels), 1 - np.mean(labels)):.1f}\u202f%" in text
    assert tone == "good"


def test_confidence_is_judged_both_ways(build_content, predict):
    assert find(verdict_of(build_content(predictions={"test": predict(2000, scale=4.0)})), "over-confident")[
        0
    ]
    assert find(verdict_of(build_content(predictions={"test": predict(2000, scale=0.3)})), "under-confident")[
        0
    ]
    fair = verdict_of(build_content(predictions={"test": predict(2000, skill=2.0, scale=2.0)}))
    assert find(fair, "well calibrated")[1] == "good"


def test_label_smoothing_is_named_where_it_makes_a_model_unsure(build_content, predict):
    unsure, over_sure = predict(2000, scale=0.3), predict(2000, scale=4.0)
    text, _ = find(
        verdict_of(build_content(predictions={"test": unsure}, label_smoothing=0.1)), "under-confident"
    )
    assert "the training target was to be 95.0\u202f% sure and no more (task.label_smoothing: 0.1)" in text
    for others in (
        build_content(predictions={"test": unsure}),
        build_content(predictions={"test": over_sure}, label_smoothing=0.1),
    ):
        assert not [text for text in verdict_of(others) if "smoothing" in text]


def test_the_most_frequent_confusion_is_named_with_its_share(build_content):
    labels = np.array([0] * 10 + [1] * 10)
    predictions = np.array([1] * 4 + [0] * 6 + [1] * 9 + [0])
    found = SplitPredictions(probabilities=np.eye(2)[predictions], labels=labels, texts=["x"] * 20)
    text, _ = find(verdict_of(build_content(predictions={"test": found})), "Its most frequent mistake")
    assert "no\u2069” taken for “\u2068yes\u2069” (4 of 10, 40.0\u202f%)" in text


def test_leaks_into_the_split_are_told_unless_dropped(build_content):
    content = build_content()
    assert find(verdict_of(content), "3 test examples are also in train")[1] == "fair"
    assert find(verdict_of(content, "validation"), "also in train")[0] is None
    dropped = {"train → test": {"exact": 2, "near": 1, "dropped": 3}}
    content = build_content(manifest={**content.manifest, "leaks": dropped})
    assert find(verdict_of(content), "also in train")[0] is None


def test_one_label_alone_and_few_examples_are_owned_up_to(build_content):
    found = SplitPredictions(
        probabilities=np.array([[0.9, 0.1]] * 3), labels=np.array([0, 0, 0]), texts=["x"] * 3
    )
    verdict = verdict_of(build_content(predictions={"test": found}))
    assert find(verdict, "All examples are labelled")[1] == "fair"
    assert find(verdict, "There are few examples")[0]
    assert find(verdict, "roc_auc, mcc (the examples have only one label)")[0]


def test_rare_labels_that_fare_worse_are_told(build_content):
    labels = np.array([0] * 190 + [1] * 10)
    found = SplitPredictions(probabilities=np.tile([[0.8, 0.2]], (200, 1)), labels=labels, texts=["x"] * 200)
    assert find(verdict_of(build_content(predictions={"test": found})), "worse on rare labels")[1] == "fair"
