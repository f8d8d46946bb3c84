"""Texts from everywhere, predictions to everywhere."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from known_answers import KnownAnswers, answer_without_a_model
from PIL import Image

from kerasft.cli.input_rows import Row, Source
from kerasft.cli.input_tables import list_columns
from kerasft.cli.inputs import choose_rows
from kerasft.cli.main import main
from kerasft.cli.trained import split_overrides
from kerasft.data.kinds import load_kind
from kerasft.data.kinds.fields import Field
from kerasft.errors import ConfigError, DataError
from kerasft.experiment import ExperimentConfig

SECTIONS = tuple(ExperimentConfig.model_fields)


TEXTS = {"text": load_kind(Field("text", "text"))}
PICTURES = {"image": load_kind(Field("image", "image"))}


def get_text(row: Row) -> str | None:
    return None if row.values is None else row.values["text"]


def read(path: Path, column: str | None = None, header: bool = True) -> list[str | None]:
    columns = [] if column is None else [column]
    return [get_text(row) for row in choose_rows([], Source(str(path), columns, header), TEXTS)]


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
    ("name", "text", "problem"),
    [
        ("a.jsonl", '{"text": "a"}\n{"text": 5}\n{"text": "c"}\n', "not a string but 5"),
        ("a.jsonl", '{"text": "a"}\n{"text": \n{"text": "c"}\n', "broken JSON: "),
        ("a.jsonl", '{"text": "a"}\n{"x": 1}\n{"text": "c"}\n', "missing key: no 'text'; there is x"),
        ("a.csv", "text,label\na,1\nb\nc,2\n", "wrong column count: expected 2, found 1"),
        ("a.txt", b"a\ncaf\xe9\nc\n", "byte 0xE9 is not UTF-8: --encoding names the file's"),
        ("a.csv", b"text\na\ncaf\xe9\nc\n", "invalid UTF-8: byte 0xE9 at byte 3"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_and_the_others_are_read(
    tmp_path: Path, name: str, text: str | bytes, problem: str
):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    rows = list(choose_rows([], Source(str(path)), TEXTS))
    assert [get_text(row) for row in rows] == ["a", None, "c"]
    line = 3 if name.endswith("csv") else 2
    assert rows[1].where == f"{path}:{line}"
    assert problem.lower() in str(rows[1].problem).lower()


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl"])
def test_a_file_is_read_in_its_encoding(tmp_path: Path, name: str):
    path = tmp_path / name
    line = {"a.txt": "café\n", "a.csv": "text\ncafé\n", "a.jsonl": '{"text": "café"}\n'}[name]
    path.write_bytes(line.encode("latin-1"))
    assert [get_text(row) for row in choose_rows([], Source(str(path), encoding="latin-1"), TEXTS)] == [
        "café"
    ]
    for wrong in ("hex", "nothing-8", "\ud800", "utf-16"):
        with pytest.raises(ConfigError, match="--encoding"):
            list(choose_rows([], Source(str(path), encoding=wrong), TEXTS))


def test_a_path_may_hold_any_bytes(tmp_path: Path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"caf\xe9.jpg\n")
    (row,) = choose_rows([], Source(str(path)), PICTURES)
    assert os.fsencode(row.values["image"]).endswith(b"/caf\xe9.jpg")


@pytest.mark.parametrize(
    ("name", "text", "column", "columns"),
    [
        ("a.csv", "id,text,label\n1,a,x\n", None, {"id": "1", "label": "x"}),
        ("a.csv", "id,review,id\n1,a,2\n", "review", {"id": "1", "id (2)": "2"}),
        ("a.jsonl", '{"id": 1, "text": "a", "more": {"b": [2]}}\n', None, {"id": 1, "more": {"b": [2]}}),
    ],
)
def test_a_tables_other_columns_are_kept(
    tmp_path: Path, name: str, text: str, column: str | None, columns: dict[str, Any]
):
    source = Source(str(make(name, text, tmp_path)), [column] if column else [])
    (row,) = choose_rows([], source, TEXTS)
    assert (get_text(row), row.columns) == ("a", columns)
    assert list_columns(source, TEXTS) == list(columns)


def test_columns_without_a_header_are_numbered(tmp_path: Path):
    source = Source(str(make("a.csv", "1,a,x\n", tmp_path)), ["1"], header=False)
    assert next(iter(choose_rows([], source, TEXTS))).columns == {"column_0": "1", "column_2": "x"}


def test_objects_of_different_keys_have_all_their_columns(tmp_path: Path):
    source = Source(str(make("a.jsonl", '{"text": "a", "b": 1}\n5\n{"c": 2, "text": "d"}\n', tmp_path)))
    assert list_columns(source, TEXTS) == ["b", "c"]


def test_lines_have_no_columns(tmp_path: Path):
    with pytest.raises(ConfigError, match="--column: Only tables have columns"):
        choose_rows([], Source(str(make("a.txt", "a\n", tmp_path)), ["b"]), TEXTS)


def test_texts_come_from_one_place():
    with pytest.raises(ConfigError, match="by --input"):
        choose_rows(["a"], Source("b.txt"), TEXTS)
    with pytest.raises(DataError, match="no such file"):
        choose_rows([], Source("missing.txt"), TEXTS)


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a config `c.yaml` whose model knows its answers."""
    answer_without_a_model(monkeypatch)
    monkeypatch.chdir(tmp_path)
    make("c.yaml", "name: x\ntask: {type: text_classification}\ndata: {}\nmodel: {preset: y}\n", tmp_path)
    return tmp_path


TABLE = 'id,text,label\n1,good,=x\n2,"   ",b\n3\n4,bad,c\n'


def test_predict_goes_on_after_a_bad_row_and_keeps_the_columns(
    trained: Path, capsys: pytest.CaptureFixture[str]
):
    make("t.csv", TABLE, trained)
    assert main(["predict", "c.yaml", "-i", "t.csv"]) == 10
    shown = capsys.readouterr()
    assert [json.loads(line) for line in shown.out.splitlines()] == [
        {
            **{"text": "good", "label": "good", "probabilities": {"bad": 0.0, "good": 1.0}},
            **{"id": "1", "input_label": "=x"},
        },
        {
            **{"text": "   ", "label": "bad", "probabilities": {"bad": 1.0, "good": 0.0}},
            **{"note": "blank text", "id": "2", "input_label": "b"},
        },
        {"text": None, "error": "wrong column count: expected 3, found 1"},
        {
            **{"text": "bad", "label": "bad", "probabilities": {"bad": 1.0, "good": 0.0}},
            **{"id": "4", "input_label": "c"},
        },
    ]
    assert "warning: t.csv:4: wrong column count: expected 3, found 1\n" in shown.err
    assert "warning: 1 text answered with a note: blank text." in shown.err
    assert "error: predict: 1 of 4 texts could not be used; all others were answered." in shown.err


def test_predict_writes_a_table_with_all_columns(trained: Path, capsys: pytest.CaptureFixture[str]):
    make("t.csv", TABLE, trained)
    assert main(["predict", "c.yaml", "-i", "t.csv", "--to", "a.csv", "--skip-errors", "-q"]) == 10
    with open("a.csv", newline="") as file:
        assert list(csv.reader(file)) == [
            ["text", "label", "probability_bad", "probability_good", "note", "error", "id", "input_label"],
            ["good", "good", "0.0", "1.0", "", "", "1", "'=x"],
            ["   ", "bad", "1.0", "0.0", "blank text", "", "2", "b"],
            ["bad", "bad", "1.0", "0.0", "", "", "4", "c"],
        ]
    assert "They were left out of the output." in capsys.readouterr().err


def test_all_is_well_with_0(trained: Path, capsys: pytest.CaptureFixture[str]):
    (trained / "t.txt").write_bytes("caf\xe9 g\n".encode("latin-1"))
    assert main(["predict", "c.yaml", "-i", "t.txt", "--encoding", "latin-1"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == "café g"
    assert main(["predict", "c.yaml", "-i", "t.txt"]) == 10
    assert "t.txt:1: byte 0xE9 is not UTF-8: --encoding names the file's" in capsys.readouterr().err


@pytest.mark.parametrize("argument", ["seed=2", "train.epochs=1", "data.leaks=drop", "export=null"])
def test_what_cannot_change_a_trained_model_is_refused(
    trained: Path, argument: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["predict", "c.yaml", "a good film", argument]) == 2
    shown = capsys.readouterr()
    assert "the model is trained already" in shown.err
    assert "task.type" in shown.err
    assert shown.out == ""


LIGHT = """
import sys
from kerasft.cli.main import main
for command in COMMANDS:
    print(main(command), "tensorflow" in sys.modules)
"""


def test_arguments_that_cannot_be_used_are_told_before_the_model_is_loaded(trained: Path):
    make("t.csv", TABLE, trained)
    make("t.jsonl", '{"prompt": "a"}\n{"prompt": "b"}\n', trained)
    make("t.txt", "a\n", trained)
    make(
        "p.yaml",
        "name: x\ntask: {type: image_classification}\ndata: {}\nmodel: {preset: mobilenet}\n",
        trained,
    )
    make("g.yaml", "name: x\ntask: {type: causal_lm}\ndata: {}\nmodel: {preset: y}\n", trained)
    make("photo.jpg", "", trained)
    commands = {
        "predict c.yaml -i t.csv --column review": 3,
        "predict c.yaml -i t.jsonl --column review": 3,
        "predict c.yaml -i t.txt --encoding utf-99": 2,
        "predict c.yaml -i t.csv --encoding utf-99": 2,
        "predict p.yaml photo.jpg --draw .": 2,
        "generate g.yaml -i t.csv": 3,
        "generate g.yaml -i t.jsonl --column opening": 3,
        "generate g.yaml -i t.txt --encoding utf-99": 2,
        "predict c.yaml a": 2,
    }
    script = LIGHT.replace("COMMANDS", repr([command.split() for command in commands]))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines() == [f"{code} False" for code in commands.values()], done.stderr
    for message in (
        "'review'",
        "None of the first 2 objects has the key that --column names. The first: no 'review'; there is prompt.",
        "--encoding: It cannot be used",
        "photo.jpg is in that folder",
        "'prompt'",
        "no 'opening'",
        "no trained model",
    ):
        assert message in done.stderr


def test_a_columns_name_may_have_dots_and_equals_signs(tmp_path: Path):
    table = make("a.csv", "a.b=c,d\none,two\n", tmp_path)
    (row,) = choose_rows([], Source(str(table), ["a.b=c"]), TEXTS)
    assert (get_text(row), row.columns) == ("one", {"d": "two"})
    pair = {name: load_kind(Field(name, "text")) for name in ("first", "second")}
    (row,) = choose_rows([], Source(str(table), ["first=a.b=c", "second=d"]), pair)
    assert (row.values, row.columns) == ({"first": "one", "second": "two"}, {})
    lines = make("a.jsonl", '{"a": {"b": "one", "c": 1}, "d": "two"}\n', tmp_path)
    (row,) = choose_rows([], Source(str(lines), ["first=a.b", "second=d"]), pair)
    assert row.values == {"first": "one", "second": "two"}
    assert row.columns == {"a": {"c": 1}}


@pytest.mark.parametrize(
    ("text", "columns", "left"),
    [
        ('{"a": {"b": "one", "c": "two"}, "d": 1}', ["first=a.b", "second=a.c"], {"d": 1}),
        ('{"a": {"b": {"c": "one"}, "d": 1}, "e": "two"}', ["first=a.b.c", "second=e"], {"a": {"d": 1}}),
        ('{"a.b": "one", "a": {"b": 1}, "e": "two"}', ["first=a.b", "second=e"], {"a": {"b": 1}}),
    ],
)
def test_what_is_used_of_an_object_is_not_written_a_second_time(
    tmp_path: Path, text: str, columns: list[str], left: dict[str, Any]
):
    pair = {name: load_kind(Field(name, "text")) for name in ("first", "second")}
    (row,) = choose_rows([], Source(str(make("a.jsonl", text, tmp_path)), columns), pair)
    assert (row.values, row.columns) == ({"first": "one", "second": "two"}, left)


def test_a_key_that_some_objects_lack_is_their_own_error(tmp_path: Path):
    path = make("a.jsonl", '{"id": 1}\n{"review": "one"}\n', tmp_path)
    first, second = choose_rows([], Source(str(path), ["review"]), TEXTS)
    assert "no 'review'" in str(first.problem)
    assert get_text(second) == "one"


def test_an_object_with_one_key_twice_has_no_answer(trained: Path, capsys: pytest.CaptureFixture[str]):
    make("t.jsonl", '{"text": "good", "text": "bad"}\n{"text": "good"}\n', trained)
    assert main(["predict", "c.yaml", "-i", "t.jsonl", "-q"]) == 10
    wrong, right = map(json.loads, capsys.readouterr().out.splitlines())
    assert wrong["error"] == "duplicate key: 'text' has several values"
    assert right["label"] == "good"


class KnownPictures(KnownAnswers):
    """A trained task that is asked about two pictures."""

    fields = (Field("before", "image"), Field("after", "image"))
    config = SimpleNamespace(type="image_classification", inputs=fields, multi_label=False)
    input_kinds = {field.name: load_kind(field) for field in fields}  # noqa: RUF012

    def read_input(self, row: dict[str, Any]) -> dict[str, Any]:
        return {name: kind.read_input(row[name]) for name, kind in self.input_kinds.items()}

    def answer(self, examples: Any) -> list[dict[str, Any]]:
        return [{"label": "good", "probabilities": {"good": 1.0, "bad": 0.0}} for _ in examples]


def test_of_several_pictures_each_has_a_copy_with_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from kerasft.tasks.image_classification.config import ImageClassificationConfig

    answer_without_a_model(monkeypatch, KnownPictures())
    monkeypatch.setattr(ImageClassificationConfig, "inputs", KnownPictures.fields)
    monkeypatch.chdir(tmp_path)
    for name in ("old/a.png", "new/a.png", "new/b.png"):
        Path(name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (80, 60), "teal").save(name)
    make(
        "c.yaml",
        "name: x\ntask: {type: image_classification}\ndata: {}\nmodel: {preset: mobilenet}\n",
        tmp_path,
    )
    make("pairs.csv", "before,after\nold/a.png,new/a.png\nold/a.png,new/b.png\n", tmp_path)
    assert main(["predict", "c.yaml", "-i", "pairs.csv", "--to", "out.jsonl", "--draw", "drawn", "-q"]) == 0
    copies = sorted(path for path in Path("drawn").iterdir() if path.suffix == ".png")
    assert [path.name for path in copies] == ["a (2).png", "a.png", "b.png"]
    assert all(Image.open(path).height > 60 for path in copies)
