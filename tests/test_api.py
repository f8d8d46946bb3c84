"""kerasft from Python, on lists."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tiny_images
from tiny_bert import SUBJECTS, write_experiment, write_texts

import kerasft
from kerasft.config.loading import load_config
from kerasft.data.kinds.fields import Field
from kerasft.data.sources.in_memory import read_splits
from kerasft.errors import ConfigError, DataError, KerasftError, PresetError
from kerasft.experiment import ExperimentConfig
from kerasft.integrity import write_recorded_text


@pytest.mark.slow
def test_lists_in_a_model_out(tmp_path: Path, tiny_preset: Path) -> None:
    texts, labels = write_texts(60)
    numbers = np.array([label == "liked" for label in labels]).astype(np.int64)
    run = kerasft.finetune(
        task="text_classification",
        preset=tiny_preset,
        train={"text": texts, "label": numbers},
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


@pytest.mark.slow
def test_entities_are_learned_from_lists(tmp_path: Path, tiny_preset: Path) -> None:
    texts, _ = write_texts(40)
    words = [text.split() for text in texts]
    tags = [["B-thing" if word in SUBJECTS else "O" for word in line] for line in words]
    run = kerasft.finetune(
        task="token_classification",
        preset=tiny_preset,
        train={"words": words, "tags": tags},
        epochs=6,
        learning_rate=1e-2,
        output=tmp_path / "run",
        overrides=["model.max_length=32", "train.precision=float32"],
    )
    (answer,) = run.predict("this film is superb")["entities"]
    assert (answer["text"], answer["type"]) == ("film", "thing")


@pytest.mark.slow
def test_pictures_with_several_labels_are_learned_from_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_images.write_pictures(tmp_path)
    monkeypatch.chdir(tmp_path)
    paths = sorted(Path("train").rglob("*.jpg"))
    run = kerasft.finetune(
        task={"type": "image_classification", "multi_label": True},
        preset="mobilenet",
        train={"image": paths, "labels": [[path.parent.name, "drawn"] for path in paths]},
        epochs=0,
        output=tmp_path / "run",
        overrides=[
            f"model.weights={tiny_images.write_weights(tmp_path / 'net.weights.h5')}",
            "model.arguments={alpha: 0.25}",
            f"model.image_size_px={tiny_images.SIZE_PX}",
            "train.head={epochs: 6, learning_rate: 0.02}",
        ],
    )
    assert "drawn" in run.predict(paths[0])["labels"]
    assert run.config.task.multi_label


def test_a_run_is_found_again(tiny_run) -> None:
    run = kerasft.load_run(tiny_run.path)
    assert run.config.name == "tiny"
    assert run.predict("a superb story")["label"] == "liked"
    assert repr(run) == f"kerasft.Run({str(tiny_run.path)!r})"


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no trained model"):
        kerasft.load_run(tmp_path)


TASK = "text_classification"
TRAIN = {"text": ["a", "b"], "label": [1, 0]}
MISSING = "give a config file, or task, preset and train; there is no "


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train": None, "task": None, "preset": None}, MISSING + "task, no preset, no train"),
        ({"train": None}, MISSING + "train"),
        ({"task": "tagging texts"}, "unknown task tagging texts"),
        ({"task": {"pooling": "cls"}}, "unknown task None"),
        ({"task": {"type": TASK, "pooling": "first"}}, "pooling"),
        ({"train": {"text": ["a", "b"], "label": [1]}}, "2 of text, 1 of label"),
        ({"epochs": 0}, "epochs"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"name": "a b"}, "name"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(tmp_path: Path, arguments, message) -> None:
    given = {"task": TASK, "preset": "x", "train": TRAIN, **arguments}
    with pytest.raises(KerasftError, match=message) as caught:
        kerasft.finetune(output=tmp_path / "run", **given)
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_data_that_are_refused_leave_no_folder_unless_it_lists_the_rejected_rows(
    tmp_path: Path, tiny_preset: Path
) -> None:
    given = {"task": TASK, "preset": tiny_preset, "output": tmp_path / "run"}
    one_class = {"text": ["a", "b", "c"], "label": [1, 1, 1]}
    with pytest.raises(DataError, match=r"one class|one label"):
        kerasft.finetune(train=one_class, **given)
    assert list(tmp_path.iterdir()) == []
    rejected = {"text": ["a", "b", "c"], "label": [1, None, None]}
    with pytest.raises(DataError) as caught:
        kerasft.finetune(train=rejected, **given)
    listed = tmp_path / "run" / "dataset.rejected.jsonl"
    assert len(listed.read_text().splitlines()) == 2
    assert listed.name in str(caught.value)


def test_a_config_that_is_refused_leaves_no_folder(tmp_path: Path, tiny_preset: Path) -> None:
    path = write_experiment(tmp_path / "experiment", tiny_preset)
    for override, error in (
        ("model.preset=nowhere", PresetError),
        ("data.train.path=nothing.csv", DataError),
    ):
        with pytest.raises(error):
            kerasft.finetune(path, output=tmp_path / "run", overrides=[override])
        assert not (tmp_path / "run").exists()


def test_a_folder_that_stood_there_before_stays_where_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="epochs"):
        kerasft.finetune(output=tmp_path, task=TASK, preset="x", train=TRAIN, epochs=0)
    assert tmp_path.is_dir()


def test_messages_name_pythons_arguments(tmp_path: Path, tiny_run) -> None:
    copied = shutil.copytree(tiny_run.path, tmp_path / "copied")
    with pytest.raises(ConfigError) as caught:
        kerasft.finetune(output=tmp_path, task=TASK, preset="x", train=TRAIN)
    assert caught.value.fix == "Name a new or empty folder: output=DIR."
    with pytest.raises(ConfigError) as caught:
        kerasft.finetune(copied, output=copied, overrides=["seed=5"])
    assert "another folder (output=DIR)" in str(caught.value)
    assert "kerasft.finetune(…, restart=True)" in str(caught.value)
    assert "--" not in str(caught.value)


def test_a_blank_text_has_a_note(tiny_run) -> None:
    blank, other = kerasft.load_run(tiny_run.path).predict([" ", "a superb story"])
    assert blank["note"] == "blank text"
    assert "note" not in other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train": "abc"}, "`train` must be a one-dimensional list, array or Series; got 'abc'"),
        ({"train": ["a", "b"]}, "train: example 0 is 'a'"),
        ({"train": {"text": "abc", "label": [1, 0]}}, "`text` must be a one-dimensional list"),
        ({"train": {"text": b"abc", "label": [1, 0]}}, "`text` must be a one-dimensional list"),
        (
            {"train": {**TRAIN, "label": {"a": 1, "b": 0}}},
            "`label` must be a one-dimensional list, array .*; got dict",
        ),
        ({"train": {**TRAIN, "text": {"a", "b"}}}, "got set"),
        (
            {"train": {**TRAIN, "text": np.array([["a"], ["b"]])[None]}},
            "`text` must be a one-dimensional list",
        ),
        ({"train": {**TRAIN, "text": np.array("a")}}, "got ndarray"),
        ({"train": {**TRAIN, "label": 3}}, "got int"),
        ({"train": {**TRAIN, "text": ["a", 5]}}, "text 1 is not a string but 5"),
        ({"train": {**TRAIN, "label": [1, object()]}}, "label 1 cannot be written as JSON"),
        ({"train": {"text": ["a", "b"]}}, "example 0 has no label"),
        ({"train": [{"text": "a", "label": 1}, {"text": "b"}]}, "train: example 1 has no label"),
        ({"train": {"text": [], "label": []}}, "train: there are no examples"),
        ({"validation": "ab"}, "`validation` must be a one-dimensional list"),
        ({"test": {"text": ["a"], "label": "b"}}, "test: `label` must be a one-dimensional list"),
        ({"validation": {"text": ["a"], "label": [1, 2]}}, "validation: the columns have different lengths"),
        (
            {"task": "image_classification", "train": {"image": [5], "label": [1]}},
            "image 0 is not a file path",
        ),
        ({"overrides": "train.epochs=1"}, "`overrides` must be a one-dimensional list"),
    ],
)
def test_what_is_no_example_is_refused_before_anything_is_written(tmp_path: Path, arguments, message) -> None:
    given = {"task": TASK, "preset": "x", "train": TRAIN, **arguments}
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


FIELDS = (Field("text", "text"), Field("label", "label", "target"))
ROWS = ['{"text": "a", "label": 1}', '{"text": "b", "label": 0}']


@pytest.mark.parametrize(
    "make", [list, tuple, iter, np.array, Column, lambda items: (item for item in items)]
)
def test_whatever_yields_items_is_a_column(make) -> None:
    given = {"text": make(["a", "b"]), "label": make([1, 0])}
    assert read_splits({"train": given, "test": None}, FIELDS) == {"train": ROWS}


class Frame:
    """Has columns by name, as a pandas DataFrame does, and is no mapping."""

    def keys(self) -> list[str]:
        return list(TRAIN)

    def __getitem__(self, name: str) -> Column:
        return Column(TRAIN[name])


def test_examples_are_rows_or_a_frame_as_well() -> None:
    rows = [{"text": "a", "label": 1}, {"text": "b", "label": 0}]
    for given in (rows, iter(rows), Frame()):
        assert read_splits({"train": given}, FIELDS) == {"train": ROWS}


def test_pictures_are_named_by_whole_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fields = (Field("image", "image"), Field("box", "number", "target"))
    given = {"image": ["a.jpg", Path("b.jpg")], "box": [np.arange(2.0), None], "more": [1, 2]}
    first, second = map(json.loads, read_splits({"train": given}, fields)["train"])
    assert first == {"image": str(tmp_path / "a.jpg"), "box": [0.0, 1.0], "more": 1}
    assert second["image"] == str(tmp_path / "b.jpg")


def test_numbers_are_numpys_or_pythons_and_other_columns_may_hold_anything() -> None:
    fields = (
        Field("text", "tagged_text", parts=("text", "words", "tags")),
        Field("types", "labels", "target", of="text"),
    )
    given = {
        "words": [["a", "b"]],
        "tags": [[np.int64(0), np.int64(1)]],
        "when": [datetime.date(2026, 1, 2)],
        "raw": [b"x"],
        "share": [np.float32("nan")],
    }
    assert read_splits({"train": given}, fields) == {
        "train": ['{"words": ["a", "b"], "tags": [0, 1], "share": null}']
    }


def test_a_users_own_error_is_the_users() -> None:
    def broken() -> Iterator[str]:
        yield "a"
        raise TypeError("my own")

    with pytest.raises(TypeError, match="my own"):
        read_splits({"train": {"text": broken(), "label": [1, 0]}}, FIELDS)


def test_what_is_refused_leaves_the_config_of_a_run_as_it_was(tmp_path: Path, tiny_run: Any) -> None:
    folder = tmp_path / "run"
    shutil.copytree(tiny_run.path, folder)
    config = folder / "inputs" / "config.yaml"
    write_recorded_text(folder, config, "name: before\n")
    rows = "".join(f"{row}\n" for row in ROWS)
    write_recorded_text(folder, folder / "inputs" / "train.jsonl", rows)
    for wrong in ({"epochs": np.int64(99)}, {"task": {"type": TASK, "pooling": "first"}}):
        with pytest.raises((ConfigError, PresetError)):
            kerasft.finetune(output=folder, **{"task": TASK, "preset": "x", "train": TRAIN, **wrong})
        assert config.read_text() == "name: before\n"


def test_a_string_in_place_of_overrides_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="overrides are a list"):
        load_config(ExperimentConfig, tmp_path / "x.yaml", "train.epochs=1")


def test_an_input_that_cannot_be_used_is_named_by_its_index(tiny_run) -> None:
    with pytest.raises(DataError, match=r"inputs\[2\]: the input holds no text but 5"):
        kerasft.load_run(tiny_run.path).predict(["a film", "a meal", 5])


@pytest.mark.parametrize("inputs", [b"abc", {"a": 1}, np.array([["a"]]), 5])
def test_only_lists_of_texts_are_predicted(tiny_run, inputs) -> None:
    with pytest.raises(ConfigError, match="`inputs` must be a one-dimensional list"):
        kerasft.load_run(tiny_run.path).predict(inputs)


@pytest.mark.parametrize(
    "argument",
    [
        {"preset": "x"},
        {"train": TRAIN},
        {"task": TASK},
        {"epochs": 1},
        {"seed": 1},
        {"name": "n"},
        {"batch_size": 4},
    ],
)
def test_beside_a_config_file_nothing_is_silently_ignored(
    tmp_path: Path, tiny_preset: Path, argument
) -> None:
    path = write_experiment(tmp_path / "experiment", tiny_preset)
    with pytest.raises(ConfigError, match="already names the task"):
        kerasft.finetune(path, **argument)
    shutil.rmtree(tmp_path / "experiment")
