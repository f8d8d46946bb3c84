"""Optional fields: examples without them, files without their columns, and what cannot be optional."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kerasft.cli.input_rows import Source
from kerasft.cli.inputs import choose_rows
from kerasft.data.config import DataConfig
from kerasft.data.kinds import load_kind
from kerasft.data.kinds.fields import Field
from kerasft.data.prepare.dataset import load_prepared_dataset, prepare_dataset
from kerasft.data.sources.in_memory import read_splits
from kerasft.errors import DataError

OWN = {"validation_share": 0.0, "test_share": 0.0}
SECOND = Field("second", "text", optional=True)
FIELDS = (Field("first", "text"), SECOND, Field("topics", "labels", "target", optional=True))
ROWS = [
    {"first": "the soup was cold", "second": "and salty", "topics": ["food", "taste"]},
    {"first": "a fine hotel by the sea", "second": None, "topics": ["place"]},
    {"first": "nobody answered the phone", "topics": None},
    {"first": "three trains were late", "second": " \u200b ", "topics": []},
]


@pytest.fixture
def prepare(tmp_path, progress):
    def run(source, fields=FIELDS, **data):
        config = DataConfig.model_validate({"train": source, **OWN, **data})
        return prepare_dataset(config, fields, tmp_path / "out", base=tmp_path, seed=0, progress=progress)

    return run


@pytest.fixture
def write(tmp_path):
    """(format, rows) → a source with them."""

    def write_file(format, rows):
        path = tmp_path / f"rows.{format}"
        if format == "jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        elif format == "parquet":
            pq.write_table(pa.Table.from_pylist(rows, schema=None), path)
        else:
            names = list(dict.fromkeys(name for row in rows for name in row))
            lines = [",".join(names)]
            for row in rows:
                cells = [row.get(name) or "" for name in names]
                lines.append(",".join("|".join(cell) if isinstance(cell, list) else cell for cell in cells))
            path.write_text("\n".join(lines) + "\n")
        return {"format": format, "path": path.name}

    return write_file


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_what_is_missing_is_an_empty_text_and_no_labels(prepare, write, format):
    dataset = prepare(write(format, ROWS))
    examples = dataset.split("train").take(range(4))
    assert [example["second"] for example in examples] == ["and salty", "", "", ""]
    names = dataset.label_names
    assert [[names[number] for number in example["topics"]] for example in examples] == [
        ["food", "taste"],
        ["place"],
        [],
        [],
    ]
    entry = dataset.manifest["splits"]["train"]
    assert entry["rejected"] == {}
    assert entry["notes"]["without second"] == 3
    assert entry["notes"]["without topics"] >= 1
    assert load_prepared_dataset(dataset.folder).fields == FIELDS


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_the_column_may_be_missing_unless_the_config_names_it(prepare, write, format):
    rows = [{"first": row["first"], "topics": [f"{number % 2}"]} for number, row in enumerate(ROWS)]
    source = write(format, rows)
    dataset = prepare(source)
    assert [example["second"] for example in dataset.split("train").take(range(4))] == [""] * 4
    named = {**source, "columns": {"second": "other"}}
    if format == "jsonl":  # each object has keys of its own
        assert prepare(named).manifest["splits"]["train"]["notes"]["without second"] == 4
    else:
        with pytest.raises(DataError, match="no column 'other'"):
            prepare(named)


def test_a_csv_without_header_has_the_columns_that_are_numbered(prepare, tmp_path):
    (tmp_path / "a.csv").write_text("".join(f"{row['first']},x\n" for row in ROWS))
    source = {"format": "csv", "path": "a.csv", "header": False, "columns": {"first": 0}}
    fields = (FIELDS[0], SECOND)
    assert prepare(source, fields).split("train").take([0]) == [{"first": ROWS[0]["first"], "second": ""}]


def test_examples_are_told_apart_by_the_inputs_that_they_have(prepare, write):
    rows = [{"first": row["first"], "topics": ["a"]} for row in ROWS] * 2
    rows += [{"first": "a fine hotel by the sea", "second": "with a garden", "topics": ["b"]}]
    duplicates = prepare(write("jsonl", rows)).manifest["splits"]["train"]["duplicates"]
    assert duplicates["exact"] == 4, (
        "each of the first rows once more, and not the one that has a second text"
    )


@pytest.mark.parametrize(
    ("field", "told"),
    [
        (Field("score", "number", "target", optional=True), "'score' cannot be optional: a number"),
        (Field("topic", "label", "target", optional=True), "'topic' cannot be optional: a label"),
        (Field("first", "text", optional=True), "one input at least must not be optional"),
    ],
)
def test_what_cannot_be_optional_is_refused(prepare, write, field, told):
    others = () if field.role == "input" else (FIELDS[0],)
    with pytest.raises(ValueError, match=told):
        prepare(write("jsonl", ROWS), (*others, field))


def test_an_optional_field_does_not_change_what_must_be_there(prepare, write):
    with pytest.raises(DataError, match="2 missing key"):
        prepare(write("jsonl", [*ROWS, {"second": "alone"}, {"second": "again"}]))


def test_examples_in_memory_may_lack_it():
    (line, other) = read_splits({"train": ROWS[1:3]}, FIELDS)["train"]
    assert json.loads(line)["second"] is None
    assert "second" not in json.loads(other)


def test_predict_takes_rows_without_it(tmp_path):
    kinds = {field.name: load_kind(field) for field in FIELDS if field.role == "input"}
    assert kinds["second"].read_input(None) == ""
    assert kinds["second"].note_input("") == ""
    with pytest.raises(DataError, match="no text as first"):
        kinds["first"].read_input(None)
    (row,) = choose_rows(['{"first": "a"}'], Source(), kinds)
    assert row.values == {"first": "a", "second": ""}
    (tmp_path / "t.csv").write_text("id,first\n1,a\n")
    (tmp_path / "t.jsonl").write_text('{"id": 1, "first": "a"}\n')
    for name in ("t.csv", "t.jsonl"):
        (row,) = choose_rows([], Source(str(tmp_path / name)), kinds)
        assert row.values == {"first": "a", "second": ""}
        assert {str(value) for value in row.columns.values()} == {"1"}
    (tmp_path / "u.csv").write_text("second,first\nb,a\n")
    (row,) = choose_rows([], Source(str(tmp_path / "u.csv")), kinds)
    assert (row.values, row.columns) == ({"first": "a", "second": "b"}, {})
