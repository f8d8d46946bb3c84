"""Texts from everywhere, predictions to everywhere."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasft.cli.inputs import choose_rows
from kerasft.cli.predicting import (
    Format,
    choose_format,
    open_output,
    split_overrides,
    write_predictions,
)
from kerasft.errors import ConfigError, DataError
from kerasft.experiment import ExperimentConfig

SECTIONS = tuple(ExperimentConfig.model_fields)


def read(path: Path, column: str | None = None, header: bool = True) -> list[str]:
    return [row["text"] for row in choose_rows([], str(path), column, header)]


def make(name: str, text: str, tmp_path: Path) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_arguments_that_change_the_config_are_told_from_texts():
    words = [
        "train.epochs=1",
        "A film.",
        "seed=2",
        "data.train.path[0]=x",
        "x=1",
        "2+2=4",
        "train a=b",
        "name=John",
    ]
    overrides, texts = split_overrides(words, SECTIONS)
    assert overrides == ["train.epochs=1", "seed=2", "data.train.path[0]=x", "name=John"]
    assert texts == ["A film.", "x=1", "2+2=4", "train a=b"]


@given(st.lists(st.text().filter(lambda t: "=" not in t)))
def test_a_text_without_equals_sign_is_never_an_override(texts: list[str]):
    assert split_overrides(texts, SECTIONS) == ([], texts)


def test_a_text_file_is_one_text_a_line(tmp_path: Path):
    path = make("a.txt", "\ufeffone\r\n\n  three \nlast", tmp_path)
    assert read(path) == ["one", "", "  three ", "last"]


@pytest.mark.parametrize(
    ("name", "text", "column", "header"),
    [
        ("a.csv", 'id,text\n1,"a, b"\n2,c\n', None, True),
        ("a.csv", 'review,id\n"a, b",1\nc,2\n', "review", True),
        ("a.csv", '1,"a, b"\n2,c\n', "1", False),
        ("a.csv", '"a, b"\nc\n', None, False),
        ("a.tsv", "id\ttext\n1\ta, b\n2\tc\n", None, True),
        ("a.jsonl", '{"text": "a, b"}\n{"text": "c"}\n', None, True),
        ("a.jsonl", '{"review": {"body": "a, b"}}\n{"review": {"body": "c"}}\n', "review.body", True),
    ],
)
def test_tables_are_read_by_column(tmp_path: Path, name: str, text: str, column: str | None, header: bool):
    assert read(make(name, text, tmp_path), column, header) == ["a, b", "c"]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.jsonl", '{"text": "a"}\n{"text": 5}\n', 2),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', 2),
        ("a.csv", "text,label\na,1\nb\n", 3),
    ],
)
def test_a_row_that_cannot_be_read_is_named(tmp_path: Path, name: str, text: str, line: int):
    with pytest.raises(DataError, match=rf"a\.[a-z]+:{line}:"):
        read(make(name, text, tmp_path))


def test_a_line_that_is_no_utf_8_is_named(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"fine\ncaf\xe9\n")
    with pytest.raises(DataError, match=r"a\.txt:2: Byte 0xE9"):
        read(path)


def test_texts_come_from_one_place():
    with pytest.raises(ConfigError, match="from --input"):
        choose_rows(["a"], "b.txt", None, True)
    with pytest.raises(DataError, match="no such file"):
        choose_rows([], "missing.txt", None, True)


def predictions() -> Iterator[dict[str, Any]]:
    yield {"text": 'a "b", c', "label": "yes", "probabilities": {"no": 0.25, "yes": 0.75}}
    yield {"text": "ü\n", "label": "no", "probabilities": {"no": 0.5000001, "yes": 0.4999999}}


def test_json_lines_hold_what_was_predicted():
    stream = io.StringIO()
    write_predictions(predictions(), stream, Format.JSONL, 64, lambda: None)
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == list(predictions())


def test_csv_has_a_column_for_each_label():
    stream = io.StringIO()
    write_predictions(predictions(), stream, Format.CSV, 64, lambda: None)
    rows = list(csv.reader(io.StringIO(stream.getvalue(), newline="")))
    assert rows[0] == ["text", "label", "probability_no", "probability_yes"]
    assert rows[2] == ["ü\n", "no", "0.5000001", "0.4999999"]


def test_a_table_of_pictures_has_a_column_for_what_is_wrong():
    rows = [
        {"image": "x.jpg", "error": "cut short: the PNG has 3 bytes"},
        {"image": "y.jpg", "label": "b", "probabilities": {"a": 0.25, "b": 0.75}},
    ]
    stream = io.StringIO()
    write_predictions(rows, stream, Format.CSV, 64, lambda: None, "image", ("a", "b"))
    assert list(csv.reader(io.StringIO(stream.getvalue(), newline=""))) == [
        ["image", "label", "probability_a", "probability_b", "error"],
        ["x.jpg", "", "", "", "cut short: the PNG has 3 bytes"],
        ["y.jpg", "b", "0.25", "0.75", ""],
    ]


def test_predictions_are_written_while_they_come():
    class Slow(io.StringIO):
        flushed = 0

        def flush(self) -> None:
            type(self).flushed += 1

    stream, given = Slow(), []

    def endless() -> Iterator[dict[str, Any]]:
        for number in count():
            if number == 10:
                raise StopAsyncIteration
            given.append(number)
            yield {"text": str(number), "label": "a", "probabilities": {"a": 1.0}}

    with pytest.raises(StopAsyncIteration):
        write_predictions(endless(), stream, Format.JSONL, 4, lambda: None)
    assert len(stream.getvalue().splitlines()) == len(given) == 10
    assert Slow.flushed == 2


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path):
    path = tmp_path / "out.jsonl"

    def break_off() -> None:
        with open_output(path) as stream:
            stream.write("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert list(tmp_path.iterdir()) == []
    with open_output(path) as stream:
        stream.write("whole")
    assert path.read_text() == "whole"


def test_the_format_follows_the_files_name():
    assert choose_format(None, Path("x.csv")) is Format.CSV
    assert choose_format(None, None) is Format.JSONL
    assert choose_format(Format.JSONL, Path("x.csv")) is Format.JSONL
