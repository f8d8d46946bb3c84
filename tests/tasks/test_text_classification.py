"""What only a text classifier promises: its tokens, its loss, its figures, its pooler."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from kerasft.data.prepared import load_prepared_dataset
from kerasft.models.fetching import resolve_preset
from kerasft.tasks.classifier import stack_logits
from kerasft.training.trained import Trained, build_task, load_trained

ODD_TEXTS = ["", "   ", "Ünïcödé 電影 👍🏽", "word " * 300, "[CLS] [SEP]", "x" * 150, "a\x00b"]


@pytest.fixture(scope="module")
def trained(tiny_run) -> Trained:
    return load_trained(tiny_run)


@pytest.fixture(scope="module")
def examples(trained: Trained):
    """The test split, raw."""
    split = load_prepared_dataset(trained.run.dataset).split("test")
    return split.take(np.arange(len(split)))


@pytest.fixture(scope="module")
def outputs(trained: Trained, examples) -> np.ndarray:
    """Of the published model."""
    return stack_logits(trained.answer(examples))


def test_encode_is_pure(trained: Trained, examples) -> None:
    before = json.dumps(examples)
    first, again = trained.task.encode(examples), trained.task.encode(examples[::-1])
    assert json.dumps(examples) == before
    for name, column in first.items():
        assert len(column) == len(examples)
        for a, b in zip(column, list(again[name])[::-1], strict=True):
            np.testing.assert_array_equal(a, b)
    alone = trained.task.encode(examples[5:6])
    for name, column in alone.items():
        np.testing.assert_array_equal(column[0], first[name][5])


def test_the_module_tokenizes_as_encode_does(trained: Trained, examples) -> None:
    module = trained.task.serve(trained.model).module
    texts = [example["text"] for example in examples] + ODD_TEXTS
    rows = trained.task.encode([{"text": text} for text in texts])["token_ids"]
    inputs = module._tokenizer.encode(tf.constant(texts), module._max_length)
    assert inputs["token_ids"].shape[1] == max(len(row) for row in rows)
    for ids, mask, row in zip(inputs["token_ids"].numpy(), inputs["padding_mask"].numpy(), rows, strict=True):
        assert ids[mask == 1].tolist() == row.tolist()
        assert mask.sum() == len(row)


def test_figures_are_scikit_learns(trained: Trained, examples, outputs) -> None:
    from sklearn import metrics

    labels = np.array([example["label"] for example in examples], np.int32)
    doubtful = outputs * np.float32(0.1)
    doubtful[::5] = doubtful[::5, ::-1]  # so that some answers are wrong
    figures = trained.task.answers.evaluate(doubtful, labels, bootstrap_samples=200, seed=0)
    probabilities = tf.nn.softmax(doubtful.astype(np.float64)).numpy()
    predicted = probabilities.argmax(1)
    expected = {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "macro_f1": metrics.f1_score(labels, predicted, average="macro"),
        "weighted_f1": metrics.f1_score(labels, predicted, average="weighted"),
        "mcc": metrics.matthews_corrcoef(labels, predicted),
        "roc_auc": metrics.roc_auc_score(labels, probabilities[:, 1]),
        "log_loss": metrics.log_loss(labels, probabilities),
    }
    assert expected["accuracy"] < 1
    for name, value in expected.items():
        figure = figures[name]
        assert figure["value"] == pytest.approx(value, abs=1e-9), name
        assert figure["low"] <= figure["value"] <= figure["high"], name
    assert json.dumps(figures, allow_nan=False)
    assert all(
        "low" not in figure
        for figure in trained.task.answers.evaluate(doubtful, labels, bootstrap_samples=0, seed=0).values()
    )


def test_its_fingerprint_follows_what_encode_follows(trained: Trained, load_experiment) -> None:
    def fingerprint(*overrides):
        config = load_experiment(*overrides)
        return build_task(config, trained.task.label_names, trained.task.preset).encoder_fingerprint

    assert fingerprint() == fingerprint() == trained.task.encoder_fingerprint
    assert fingerprint("model.max_length=16") != fingerprint()
    assert fingerprint("train.epochs=9") == fingerprint()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_cross_entropy_by_hand(trained: Trained, load_experiment, smoothing) -> None:
    config = load_experiment(f"task.label_smoothing={smoothing}")
    task = build_task(config, ("a", "b", "c"), trained.task.preset)
    logits = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 3.0]], np.float32)
    labels = np.array([0, 1], np.int32)
    log_probabilities = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    targets = np.eye(3)[labels] * (1 - smoothing) + smoothing / 3
    expected = -(targets * log_probabilities).sum(1).mean()
    loss = task.loss()
    assert float(loss(labels, logits)) == pytest.approx(expected, rel=1e-6)
    assert float(loss(labels[:, None], logits)) == pytest.approx(expected, rel=1e-6)
    copy = type(loss).from_config(loss.get_config())
    assert float(copy(labels, logits)) == pytest.approx(expected, rel=1e-6)


def test_a_pooler_that_did_not_learn_is_handed_on_as_it_came(
    trained: Trained, load_experiment, tmp_path
) -> None:
    from kerasft.models.text.presets import load_text_backbone

    config = load_experiment("task.pooling=mean")
    preset = resolve_preset(config.model.preset)
    task = build_task(config, trained.task.label_names, preset)
    task.publish(task.build_model(seed=0, matmul_dtype="float32"), tmp_path)
    for name in ("pooled_dense", "token_embedding"):
        came, kept = (load_text_backbone(folder).get_layer(name) for folder in (preset, tmp_path / "preset"))
        for a, b in zip(came.weights, kept.weights, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=a.path)
