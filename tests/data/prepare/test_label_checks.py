"""Labels that are no names of classes: what they look like is said, with what to do."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from data_makers import csv_source, sentences

from kerasft.data.prepare.label_checks import check_roles, find_joint, warn_of_odd_labels
from kerasft.data.prepare.reading import SplitCounts
from kerasft.data.prepare.rejects import RejectsError, check_rejects
from kerasft.errors import ConfigError, DataError

OWN = {"validation_share": 0.0, "test_share": 0.0, "near_duplicates": False}
TEXTS = sentences(random.Random(5), 120)


def write(path, labels, header="text,label\n", texts=TEXTS):
    rows = "".join(f"{text},{labels[i % len(labels)]}\n" for i, text in enumerate(texts))
    path.write_text(header + rows, encoding="utf-8")


def tell(counts, progress, noun="text", several=False) -> list[str]:
    warn_of_odd_labels(counts, progress, noun, several)
    return progress.warnings


def test_csv_spells_numbers_and_truth_values_as_json_does(tmp_path, prepare):
    write(tmp_path / "a.csv", ["0", "0.0", "-0.0", "2.50", "True", "true", "TRUE", "1.0"])
    dataset = prepare({"train": csv_source("a.csv"), **OWN})
    assert set(dataset.label_names) == {"0", "2.50", "true", "1"}


def test_names_that_the_config_gives_are_found_however_csv_spells_them(tmp_path, prepare):
    write(tmp_path / "a.csv", ["True", "false"])
    dataset = prepare({"train": csv_source("a.csv"), **OWN}, labels=("True", "False"))
    assert dataset.label_names == ("True", "False")
    assert dataset.split("train").column("label")[:2].tolist() == [0, 1]


def test_accents_composed_or_not_are_one_label(tmp_path, prepare):
    write(tmp_path / "a.csv", ["caf\u00e9", "cafe\u0301", "bar"])
    assert prepare({"train": csv_source("a.csv"), **OWN}).label_names == ("bar", "caf\u00e9")
    given = prepare({"train": csv_source("a.csv"), **OWN}, labels=("cafe\u0301", "bar"))
    assert given.label_names == ("caf\u00e9", "bar")
    with pytest.raises(ConfigError, match="'caf\u00e9' is there twice") as error:
        prepare({"train": csv_source("a.csv"), **OWN}, labels=("caf\u00e9", "cafe\u0301"))
    assert error.value.where == "task.labels"


@pytest.mark.parametrize("name", ["a\ud800", "a\nb", "", "a\0"])
def test_a_given_label_that_is_none_is_told(tmp_path, prepare, name):
    write(tmp_path / "a.csv", ["a", "b"])
    with pytest.raises(ConfigError, match="is not a label"):
        prepare({"train": csv_source("a.csv"), **OWN}, labels=("b", name))


@pytest.mark.parametrize("name", ["nan", "NaN", "None", "NULL", "N/A", "<NA>"])
def test_a_missing_value_as_a_class_is_told_with_what_rejects_it(progress, name):
    (message,) = tell({"a": 30, name: 10}, progress)
    assert message.startswith(f"The label {name!r} (10 rows of train) looks like a missing value")
    assert "data.max_rejected: 0.25" in message


@pytest.mark.parametrize(
    ("names", "joint"),
    [
        (["red;round", "red", "green;round", "green"], ";"),
        (["a|b", "b|c", "a"], "|"),
        (["a, b", "b, c", "a"], ","),
        (["Paris, France", "Rome, Italy", "Oslo, Norway"], ""),
        (["a;b", "b"], ""),
        (["a", "b"], ""),
    ],
)
def test_labels_that_are_joined_are_told_from_names_with_a_comma(names, joint):
    assert find_joint(names) == joint


def test_joined_labels_are_told_with_what_the_task_can_do(progress):
    counts = {"a;b": 1, "b;c": 1, "a": 1, "c": 1}
    tell(counts, progress)
    tell(counts, progress, "picture")
    tell(counts, progress, "picture", several=True)
    text, picture, several = progress.warnings
    assert "'a;b' look like several labels joined by ';'" in text
    assert "Texts with several labels are not supported" in text
    assert "Keep one label a text" in text
    assert "task.multi_label: true and write | between" in picture
    assert several.endswith("Write | between them.")


def test_many_numbers_look_like_measurements(progress):
    assert tell({str(i): 9 for i in range(10)}, progress) == []
    assert tell({"1": 9, "1.5": 9, "2": 9}, progress) == []
    (message,) = tell({f"{i / 21:.3f}": 9 for i in range(106)}, progress)
    assert message.startswith("106 different numbers as labels look like measurements (a regression)")


def test_swapped_columns_are_named_with_the_right_ones(tmp_path, prepare):
    rows = "".join(f"{'good' if i % 2 else 'bad'},{text}\n" for i, text in enumerate(TEXTS))
    (tmp_path / "a.csv").write_text("review,mark\n" + rows)
    source = csv_source("a.csv", columns={"text": "review", "label": "mark"})
    with pytest.raises(
        DataError, match=r"text and label seem to be swapped: train has 120 different labels"
    ) as error:
        prepare({"train": source, "validation": source, **OWN})
    assert "Set columns: {text: mark, label: review}" in str(error.value)
    swapped = csv_source("a.csv", columns={"text": "mark", "label": "review"})
    assert len(prepare({"train": swapped, **OWN}).split("train")) == 120


def test_a_column_of_ids_is_no_label(tmp_path, prepare):
    write(tmp_path / "a.csv", [f"id{i}" for i in range(120)])
    with pytest.raises(DataError, match="Nearly every row of train has a different label: 120 different"):
        prepare({"train": csv_source("a.csv"), **OWN})


def test_many_numbers_that_stand_once_are_told_to_be_measurements_too():
    with pytest.raises(DataError, match="Nearly every row of train") as error:
        check_roles([f"{i / 7:.3f}" for i in range(106)], 106, 106, "a", {"text": "t", "label": "l"}, "text")
    assert "If these numbers are measurements (a regression)" in error.value.fix


def test_swapped_columns_of_ten_rows_are_told_before_a_cut(tmp_path, prepare):
    rows = "".join(f"{TEXTS[i]},{('good', 'bad', 'so')[i % 3]}\n" for i in range(10))
    (tmp_path / "a.csv").write_text("review,mark\n" + rows)
    with pytest.raises(DataError, match="text and label seem to be swapped: train has 10 different labels"):
        prepare({"train": csv_source("a.csv", columns={"text": "mark", "label": "review"})})


def test_few_rows_are_told_with_the_cause(tmp_path, prepare, progress):
    write(tmp_path / "a.csv", ["a", "b"], texts=TEXTS[:10])
    prepare({"train": csv_source("a.csv"), "near_duplicates": False})
    few, small = progress.warnings
    assert few.startswith("train has 3 of 'a', 3 of 'b': too few rows to learn a class; aim for about 50")
    assert small.startswith(
        "validation has 2 rows and test has 2 rows: figures on so few rows say little; one more correct answer"
    )
    write(tmp_path / "a.csv", ["a", "b"], texts=TEXTS[:4])
    with pytest.raises(
        DataError, match=r"too few different texts to cut validation from it: 4, in 4 rows with 2"
    ) as error:
        prepare({"train": csv_source("a.csv"), "near_duplicates": False})
    assert "data.validation_share: 0 and data.test_share: 0" in error.value.fix


@pytest.mark.parametrize(
    ("header", "settings", "what", "fix"),
    [
        (
            "",
            {},
            "its 'b' is in the same column of 59 of the next 119 rows",
            "header: false, and columns: {text: 0, label: 1}",
        ),
        ("", {"columns": {"text": 0, "label": 1}}, "its 'b' is in the same column", "Set header: false."),
        (
            "text,label\n",
            {"header": False, "columns": {"text": 0, "label": 1}},
            "looks like a header: the column of 'label' holds 'label' there, and in none of the next 120 rows",
            "Set header: true.",
        ),
    ],
)
def test_a_header_taken_for_a_row_and_a_row_for_a_header_are_told(
    tmp_path, prepare, header, settings, what, fix
):
    write(tmp_path / "a.csv", ["b", "a"], header)
    with pytest.raises(DataError) as error:
        prepare({"train": csv_source("a.csv", **settings), **OWN})
    assert what in error.value.what
    assert error.value.where == "a.csv:1"
    assert fix in error.value.fix


def test_a_header_of_numbers_is_one(tmp_path, prepare):
    write(tmp_path / "a.csv", ["1", "2"], "0,1\n")
    source = csv_source("a.csv", columns={"text": 0, "label": 1})
    assert len(prepare({"train": source, **OWN}).split("train")) == len(TEXTS)


def test_measurements_are_told_before_other_splits_lack_them(tmp_path, prepare, progress):
    write(tmp_path / "train.csv", [f"{i / 10:.1f}" for i in range(40)])
    write(tmp_path / "test.csv", [f"{i / 10 + 0.05:.2f}" for i in range(40)])
    with pytest.raises(DataError, match="unknown label") as error:
        prepare({"train": csv_source("train.csv"), "test": csv_source("test.csv"), **OWN})
    assert "40 different numbers as labels look like measurements" in progress.warnings[0]
    assert "Check data.test's columns (are text and label swapped?)" in error.value.fix


@pytest.mark.parametrize(
    ("content", "fix"),
    [
        (
            '{"review": "good", "stars": 1}\n' * 9,
            "Set columns: {FIELD: KEY}, next to data.train's path, to the keys",
        ),
        (
            '[{"text": "good", "label": 1}]\n',
            "Write one JSON object a line (jq -c '.[]' OLD > NEW makes that of",
        ),
    ],
)
def test_a_reason_of_nearly_all_rows_is_told_with_what_to_set(tmp_path, prepare, content, fix):
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(DataError) as error:
        prepare({"train": {"format": "jsonl", "path": "a.jsonl"}, **OWN})
    assert fix in error.value.fix


def test_tags_that_are_numbers_are_told_with_what_to_write_in_the_file():
    counts = {"train": SplitCounts(rejected=Counter({"tag is not a string": 9}))}
    with pytest.raises(RejectsError) as error:
        check_rejects(counts, 0.01, Path("rejected.jsonl"))
    assert "No config key does this: replace the numbers in the file (0 → O, 1 → B-PER, …)" in error.value.fix
