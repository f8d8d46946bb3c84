"""Examples of other fields than one input and one label: through preparing, opening and taking."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_makers import FIELDS, TAGGED_TEXT_FIELDS, csv_source, sentences
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from source_makers import PICTURE_FIELDS, TAGGED_FIELDS, draw_picture, write_pictures

from kerasft.data.config import DataConfig
from kerasft.data.kinds.fields import Field
from kerasft.data.prepare.dataset import load_prepared_dataset, prepare_dataset
from kerasft.errors import DataError
from kerasft.integrity import HASHES

OWN = {"validation_share": 0.0, "test_share": 0.0}
PAIR = (Field("first", "text"), Field("second", "text"), Field("score", "number", "target"))


@pytest.fixture
def prepare_fields(tmp_path, progress):
    def run(data, fields, seed=0, folder="prepared"):
        config = DataConfig.model_validate(data)
        return prepare_dataset(config, fields, tmp_path / folder, base=tmp_path, seed=seed, progress=progress)

    return run


def write_rows(path: Path, rows: list[dict]) -> dict:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"format": "jsonl", "path": path.name}


def write_pairs(path: Path, pairs: list[tuple[str, str]], scores=None) -> dict:
    scores = scores or [float(i) for i in range(len(pairs))]
    rows = [
        {"first": first, "second": second, "score": score}
        for (first, second), score in zip(pairs, scores, strict=True)
    ]
    return write_rows(path, rows)


def read_rejects(dataset):
    lines = (dataset.folder / "rejected.jsonl").read_text().splitlines()
    return [(line["row"], line["reason"], line["detail"]) for line in map(json.loads, lines)]


# Two texts → a number.


def test_two_texts_and_a_number_are_taken_as_they_were_written(tmp_path, prepare_fields, progress):
    texts = sentences(random.Random(0), 40)
    pairs = list(zip(texts[::2], texts[1::2], strict=True))
    scores = [round(0.1 * number - 1, 1) for number in range(20)]
    dataset = prepare_fields({"train": write_pairs(tmp_path / "a.jsonl", pairs, scores), **OWN}, PAIR)

    split = dataset.split("train")
    expected = [
        {"first": first, "second": second, "score": score}
        for (first, second), score in zip(pairs, scores, strict=True)
    ]
    assert split.take(range(20)) == expected
    assert split.column("score").dtype == np.float32
    assert np.array_equal(split.column("score"), np.float32(scores))
    with pytest.raises(ValueError, match="'first' is of the kind text, of which there is no column"):
        split.column("first")
    assert dataset.fields == PAIR
    assert dataset.label_names == ()
    assert split.origin(3) == "a.jsonl:4"
    figures = dataset.manifest["splits"]["train"]["targets"]["score"]
    assert figures == pytest.approx({"mean": np.mean(scores), "std": np.std(scores), "min": -1.0, "max": 0.9})
    assert dataset.manifest["splits"]["train"]["labels"] == {}
    columns, row = progress.tables["Prepared dataset"]
    assert columns == ["split", "rows", "rejected", "duplicates", "near duplicates", "score"]
    assert row[:2] == ["train", 20]
    assert progress.warnings == []


def test_rows_without_a_second_text_or_a_number_are_rejected_by_row(tmp_path, prepare_fields):
    pairs = list(zip(sentences(random.Random(1), 12), sentences(random.Random(2), 12), strict=True))
    rows = [{"first": first, "second": second, "score": 1} for first, second in pairs]
    rows[2]["second"] = " "
    rows[3]["second"] = None
    del rows[4]["second"]
    rows[5]["score"] = "five"
    rows[6]["score"] = None
    rows[7]["score"] = "inf"
    rows[8]["first"] = 3
    data = {"train": write_rows(tmp_path / "a.jsonl", rows), "max_rejected": 0.9, **OWN}
    dataset = prepare_fields(data, PAIR)
    assert sorted(read_rejects(dataset)) == [
        (3, "empty text", "second"),
        (4, "missing text", "second: found null"),
        (5, "missing key", "no 'second'; there is first, score"),
        (6, "not a number", "found 'five'"),
        (7, "missing number", "found null"),
        (8, "number is not finite", "inf"),
        (9, "text is not a string", "first: found a number"),
    ]
    kept = [rows[i]["first"] for i in (0, 1, 9, 10, 11)]
    assert [example["first"] for example in dataset.split("train").take(range(5))] == kept
    assert dataset.split("train").column("score").tolist() == [1.0] * 5


def test_csv_and_parquet_hold_the_same_pairs(tmp_path, prepare_fields):
    pairs = list(zip(sentences(random.Random(3), 9), sentences(random.Random(4), 9), strict=True))
    scores = [number / 8 for number in range(9)]
    lines = [f"{first},{second},{score}" for (first, second), score in zip(pairs, scores, strict=True)]
    (tmp_path / "a.csv").write_text("first,second,similarity\n" + "\n".join(lines) + "\n")
    first, second = zip(*pairs, strict=True)
    pq.write_table(pa.table({"first": first, "second": second, "similarity": scores}), tmp_path / "a.parquet")
    columns = {"score": "similarity"}
    one = prepare_fields({"train": csv_source("a.csv", columns=columns), **OWN}, PAIR)
    parquet = {"format": "parquet", "path": "a.parquet", "columns": columns}
    other = prepare_fields({"train": parquet, **OWN}, PAIR, folder="other")
    assert one.split("train").take(range(9)) == other.split("train").take(range(9))
    assert one.split("train").column("score").tolist() == scores


def test_a_pair_stands_in_another_split_only_where_both_of_its_texts_do(tmp_path, prepare_fields, progress):
    texts = sentences(random.Random(5), 40, shortest=20, longest=30)
    train = list(zip(texts[:20:2], texts[1:20:2], strict=True))
    new = texts[30:]
    test = [
        train[0],  # the same
        (train[1][0].upper(), train[1][1]),  # the same but for case
        (train[2][0] + " again", train[2][1]),  # one of them nearly
        (train[3][0] + " again", train[3][1] + " once more"),  # both of them nearly
        (train[4][0], new[0]),  # one of them alone
        (new[1], train[5][1]),
        (train[6][1], train[6][0]),  # the other way round
        (train[7][0], train[8][1]),  # of two pairs
        (train[9][0] + " again", new[2]),
    ]
    data = {
        "train": write_pairs(tmp_path / "a.jsonl", train),
        "test": write_pairs(tmp_path / "b.jsonl", test),
    }
    dataset = prepare_fields({**data, "validation_share": 0}, PAIR)
    leaks = dataset.manifest["leaks"]["train → test"]
    assert (leaks["exact"], leaks["near"], leaks["contradicting"]) == (2, 2, 0)
    places = [(example["row"], example["stands_in"]) for example in leaks["examples"]]
    assert places == [
        ("b.jsonl:1", "a.jsonl:1"),
        ("b.jsonl:2", "a.jsonl:2"),
        ("b.jsonl:3", "a.jsonl:3"),
        ("b.jsonl:4", "a.jsonl:4"),
    ]
    assert leaks["examples"][2]["similarity"] < 1
    assert " | " in leaks["examples"][0]["text"]
    assert "2 examples of test are also in train, and 2 are near duplicates" in progress.warnings[0]

    dropped = prepare_fields({**data, "validation_share": 0, "leaks": "drop"}, PAIR, folder="dropped")
    assert [dropped.split("train").origin(i) for i in range(6)] == [f"a.jsonl:{row}" for row in range(5, 11)]


def test_a_share_is_cut_at_random_by_seed_with_duplicates_together(tmp_path, prepare_fields):
    texts = sentences(random.Random(6), 400)
    pairs = list(zip(texts[::2], texts[1::2], strict=True))
    pairs += pairs[:20]  # each of these stands there twice
    data = {"train": write_pairs(tmp_path / "a.jsonl", pairs), "validation_share": 0.2, "test_share": 0.0}
    cuts = [prepare_fields(data, PAIR, seed=seed, folder=f"cut-{seed}") for seed in (1, 1, 2)]
    taken = [
        [(example["first"], example["second"]) for example in cut.split("validation").take(range(44))]
        for cut in cuts
    ]
    assert [len(cut.split("validation")) for cut in cuts] == [44, 44, 44]
    assert taken[0] == taken[1] != taken[2]
    assert cuts[0].fingerprint == cuts[1].fingerprint != cuts[2].fingerprint
    train = cuts[0].split("train")
    left = {(example["first"], example["second"]) for example in train.take(range(len(train)))}
    assert not left & set(taken[0])
    assert cuts[0].manifest["splits"]["validation"]["cut_from_train"]


def test_too_few_rows_to_cut_are_told_without_a_word_of_labels(tmp_path, prepare_fields):
    data = {"train": write_pairs(tmp_path / "a.jsonl", [("one text", "another one")])}
    with pytest.raises(DataError, match="train has too few different examples to cut validation") as error:
        prepare_fields(data, PAIR)
    assert "label" not in str(error.value)


def test_numbers_are_inputs_that_are_the_same_where_they_are_equal(tmp_path, prepare_fields):
    texts = sentences(random.Random(11), 8, shortest=20, longest=30)
    fields = (Field("text", "text"), Field("year", "number"), Field("label", "label", "target"))
    train = [(text, 1900 + i) for i, text in enumerate(texts)]
    test = [
        (texts[0], 1900.0),
        (texts[1], 1950),
        (texts[2] + " again", 1902),
        (texts[3] + " again", 1950),
    ]
    data = {
        split: write_rows(
            tmp_path / f"{split}.jsonl",
            [{"text": text, "year": year, "label": "ab"[i % 2]} for i, (text, year) in enumerate(rows)],
        )
        for split, rows in (("train", train), ("test", test))
    }
    dataset = prepare_fields({**data, "validation_share": 0}, fields)
    leaks = dataset.manifest["leaks"]["train → test"]
    assert [(example["row"], example["stands_in"]) for example in leaks["examples"]] == [
        ("test.jsonl:1", "train.jsonl:1"),
        ("test.jsonl:3", "train.jsonl:3"),
    ]
    assert (leaks["exact"], leaks["near"]) == (1, 1)
    assert dataset.split("train").take([4]) == [{"text": texts[4], "year": 1904.0, "label": 0}]


CELLS = st.one_of(st.none(), st.just(" "), st.integers(-9, 9), st.text("ab cé\n", max_size=4), st.booleans())


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=12))
def test_whatever_rows_hold_each_is_kept_as_it_is_or_rejected_by_number(tmp_path, prepare_fields, cells):
    def is_text(value):
        return isinstance(value, str) and bool(value.strip())

    def is_number(value):
        return isinstance(value, int) and not isinstance(value, bool)

    rows = [{"first": "a text", "second": "another", "score": 0}]
    rows += [{"first": first, "second": second, "score": score} for first, second, score in cells]
    good = [is_text(row["first"]) and is_text(row["second"]) and is_number(row["score"]) for row in rows]
    data = {"train": write_rows(tmp_path / "a.jsonl", rows), "max_rejected": 1.0, **OWN}
    dataset = prepare_fields({**data, "near_duplicates": False}, PAIR)
    split = dataset.split("train")
    assert split.take(range(len(split))) == [row for row, kept in zip(rows, good, strict=True) if kept]
    assert [row for row, _, _ in read_rejects(dataset)] == [
        number for number, kept in enumerate(good, 1) if not kept
    ]
    assert [split.origin(i) for i in range(len(split))] == [
        f"a.jsonl:{number}" for number, kept in enumerate(good, 1) if kept
    ]


# A text, and nothing to learn of it beside.


def test_texts_without_a_target_are_prepared_and_cut(tmp_path, prepare_fields, progress):
    texts = sentences(random.Random(7), 100)
    rows = [{"text": text} for text in [*texts, texts[0], texts[1] + " again"]]
    data = {"train": write_rows(tmp_path / "a.jsonl", rows), "duplicates": "keep"}
    dataset = prepare_fields(data, (Field("text", "text"),))
    assert {name: len(dataset.split(name)) for name in dataset.splits} == {
        "train": 82,
        "validation": 10,
        "test": 10,
    }
    taken = [example for name in dataset.splits for example in dataset.split(name).take(range(10))]
    assert all(set(example) == {"text"} for example in taken)
    everything = [
        dataset.split(name).origin(i) for name in dataset.splits for i in range(len(dataset.split(name)))
    ]
    assert sorted(everything) == sorted(f"a.jsonl:{row}" for row in range(1, 103))
    assert dataset.label_names == ()
    assert sum(split["duplicates"]["exact"] for split in dataset.manifest["splits"].values()) == 1
    assert all(split["duplicates"]["conflicting"] == 0 for split in dataset.manifest["splits"].values())
    assert progress.tables["Prepared dataset"][0] == [
        *("split", "rows", "rejected", "duplicates", "near duplicates")
    ]
    assert progress.warnings == []
    assert sorted(path.name for path in (dataset.folder / "index").iterdir()) == [
        *("test.origins.npy", "train.origins.npy", "validation.origins.npy")
    ]


# A picture → classes; two pictures; a picture and a text.


def test_pictures_with_classes_are_taken_with_columns_of_them(tmp_path, prepare_fields):
    names = write_pictures(tmp_path, 6)
    sets = [["red", "round"], [], ["round"], ["red"], ["wet", "red"], ["wet"]]
    rows = [{"image": name, "labels": labels} for name, labels in zip(names, sets, strict=True)]
    rows += [{"image": "missing.png", "labels": ["red"]}, {"image": names[0], "labels": 3}]
    data = {"train": write_rows(tmp_path / "a.jsonl", rows), "max_rejected": 0.5, **OWN}
    dataset = prepare_fields(data, TAGGED_FIELDS)
    assert dataset.label_names == ("red", "round", "wet")
    assert dataset.split("train").take([4]) == [{"image": draw_picture(4), "labels": (0, 2), "name": "4.png"}]
    assert dataset.split("train").column("labels").tolist()[:3] == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]
    assert [(row, reason) for row, reason, _ in read_rejects(dataset)] == [
        (7, "missing file"),
        (8, "labels are not a list"),
    ]


def test_two_pictures_are_an_example_that_is_the_same_where_both_are(tmp_path, prepare_fields):
    names = write_pictures(tmp_path, 6)
    fields = (Field("before", "image"), Field("after", "image"), Field("change", "number", "target"))
    train = [(0, 1), (2, 3), (4, 5)]
    test = [(0, 1), (0, 3), (3, 2)]
    data = {
        split: write_rows(
            tmp_path / f"{split}.jsonl",
            [{"before": names[a], "after": names[b], "change": 0.5} for a, b in pairs],
        )
        for split, pairs in (("train", train), ("test", test))
    }
    dataset = prepare_fields({**data, "validation_share": 0}, fields)
    assert dataset.split("test").take([1]) == [
        {"before": draw_picture(0), "after": draw_picture(3), "change": 0.5, "name": "0.png"}
    ]
    leaks = dataset.manifest["leaks"]["train → test"]
    assert (leaks["exact"], leaks["near"]) == (1, 0)


def test_a_folder_of_pictures_cannot_hold_numbers(tmp_path, prepare_fields):
    write_pictures(tmp_path / "pictures" / "round", 2)
    fields = (Field("image", "image"), Field("price", "number", "target"))
    with pytest.raises(DataError, match="holds pictures and their classes, and the task needs price"):
        prepare_fields({"train": {"format": "image_folder", "path": "pictures"}, **OWN}, fields)


# Several targets.

TWO = (Field("text", "text"), Field("topic", "label", "target"), Field("marks", "labels", "target"))


def test_several_targets_have_names_numbers_and_columns_of_their_own(tmp_path, prepare_fields):
    texts = sentences(random.Random(8), 12)
    rows = [
        {"text": text, "topic": ("sports", "arts")[i % 2], "marks": ["long", "old"][: i % 3]}
        for i, text in enumerate(texts)
    ]
    dataset = prepare_fields({"train": write_rows(tmp_path / "a.jsonl", rows), **OWN}, TWO)
    split = dataset.split("train")
    assert dataset.label_names == ("arts", "sports")
    assert split.take([1, 2]) == [
        {"text": texts[1], "topic": 0, "marks": (0,)},
        {"text": texts[2], "topic": 1, "marks": (0, 1)},
    ]
    assert split.column("topic").tolist() == [1, 0] * 6
    assert split.column("marks").tolist() == [[0, 0], [1, 0], [1, 1]] * 4
    assert dataset.manifest["fields"][2]["labels"] == ["long", "old"]
    assert dataset.manifest["splits"]["train"]["labels"] == {"arts": 6, "sports": 6}
    assert dataset.manifest["splits"]["train"]["targets"] == {"marks": {"long": 8, "old": 4}}


def test_a_class_is_not_learned_from_a_row_that_another_target_rejects(tmp_path, prepare_fields):
    texts = sentences(random.Random(9), 12)
    rows = [
        {"text": text, "topic": "ab"[i % 2], "marks": ["x", "y"][: i % 3]} for i, text in enumerate(texts)
    ]
    rows.append({"text": "a text of a topic that no other row has", "topic": "rare", "marks": 7})
    data = {"train": write_rows(tmp_path / "a.jsonl", rows), "max_rejected": 0.5, **OWN}
    dataset = prepare_fields(data, TWO)
    assert dataset.label_names == ("a", "b")
    assert [row for row, _, _ in read_rejects(dataset)] == [13]


def test_only_the_classes_that_a_field_names_are_allowed(tmp_path, prepare_fields):
    texts = sentences(random.Random(10), 6)
    rows = [{"text": text, "label": "abc"[i % 3]} for i, text in enumerate(texts)]
    fields = (Field("text", "text"), Field("label", "label", "target", classes=("b", "a")))
    data = {"train": write_rows(tmp_path / "a.jsonl", rows), "max_rejected": 0.5, **OWN}
    dataset = prepare_fields(data, fields)
    assert dataset.label_names == ("b", "a")
    assert dataset.split("train").column("label").tolist() == [1, 0, 1, 0]
    assert [row for row, _, _ in read_rejects(dataset)] == [3, 6]


# What is not a task's list of fields.


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((Field("label", "label", "target"),), "none of the fields label is an input"),
        ((Field("text", "text"), Field("text", "number", "target")), "different names, each an identifier"),
        ((Field("a text", "text"),), "different names, each an identifier"),
        ((Field("text", "texts"),), "'texts', which does not exist; did you mean 'text'?"),
        ((Field("name", "text"),), "'name' cannot name a field"),
        ((Field("text", "text"), Field("types", "labels", "target", of="words")), "read from 'words'"),
    ],
)
def test_fields_that_no_example_can_have_are_refused(prepare_fields, fields, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        prepare_fields({"train": csv_source("a.csv")}, fields)


# Datasets of before.

TEXTS = [f"a text about number {number} and {'birds' if number % 3 else 'fish'}" for number in range(12)]


def write_old_format(dataset) -> Path:
    """The dataset as versions before fields had roles wrote it."""
    folder = dataset.folder
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["format"] = 1
    target = next(field["name"] for field in manifest["fields"] if field["role"] == "target")
    manifest["fields"] = {field["kind"]: field["name"] for field in manifest["fields"]}
    for split in manifest["splits"].values():
        del split["targets"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for path in sorted((folder / "index").glob(f"*.{target}.npy")):
        path.rename(path.with_name(path.name.replace(f".{target}.", ".labels.")))
    (folder / HASHES).unlink()
    return folder


@pytest.mark.parametrize("kind", ["text", "tagged_text", "image", "images"])
def test_a_dataset_of_before_is_opened_as_if_it_were_new(tmp_path, prepare_fields, kind):
    fields = {
        "text": FIELDS,
        "tagged_text": TAGGED_TEXT_FIELDS,
        "image": PICTURE_FIELDS,
        "images": TAGGED_FIELDS,
    }[kind]
    names = write_pictures(tmp_path, 12)
    values = {
        "text": lambda i: {"text": TEXTS[i], "label": "ab"[i % 2]},
        "tagged_text": lambda i: {"text": TEXTS[i], "entities": [[2, 6, "ab"[i % 2]]]},
        "image": lambda i: {"image": names[i], "label": "ab"[i % 2]},
        "images": lambda i: {"image": names[i], "labels": ["a", "b"][: i % 3]},
    }[kind]
    data = {"train": write_rows(tmp_path / "a.jsonl", [values(i) for i in range(12)]), **OWN}
    dataset = prepare_fields({**data, "near_duplicates": False}, fields)
    (target,) = (field.name for field in dataset.fields if field.role == "target")
    split = dataset.split("train")
    examples, column = split.take(range(12)), split.column(target).tolist()
    origins = [split.origin(i) for i in range(12)]
    old = load_prepared_dataset(write_old_format(dataset))
    assert (old.fields, old.label_names) == (dataset.fields, dataset.label_names)
    assert old.fingerprint == dataset.fingerprint
    assert old.split("train").take(range(12)) == examples
    assert old.split("train").column(target).tolist() == column
    assert [old.split("train").origin(i) for i in range(12)] == origins


def test_a_dataset_of_a_later_format_is_refused_with_what_to_do(tmp_path, prepare_fields):
    data = {"train": write_pairs(tmp_path / "a.jsonl", [("one", "two"), ("three", "four")]), **OWN}
    folder = prepare_fields(data, PAIR).folder
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": 3}))
    (folder / HASHES).unlink()
    with pytest.raises(DataError, match="has format 3, this version reads 1 and 2") as error:
        load_prepared_dataset(folder)
    assert error.value.fix == "Run `kerasft prepare` first."


@pytest.mark.parametrize(
    ("fields", "rows", "fingerprint"),
    [
        (FIELDS, [{"text": text, "label": "ab"[i % 2]} for i, text in enumerate(TEXTS)], "e7cb74a61ef076dd"),
        (
            TAGGED_TEXT_FIELDS,
            [{"text": text, "entities": [[2, 6, "thing"]]} for text in TEXTS],
            "0faf1e03a223449d",
        ),
    ],
)
def test_the_same_data_keep_the_fingerprint_that_they_always_had(
    tmp_path, prepare_fields, fields, rows, fingerprint
):
    """Caches and runs are known by it: another one would have everything trained anew."""
    data = {"train": write_rows(tmp_path / "a.jsonl", rows), "near_duplicates": False, **OWN}
    assert prepare_fields(data, fields).fingerprint == fingerprint
