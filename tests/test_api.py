"""kerasft from Python, on lists."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny_bert import write_experiment, write_texts

import kerasft
from kerasft.api import _read_splits
from kerasft.config.loading import load_config
from kerasft.errors import ConfigError, KerasftError
from kerasft.experiment import ExperimentConfig


@pytest.mark.slow
def test_lists_in_a_model_out(tmp_path: Path, tiny_preset: Path) -> None:
    texts, labels = write_texts(60)
    numbers = np.array([label == "liked" for label in labels]).astype(np.int64)
    run = kerasft.finetune(
        task="text_classification",
        preset=str(tiny_preset),
        texts=texts,
        labels=numbers,
        epochs=4,
        learning_rate=5e-3,
        output=tmp_path / "run",
        overrides=["model.max_length=32", "train.precision=float32", "export.replay_examples=4"],
    )
    assert run.config.train.epochs == 4
    assert set(run.metrics) == {"finetune"}
    one = run.predict("this film is superb")
    assert (one["label"], set(one["probabilities"])) == ("1", {"0", "1"})
    assert [row["label"] for row in run.predict(["a bad meal", "a good meal"])] == ["0", "1"]
    figures = run.evaluate()
    assert set(figures) == {"validation", "test"}
    assert run.metrics["evaluate"] == figures
    version = run.export(tmp_path / "served" / "1")
    assert version == tmp_path / "served" / "1"
    serve = tf.saved_model.load(str(version)).signatures["serving_default"]
    answers = serve(text=tf.constant(["a bad meal", "a good meal"]))
    assert answers["label"].numpy().tolist() == [b"0", b"1"]
    assert run.model.output_shape == (None, 2)


def test_a_run_is_found_again(tiny_run) -> None:
    run = kerasft.load_run(tiny_run.path)
    assert run.config.name == "tiny"
    assert run.predict("a superb story")["label"] == "liked"
    assert repr(run) == f"kerasft.Run({str(tiny_run.path)!r})"


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no trained model"):
        kerasft.load_run(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give a config file, or preset, texts and labels"),
        ({"preset": "x", "texts": ["a"]}, "give a config file, or preset, texts and labels"),
        ({"preset": "x", "texts": ["a", "b"], "labels": [1]}, "2 texts and 1 labels"),
        ({"preset": "x", "texts": ["a", "b"], "labels": [1, 0], "epochs": 0}, "epochs"),
        ({"preset": "x", "texts": ["a", "b"], "labels": [1, 0], "learning_rate": 0.0}, "learning_rate"),
        ({"preset": "x", "texts": ["a", "b"], "labels": [1, 0], "name": "a b"}, "name"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(tmp_path: Path, arguments, message) -> None:
    with pytest.raises(KerasftError, match=message) as caught:
        kerasft.finetune(output=tmp_path / "run", **arguments)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texts": "abc"}, "`texts` is to be a list, an array or a Series of one dimension; got 'abc'"),
        ({"texts": b"abc"}, "`texts` is to be a list"),
        ({"labels": "010"}, "`labels` is to be a list"),
        ({"labels": {"a": 1, "b": 0}}, "`labels` is to be a list, an array .*; got dict"),
        ({"texts": {"a", "b"}}, "got set"),
        ({"texts": np.array([["a"], ["b"]])}, "got ndarray"),
        ({"texts": np.array("a")}, "got ndarray"),
        ({"labels": 3}, "got int"),
        ({"texts": ["a", 5]}, "text 1 is no string but 5"),
        ({"labels": [1, object()]}, "label 1 is neither string, number nor truth value"),
        ({"validation": "ab"}, "validation: expected two lists"),
        ({"test": (["a"], "b")}, "test: `labels` is to be a list"),
        ({"validation": (["a"], [1, 2])}, "validation: 1 texts and 2 labels"),
        ({"texts": []}, "train: `texts` is empty"),
        ({"labels": [1, 1]}, "train: `labels` holds only 1: a classifier needs texts of at least two labels"),
        ({"overrides": "train.epochs=1"}, "`overrides` is to be a list"),
    ],
)
def test_what_is_no_list_is_refused_before_anything_is_written(tmp_path: Path, arguments, message) -> None:
    given = {"preset": "x", "texts": ["a", "b"], "labels": [1, 0], **arguments}
    with pytest.raises(ConfigError, match=message):
        kerasft.finetune(output=tmp_path / "run", **given)
    assert not (tmp_path / "run" / "inputs").exists()


class Column:
    """Yields its items and has one dimension, as a pandas Series does."""

    ndim = 1

    def __init__(self, items: list) -> None:
        self.items = items

    def __iter__(self):
        return iter(self.items)


@pytest.mark.parametrize(
    "make", [list, tuple, iter, np.array, Column, lambda items: (item for item in items)]
)
def test_whatever_yields_items_is_a_list(make) -> None:
    splits = _read_splits({"train": (make(["a", "b"]), make([1, 0])), "test": None})
    assert splits == {"train": (["a", "b"], [1, 0])}


def test_a_string_in_place_of_overrides_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="overrides are a list"):
        load_config(ExperimentConfig, tmp_path / "x.yaml", "train.epochs=1")


@pytest.mark.parametrize("inputs", [b"abc", {"a": 1}, np.array([["a"]]), 5])
def test_only_lists_of_texts_are_predicted(tiny_run, inputs) -> None:
    with pytest.raises(ConfigError, match="`inputs` is to be a list"):
        kerasft.load_run(tiny_run.path).predict(inputs)


@pytest.mark.parametrize(
    "argument",
    [{"preset": "x"}, {"texts": ["a"]}, {"epochs": 1}, {"seed": 1}, {"name": "n"}, {"batch_size": 4}],
)
def test_beside_a_config_file_nothing_is_silently_ignored(
    tmp_path: Path, tiny_preset: Path, argument
) -> None:
    path = write_experiment(tmp_path / "experiment", tiny_preset)
    with pytest.raises(ConfigError, match="says itself"):
        kerasft.finetune(path, **argument)
    shutil.rmtree(tmp_path / "experiment")
