"""Answers in each format, safe where they are read: terminals, spreadsheets, programs."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from kerasft.cli.answers import (
    CsvWriter,
    Format,
    JsonLinesWriter,
    MarkedTextWriter,
    choose_format,
    guard_cell,
    open_output,
)
from kerasft.errors import ConfigError
from kerasft.tasks.display import Display
from kerasft.tasks.multi_label_display import MultiLabelDisplay
from kerasft.tasks.single_label_display import SingleLabelDisplay
from kerasft.tasks.token_classification.display import TokenClassificationDisplay

KEYS = ["text", "label", "probabilities", "note", "error"]
ANSWERS: list[dict[str, Any]] = [
    {"text": 'a "b", c', "label": "yes", "probabilities": {"no": 0.25, "yes": 0.75}},
    {"text": "ü\n", "label": "no", "probabilities": {"no": 0.5000001, "yes": 0.4999999}},
]


class Terminal(io.StringIO):
    """Somebody looks at it."""

    encoding = "ascii"

    def isatty(self) -> bool:
        return True


class Labels(SingleLabelDisplay):
    def __init__(self, *names: str):
        super().__init__(None, names)


class SeveralLabels(MultiLabelDisplay):
    def __init__(self, *names: str):
        super().__init__(None, names)


class Entities(TokenClassificationDisplay):
    def __init__(self, *types: str):
        super().__init__(None, types)


def write_table(
    answers: list[dict[str, Any]], columns: list[dict[str, Any]], display: Display, **options: Any
) -> list[list[str]]:
    stream = io.StringIO()
    options = {"inputs": ["text"], "remarks": ["note", "error"], **options}
    CsvWriter(stream, display=display, **options).write_all(zip(answers, columns, strict=True))
    return list(csv.reader(io.StringIO(stream.getvalue(), newline="")))


def test_json_lines_hold_what_was_predicted() -> None:
    stream = io.StringIO()
    JsonLinesWriter(stream, keys=KEYS).write_all((answer, {}) for answer in ANSWERS)
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == ANSWERS


def test_json_on_an_ascii_terminal_is_json() -> None:
    stream = Terminal()
    answer = {"text": "人 \x1b[31m\u202e é 😀", "label": "\x9b"}
    JsonLinesWriter(stream, keys=KEYS).write(answer, {})
    assert stream.getvalue().isascii()
    assert stream.getvalue().removesuffix("\n").isprintable()
    assert json.loads(stream.getvalue()) == answer


def test_a_column_named_like_an_answers_key_is_not_lost() -> None:
    columns = {"label": "1", "input_label": 2, "error": None, "id": 3}
    stream = io.StringIO()
    JsonLinesWriter(stream, keys=KEYS).write(ANSWERS[0], columns)
    kept = {"input_label": "1", "input_input_label": 2, "input_error": None, "id": 3}
    assert json.loads(stream.getvalue()) == {**ANSWERS[0], **kept}
    header, row = write_table(
        [ANSWERS[0]], [columns], Labels("no", "yes"), others=["id", "label", "probability_no"]
    )
    assert header[-3:] == ["id", "input_label", "input_probability_no"]
    assert row[-3:] == ["3", "1", ""]


def test_csv_has_a_column_for_each_label() -> None:
    rows = write_table(ANSWERS, [{}, {}], Labels("no", "yes"))
    assert rows[0] == ["text", "label", "probability_no", "probability_yes", "note", "error"]
    assert rows[2] == ["ü\n", "no", "0.5000001", "0.4999999", "", ""]


def test_a_table_of_pictures_has_a_column_for_what_is_wrong() -> None:
    answers = [
        {"image": "x.jpg", "error": "cut short: the PNG has 3 bytes"},
        {"image": "y.jpg", "labels": ["a", "b"], "probabilities": {"a": 0.75, "b": 0.75}},
        {"image": "z.jpg", "labels": [], "probabilities": {"a": 0.25, "b": 0.25}},
    ]
    display = SeveralLabels("a", "b")
    assert write_table(answers, [{}] * 3, display, inputs=["image"], remarks=["error"]) == [
        ["image", "labels", "probability_a", "probability_b", "error"],
        ["x.jpg", "", "", "", "cut short: the PNG has 3 bytes"],
        ["y.jpg", "a|b", "0.75", "0.75", ""],
        ["z.jpg", "", "0.25", "0.25", ""],
    ]


class Parts(Display):
    """A row for each part of an answer."""

    def __init__(self) -> None:
        super().__init__(None)

    def list_columns(self) -> list[str]:
        return ["part"]

    def list_rows(self, answer: Mapping[str, Any]) -> list[list[Any]]:
        return [[part] for part in answer.get("parts", ())] or [[None]]


def test_an_answer_of_several_parts_has_a_row_for_each() -> None:
    answers = [{"image": "x.jpg", "parts": ["=a", "b"]}, {"image": "y.jpg", "parts": []}]
    answers.append({"image": "z.jpg", "error": "empty file"})
    columns = [{"id": 1}, {"id": 2}, {"id": 3}]
    options = {"inputs": ["image"], "remarks": ["error"], "others": ["id"]}
    assert write_table(answers, columns, Parts(), **options) == [
        ["image", "part", "error", "id"],
        ["x.jpg", "'=a", "", "1"],
        ["x.jpg", "b", "", "1"],
        ["y.jpg", "", "", "2"],
        ["z.jpg", "", "empty file", "3"],
    ]


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        *(
            ("=1+1", "'=1+1"),
            ("+a", "'+a"),
            ("-2+3", "'-2+3"),
            ("@x", "'@x"),
            ("\tx", "'\tx"),
            ("\r=x", "'\r=x"),
        ),
        *(("  =x", "'  =x"), ("＝x", "'＝x"), ("-", "'-")),
        *(("-1.5", "-1.5"), ("+3e-4", "+3e-4"), (-1.5, -1.5), (3, 3), (None, None)),
        *(("a=b", "a=b"), ("", ""), (True, "true"), ([{"a": "é"}], '[{"a": "é"}]')),
    ],
)
def test_no_cell_is_a_formula_and_numbers_stay(value: Any, cell: Any) -> None:
    assert guard_cell(value) == cell


def test_all_text_cells_are_guarded_also_the_header() -> None:
    answer = {"text": "=a", "label": "@b", "error": "+c"}
    rows = write_table([answer], [{"=d": "-e"}], Labels(), remarks=["error"], others=["=d"])
    assert rows == [["text", "label", "error", "'=d"], ["'=a", "'@b", "'+c", "'-e"]]


@pytest.mark.parametrize("as_page", [False, True])
def test_marked_texts_tell_of_what_could_not_be_read(as_page: bool) -> None:
    stream = io.StringIO()
    entity = {"text": "\x9bAda", "start": 0, "end": 4, "type": "\x1bperson"}
    answers = [({"text": "\x9bAda", "entities": [entity]}, {}), ({"text": None, "error": "no\x1btext"}, {})]
    MarkedTextWriter(stream, display=Entities("\x1bperson"), as_page=as_page).write_all(answers)
    shown = stream.getvalue()
    assert r"(no\x1btext)" in shown
    assert r"\x9bAda" in shown
    assert not {"\x1b", "\x9b"} & set(shown)


def test_predictions_are_written_while_they_come() -> None:
    class Slow(io.StringIO):
        flushed = 0

        def flush(self) -> None:
            type(self).flushed += 1

    stream, given = Slow(), []

    def endless() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        for number in count():
            if number == 10:
                raise StopAsyncIteration
            given.append(number)
            yield {"text": str(number), "label": "a", "probabilities": {"a": 1.0}}, {}

    with pytest.raises(StopAsyncIteration):
        JsonLinesWriter(stream, 4).write_all(endless())
    assert len(stream.getvalue().splitlines()) == len(given) == 10
    assert Slow.flushed == 2


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"

    def break_off() -> None:
        with open_output(path) as stream:
            stream.write("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert list(tmp_path.iterdir()) == []
    with open_output(path) as stream:
        stream.write("whole \ud800")
    assert path.read_text() == r"whole \ud800"


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with open_output(tmp_path / "pipe") as stream:
        stream.write("é")
    assert os.read(reader, 10) == "é".encode()
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()


def test_the_format_follows_the_files_name() -> None:
    assert choose_format(None, Path("x.csv")) is Format.CSV
    assert choose_format(None, None) is Format.JSONL
    assert choose_format(Format.JSONL, Path("x.csv")) is Format.JSONL


def test_what_is_no_json_becomes_null() -> None:
    stream = io.StringIO()
    JsonLinesWriter(stream, keys=KEYS).write(
        ANSWERS[0], {"s": float("nan"), "more": [{"t": float("inf")}, 1.5]}
    )
    line = json.loads(stream.getvalue(), parse_constant=lambda name: pytest.fail(name))
    assert (line["s"], line["more"]) == (None, [{"t": None}, 1.5])


def test_a_table_of_answers_has_each_column_once() -> None:
    class Echo(Display):
        def list_columns(self) -> list[str]:
            return ["text", "score"]

    with pytest.raises(ConfigError, match="called like another: text, text, score"):
        CsvWriter(io.StringIO(), inputs=["text"], display=Echo(None))
