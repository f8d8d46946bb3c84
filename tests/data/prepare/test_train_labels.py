"""Too few labels to learn from: the cause is told, and what to do by the kind of source."""

from __future__ import annotations

import pytest
from data_makers import TAGGED_TEXT_FIELDS as TAGGED
from data_makers import csv_source

from kerasft.data.config import CsvSource, DataConfig, ImageFolderSource, TfdsSource
from kerasft.data.prepare.dataset import prepare_dataset
from kerasft.data.prepare.train_labels import check_kept_labels, check_train_labels
from kerasft.data.sources import SourceFile
from kerasft.errors import DataError


def test_near_alike_texts_of_two_labels_are_cut_and_each_label_stays_in_train(tmp_path, prepare):
    rows = "".join(
        f"the film was really {'good' if i % 2 else 'bad'} number {i},{i % 2}\n" for i in range(10)
    )
    (tmp_path / "a.csv").write_text("text,label\n" + rows)
    dataset = prepare({"train": csv_source("a.csv")})
    assert {
        split: sorted(set(dataset.split(split).column("label").tolist())) for split in dataset.splits
    } == {
        "train": [0, 1],
        "validation": [0, 1],
        "test": [0, 1],
    }


def test_what_was_cut_or_dropped_is_told_with_what_the_files_hold():
    read = {"neg": 5, "pos": 4}
    check_kept_labels(read, {"neg": 3, "pos": 1}, "", ["validation", "test"], "drop")
    with pytest.raises(DataError) as error:
        check_kept_labels(read, {"neg": 3, "pos": 0}, "", ["validation", "test"], "warn")
    assert error.value.what == (
        "After validation and test were cut, only 'neg' is left in train; its files have 5 'neg', 4 'pos'."
    )
    assert error.value.fix == (
        "Add rows; or name files under data.validation and data.test; or to go on without, set "
        "data.validation_share: 0 and data.test_share: 0."
    )
    with pytest.raises(
        DataError, match="After the rows that are also in another split were dropped, only"
    ) as error:
        check_kept_labels(read, {"neg": 0, "pos": 1}, "", [], "drop")
    assert "data.leaks: warn" in error.value.fix


def test_a_table_of_one_label_is_told_with_its_column():
    source = CsvSource(format="csv", path="a.csv")
    with pytest.raises(DataError, match="All rows of train have one label, 'a'") as error:
        check_train_labels({"a": 9, "b": 0}, "", source, [], "mark")
    assert "if 'mark' is not the column that holds the label, set data.train's columns" in error.value.fix
    part = TfdsSource(format="tfds", path="a", split="train[:5]")
    with pytest.raises(DataError) as error:
        check_train_labels({"a": 9}, "", part, [])
    assert "or to read more of the dataset (split)" in error.value.fix


def test_pictures_of_one_class_are_told_by_their_folders(tmp_path):
    source = ImageFolderSource(format="image_folder", path="pics")
    files = [SourceFile(tmp_path, "pics")]
    (tmp_path / "round").mkdir()
    with pytest.raises(DataError, match=r"The only class folder in pics is 'round'\.") as error:
        check_train_labels({"round": 9}, "", source, files)
    assert "pics/OTHER/2.jpg" in error.value.fix
    assert "column" not in error.value.fix
    (tmp_path / "square").mkdir()
    with pytest.raises(DataError, match=r"with pictures in it is 'round'; there is none in 'square'\."):
        check_train_labels({"round": 9}, "", source, files)
    (tmp_path / "square").rmdir()
    for name in "ab":
        (tmp_path / "round" / name).mkdir()
    with pytest.raises(DataError, match="which holds the folders a, b") as error:
        check_train_labels({"round": 9}, "", source, files)
    assert error.value.fix == "If these are the classes, set data.train's path: pics/round"


def test_a_file_of_one_long_sentence_is_told_to_lack_empty_lines_where_it_cannot_be_cut(tmp_path):
    (tmp_path / "a.conll").write_text(
        "".join(f"word{i} {'B-person' if i % 9 == 0 else 'O'}\n" for i in range(200))
    )
    config = DataConfig.model_validate({"train": {"format": "conll", "path": "a.conll"}})
    with pytest.raises(DataError, match="train is one sentence of 200 words") as error:
        prepare_dataset(config, TAGGED, tmp_path / "prepared", base=tmp_path, seed=0)
    assert error.value.fix == "Put an empty line after each sentence."


def test_a_train_of_one_label_is_told_before_other_splits_are_said_to_have_unknown_ones(tmp_path, prepare):
    for split, labels in (("train", "aa"), ("test", "ab")):
        rows = "".join(f"a text of {split} that is number {i},{labels[i % 2]}\n" for i in range(20))
        (tmp_path / f"{split}.csv").write_text("text,label\n" + rows)
    with pytest.raises(DataError, match="All rows of train have one label, 'a'"):
        prepare({"train": csv_source("train.csv"), "test": csv_source("test.csv")})
