"""What every task must satisfy, on a tiny backbone: learns, saves, exports, reloads, answers the same in all forms.

A task comes into this suite by a line in `TASKS` and one in `EXPERIMENTS`.
"""

from __future__ import annotations

import json
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.data.feed import Feed, Moment
from kerasft.data.prepared import load_prepared_dataset
from kerasft.models.fetching import resolve_preset
from kerasft.models.forward import make_forward
from kerasft.progress import Silent
from kerasft.serving.publishing import replay
from kerasft.tasks import TASKS, load_task_class
from kerasft.tasks.base import Task
from kerasft.training.streams import make_stream, predict_outputs
from kerasft.training.trained import Trained, build_task, load_trained, open_feed

EXPERIMENTS = {"text_classification": "tiny_run"}
"""A task → the fixture that gives a run folder of it, all stages done."""

ODD_TEXTS = ["", "   ", "Ünïcödé 電影 👍🏽", "word " * 300, "[CLS] [SEP]", "x" * 150, "a\x00b"]


@pytest.fixture(scope="module", params=sorted(TASKS))
def trained(request: pytest.FixtureRequest) -> Trained:
    return load_trained(request.getfixturevalue(EXPERIMENTS[request.param]))


@pytest.fixture(scope="module")
def examples(trained: Trained) -> list[dict[str, Any]]:
    """The test split, raw."""
    split = load_prepared_dataset(trained.run.dataset).split("test")
    return split.take(np.arange(len(split)))


@pytest.fixture(scope="module")
def feed(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Feed:
    """The test split, as the model takes it."""
    dataset = load_prepared_dataset(trained.run.dataset)
    return open_feed(trained.task, dataset, "test", tmp_path_factory.mktemp("cache"), Silent())


@pytest.fixture(scope="module")
def outputs(trained: Trained, examples) -> np.ndarray:
    """Of the published model."""
    return trained.task.compute_outputs(make_forward(trained.model), examples)


def test_every_task_is_in_this_suite() -> None:
    assert set(EXPERIMENTS) == set(TASKS)
    for name in TASKS:
        assert issubclass(load_task_class(name), Task)


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


def test_a_batch_is_as_its_signature_says_and_as_the_model_takes_it(trained: Trained, feed: Feed) -> None:
    batch = make_stream(feed, 5, shuffle=False).batch(0)
    assert set(batch) == set(feed.signature)
    for name, spec in feed.signature.items():
        assert batch[name].dtype == spec.dtype.as_numpy_dtype
        assert spec.shape.is_compatible_with(batch[name].shape)
    inputs, labels = feed.unpack({name: tf.constant(array) for name, array in batch.items()})
    assert len(labels) == 5
    assert trained.model(inputs, training=False).shape == (5, *trained.model.output_shape[1:])


def test_a_batch_follows_from_rows_and_moment_alone(feed: Feed) -> None:
    rows, width = np.arange(4), int(feed.lengths[:4].max())
    first = feed.collate(rows, width, Moment(1, 2))
    feed.collate(rows[::-1], width, Moment(0, 0))
    again = feed.collate(rows, width, Moment(1, 2))
    for name, array in first.items():
        np.testing.assert_array_equal(array, again[name])


def test_references_stand_in_the_splits_order(trained: Trained, examples, feed: Feed) -> None:
    assert len(feed) == len(feed.references) == len(examples)
    stream = make_stream(feed, 5, shuffle=True, seed=3)
    for rows, (_, labels) in zip(stream.plan.batches, stream.dataset(), strict=True):
        np.testing.assert_array_equal(labels, feed.references[rows])


def test_it_overfits_one_batch(trained: Trained, feed: Feed) -> None:
    """From the preset, not from what was learned."""
    facts = trained.facts
    config, model_config = type(trained.task).parse_configs(facts["task"], facts["model"])
    task = type(trained.task)(config, model_config, facts["label_names"], resolve_preset(model_config.preset))
    keras.utils.set_random_seed(0)
    model = task.build_model(seed=0, matmul_dtype="float32")
    model.compile(keras.optimizers.Adam(5e-3), task.loss(), metrics=task.metrics(), jit_compile=False)
    inputs, labels = next(iter(make_stream(feed, 8, shuffle=True).dataset()))
    first = model.evaluate(inputs, labels, verbose=0, return_dict=True)
    model.fit(tf.data.Dataset.from_tensors((inputs, labels)).repeat(60), verbose=0)
    last = model.evaluate(inputs, labels, verbose=0, return_dict=True)
    assert last["accuracy"] == 1.0
    assert last["loss"] < 0.1 * first["loss"]


def test_depths_cover_the_model_from_0_up(trained: Trained) -> None:
    model = trained.task.build_model(seed=0, matmul_dtype="float32")
    depths = trained.task.compute_depths(model)
    assert {variable.path for variable in model.trainable_variables} <= set(depths)
    assert sorted(set(depths.values())) == list(range(max(depths.values()) + 1))


def test_answers_do_not_depend_on_batches(trained: Trained, examples, outputs) -> None:
    forward = make_forward(trained.model)
    for batch_size in (1, 7):
        again = trained.task.compute_outputs(forward, examples, batch_size)
        np.testing.assert_allclose(again, outputs, atol=1e-5)
    assert trained.task.compute_outputs(forward, []).shape == (0, outputs.shape[1])


def test_the_prepared_way_answers_as_the_raw_one(trained: Trained, feed: Feed, outputs) -> None:
    stream = make_stream(feed, 5, shuffle=False)
    cached = predict_outputs(make_forward(trained.model), stream)
    np.testing.assert_allclose(cached, outputs, atol=1e-5)


def test_published_and_found_again_it_answers_the_same(trained: Trained, examples, outputs, tmp_path) -> None:
    task = trained.task
    model = task.build_model(seed=3, matmul_dtype="float32")
    expected = task.compute_outputs(make_forward(model), examples)
    assert np.abs(expected - outputs).max() > 1e-3
    task.publish(model, tmp_path)
    found = task.load_published(tmp_path)
    np.testing.assert_allclose(task.compute_outputs(make_forward(found), examples), expected, atol=1e-5)
    # the preset that was written beside it feeds another training
    again = build_task_on(trained, tmp_path / "preset").build_model(seed=3, matmul_dtype="float32")
    for name in ("embeddings", "transformer_layer_1"):
        for a, b in zip(
            again.get_layer("fast_bert_encoder").get_layer(name).trainable_variables,
            model.get_layer("fast_bert_encoder").get_layer(name).trainable_variables,
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)


def build_task_on(trained: Trained, preset) -> Task:
    config, model_config = type(trained.task).parse_configs(trained.facts["task"], trained.facts["model"])
    return type(trained.task)(config, model_config, trained.facts["label_names"], preset)


def test_the_export_answers_the_same_in_a_clean_process(trained: Trained, examples, outputs) -> None:
    version = next(path for path in trained.run.export.iterdir() if path.name == "1")
    texts = [example["text"] for example in examples] + ODD_TEXTS
    answers = replay(version, texts)
    odd = trained.task.compute_outputs(make_forward(trained.model), [{"text": text} for text in ODD_TEXTS])
    expected = np.concatenate([outputs, odd])
    np.testing.assert_allclose(answers["logits"], expected, atol=1e-4)
    decoded = trained.task.decode(expected)
    assert answers["label"].tolist() == [row["label"] for row in decoded]
    for served, row in zip(answers["probabilities"], decoded, strict=True):
        np.testing.assert_allclose(served, list(row["probabilities"].values()), atol=1e-5)


def test_the_module_tokenizes_as_encode_does(trained: Trained, examples) -> None:
    module = trained.task.serving_module(trained.model)
    texts = [example["text"] for example in examples] + ODD_TEXTS
    rows = trained.task.encode([{"text": text} for text in texts])["token_ids"]
    inputs = module._word_piece.encode(tf.constant(texts), module._max_length)
    assert inputs["token_ids"].shape[1] == max(len(row) for row in rows)
    for ids, mask, row in zip(inputs["token_ids"].numpy(), inputs["padding_mask"].numpy(), rows, strict=True):
        assert ids[mask == 1].tolist() == row.tolist()
        assert mask.sum() == len(row)


def test_what_is_decoded_is_json_and_sums_up(trained: Trained, outputs) -> None:
    decoded = trained.task.decode(outputs)
    assert json.loads(json.dumps(decoded, allow_nan=False)) == decoded
    for row, logits in zip(decoded, outputs, strict=True):
        assert row["label"] == trained.task.label_names[int(logits.argmax())]
        assert tuple(row["probabilities"]) == trained.task.label_names
        assert sum(row["probabilities"].values()) == pytest.approx(1.0)
    assert trained.task.decode(outputs[:0]) == []


def test_figures_are_scikit_learns(trained: Trained, examples, outputs) -> None:
    from sklearn import metrics

    labels = np.array([example["label"] for example in examples], np.int32)
    doubtful = outputs * np.float32(0.1)
    doubtful[::5] = doubtful[::5, ::-1]  # so that some answers are wrong
    figures = trained.task.evaluate(doubtful, labels, bootstrap_samples=200, seed=0)
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
        for figure in trained.task.evaluate(doubtful, labels, bootstrap_samples=0, seed=0).values()
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
    from kerasft.models.presets import load_text_backbone

    config = load_experiment("task.pooling=mean")
    preset = resolve_preset(config.model.preset)
    task = build_task(config, trained.task.label_names, preset)
    task.publish(task.build_model(seed=0, matmul_dtype="float32"), tmp_path)
    for name in ("pooled_dense", "token_embedding"):
        came, kept = (load_text_backbone(folder).get_layer(name) for folder in (preset, tmp_path / "preset"))
        for a, b in zip(came.weights, kept.weights, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=a.path)
