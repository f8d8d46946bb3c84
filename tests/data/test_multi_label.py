"""Any number of labels an example: how they are read, counted, cut and looked over."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from data_makers import csv_source, sentences
from hypothesis import given
from hypothesis import strategies as st
from source_makers import TAGGED_FIELDS, draw_picture, write_pictures

from kerasft.data.config import DataConfig
from kerasft.data.kinds.fields import Field, InvalidValue, limit_classes, parse_labels
from kerasft.data.kinds.labels import join_rare_sets
from kerasft.data.prepare.dataset import load_prepared_dataset, prepare_dataset
from kerasft.errors import DataError

TEXT_FIELDS = (Field("text", "text"), Field("labels", "labels", "target"))
OWN = {"validation_share": 0.0, "test_share": 0.0}
SETS = ("red|round", "", "round", "red", "red|round|wet", "wet")


@pytest.fixture
def prepare_tagged(tmp_path, progress):
    def run(data: dict, fields=TEXT_FIELDS, seed: int = 0, labels=None):
        config = DataConfig.model_validate(data)
        fields = fields if labels is None else limit_classes(fields, {"labels": labels})
        return prepare_dataset(
            config, fields, tmp_path / "prepared", base=tmp_path, seed=seed, progress=progress
        )

    return run


def write_texts(path, texts, sets=SETS) -> None:
    lines = [f"{text},{sets[i % len(sets)]}" for i, text in enumerate(texts)]
    path.write_text("text,labels\n" + "\n".join(lines) + "\n")


def read_rejects(dataset) -> list[dict]:
    return [json.loads(line) for line in (dataset.folder / "rejected.jsonl").read_text().splitlines()]


@given(st.lists(st.text("abc| 12", min_size=1).filter(lambda text: text.replace("|", " ").strip())))
def test_a_text_and_the_list_of_its_parts_are_the_same_labels(names):
    parts = [part for name in names for part in name.split("|") if part.strip()]
    assert parse_labels("|".join(names)) == parse_labels(parts) == tuple(sorted({p.strip() for p in parts}))


@pytest.mark.parametrize("value", [None, 3, True, {"a": 1}, [None], [["a"]], ["a", float("nan")]])
def test_what_is_no_list_of_labels_is_refused(value):
    with pytest.raises(InvalidValue):
        parse_labels(value)


def test_a_csv_of_pictures_holds_labels_between_bars(tmp_path, prepare_tagged):
    write_pictures(tmp_path, 6)
    lines = [f"{i}.png,{SETS[i]}" for i in range(6)]
    (tmp_path / "list.csv").write_text("file,tags\n" + "\n".join(lines))
    source = csv_source("list.csv", columns={"image": "file", "labels": "tags"})
    dataset = prepare_tagged({"train": source, **OWN}, TAGGED_FIELDS)
    split = dataset.split("train")
    assert dataset.label_names == ("red", "round", "wet")
    assert split.column("labels").dtype == np.uint8
    assert split.column("labels").tolist() == [
        [1, 1, 0],
        [0, 0, 0],
        [0, 1, 0],
        [1, 0, 0],
        [1, 1, 1],
        [0, 0, 1],
    ]
    assert split.take([4, 1]) == [
        {"image": draw_picture(4), "labels": (0, 1, 2), "name": "4.png"},
        {"image": draw_picture(1), "labels": (), "name": "1.png"},
    ]
    assert dataset.manifest["splits"]["train"]["labels"] == {"red": 3, "round": 3, "wet": 2}
    assert load_prepared_dataset(dataset.folder).manifest["splits"]["train"]["labels"]["wet"] == 2


def test_json_lines_hold_lists_and_damaged_ones_are_rejected(tmp_path, prepare_tagged):
    values = [["red", "wet", "red"], [], "red|wet", ["1", 1, 2.0], None, 5, ["red", None], {"red": 1}]
    rows = [
        {"text": text, "labels": value}
        for text, value in zip(sentences(random.Random(0), 8), values, strict=True)
    ]
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    dataset = prepare_tagged(
        {"train": {"format": "jsonl", "path": "train.jsonl"}, "max_rejected": 0.5, **OWN}
    )
    names = dataset.label_names
    found = [[names[k] for k in row["labels"]] for row in dataset.split("train").take(range(4))]
    assert [set(row) for row in found] == [{"red", "wet"}, set(), {"red", "wet"}, {"1", "2"}]
    assert [(entry["row"], entry["reason"]) for entry in read_rejects(dataset)] == [
        (5, "missing labels"),
        (6, "labels are not a list"),
        (7, "missing label"),
        (8, "labels are not a list"),
    ]


def test_labels_given_beforehand_reject_others(tmp_path, prepare_tagged):
    write_texts(tmp_path / "train.csv", sentences(random.Random(1), 30))
    dataset = prepare_tagged(
        {"train": csv_source("train.csv"), "max_rejected": 0.5, **OWN}, labels=("wet", "red")
    )
    assert dataset.label_names == ("wet", "red")
    assert {entry["detail"].split(";")[0] for entry in read_rejects(dataset)} == {"'round'"}
    assert len(dataset.split("train")) == 15


def test_labels_and_sets_that_train_lacks(tmp_path, prepare_tagged):
    texts = sentences(random.Random(2), 40)
    write_texts(tmp_path / "train.csv", texts[:30])
    write_texts(tmp_path / "test.csv", texts[30:], ("red|wet", "dry"))
    sources = {"train": csv_source("train.csv"), "test": csv_source("test.csv")}
    dataset = prepare_tagged({**sources, "validation_share": 0.0, "max_rejected": 0.6})
    assert (
        dataset.split("test").column("labels").tolist() == [[1, 0, 1]] * 5
    )  # a set that is new, of labels that are not
    assert {entry["reason"] for entry in read_rejects(dataset)} == {"unknown label"}


def test_cuts_keep_the_share_of_each_set(tmp_path, prepare_tagged):
    write_texts(tmp_path / "train.csv", sentences(random.Random(3), 600))
    dataset = prepare_tagged({"train": csv_source("train.csv")})
    assert {name: len(dataset.split(name)) for name in dataset.splits} == {
        "train": 480,
        "validation": 60,
        "test": 60,
    }
    for name, rows in (("train", 80), ("validation", 10), ("test", 10)):
        _, counts = np.unique(dataset.split(name).column("labels"), axis=0, return_counts=True)
        assert counts.tolist() == [rows] * 6
        assert dataset.manifest["splits"][name]["labels"] == {
            "red": 3 * rows,
            "round": 3 * rows,
            "wet": 2 * rows,
        }


def test_sets_that_stand_but_once_are_cut_by_their_rarest_label(tmp_path, prepare_tagged):
    generator = random.Random(4)
    chosen = {tuple(k for k in range(12) if generator.random() < 0.15 + 0.03 * k) for _ in range(2000)}
    sets = ["|".join(f"l{k:02}" for k in row) for row in sorted(chosen)[:400]]
    write_texts(tmp_path / "train.csv", sentences(generator, 400), sets)
    dataset = prepare_tagged({"train": csv_source("train.csv")})
    for name in ("validation", "test"):
        counts = dataset.split(name).column("labels")
        assert 36 <= len(counts) <= 46
        whole = sum(dataset.split(split).column("labels").sum(0, dtype=int) for split in dataset.splits)
        assert np.abs(counts.mean(0) - whole / 400).max() < 0.16


def test_rare_sets_are_joined_and_others_are_not():
    sets = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 1, 1], [0, 0, 0], [0, 0, 1]], bool)
    labels = np.repeat(np.arange(6), [3, 20, 1, 2, 1, 30]).astype(np.int32)
    strata = join_rare_sets(labels, sets, 0.1)
    of_set = [set(strata[labels == number].tolist()) for number in range(6)]
    assert all(len(found) == 1 for found in of_set)
    assert of_set[0] == of_set[2] == of_set[3]  # by the second label, which the fewest rows have
    assert len({min(found) for found in of_set}) == 4


def test_duplicates_with_another_set_conflict(tmp_path, prepare_tagged, progress):
    texts = sentences(random.Random(5), 20)
    lines = [f"{text},red|wet" for text in texts] + [f"{texts[0]},wet|red", f"{texts[1]},wet", f"{texts[2]},"]
    (tmp_path / "train.csv").write_text("text,labels\n" + "\n".join(lines))
    dataset = prepare_tagged({"train": csv_source("train.csv"), **OWN})
    found = dataset.manifest["splits"]["train"]["duplicates"]
    assert (found["exact"], found["conflicting"]) == (3, 4)
    assert any("4 rows of train share their text with a row of another label" in w for w in progress.warnings)


def test_leaks_are_found_and_can_be_dropped(tmp_path, prepare_tagged):
    texts = sentences(random.Random(6), 60)
    write_texts(tmp_path / "train.csv", texts[:48])
    write_texts(tmp_path / "test.csv", texts[45:])
    sources = {"train": csv_source("train.csv"), "test": csv_source("test.csv"), "validation_share": 0.0}
    leaks = prepare_tagged(sources).manifest["leaks"]["train → test"]
    assert leaks["exact"] == 3
    assert [example["same_label"] for example in leaks["examples"]] == [False, False, False]
    dataset = prepare_tagged({**sources, "leaks": "drop"})
    assert len(dataset.split("train")) == 45
    assert (
        sum(dataset.manifest["splits"]["train"]["labels"].values())
        == dataset.split("train").column("labels").sum()
    )


def test_warnings_count_labels_and_not_sets(tmp_path, prepare_tagged, progress):
    texts = sentences(random.Random(7), 70)
    write_texts(tmp_path / "train.csv", texts[:60], ("red", "red", "red") * 10 + ("red|wet",))
    write_texts(tmp_path / "test.csv", texts[60:], ("red",))
    prepare_tagged(
        {"train": csv_source("train.csv"), "test": csv_source("test.csv"), "validation_share": 0.0}
    )
    warnings = "\n".join(progress.warnings)
    assert "test has no rows of 'wet'" in warnings
    assert "train is unbalanced: 60 rows of 'red', 1 of 'wet'" in warnings


def test_one_label_only_is_an_error(tmp_path, prepare_tagged):
    write_texts(tmp_path / "train.csv", sentences(random.Random(8), 20), ("red", ""))
    with pytest.raises(DataError, match="All rows of train have one label, 'red'"):
        prepare_tagged({"train": csv_source("train.csv"), **OWN})
