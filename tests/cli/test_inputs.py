"""Which pictures are meant: files, folders, globs and lists."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from kerasft.cli.input_files import find_files
from kerasft.cli.input_rows import Source
from kerasft.cli.inputs import choose_rows
from kerasft.data.kinds import load_kind
from kerasft.data.kinds.fields import Field
from kerasft.errors import ConfigError, DataError

TEXTS = {"text": load_kind(Field("text", "text"))}
PICTURES = {"image": load_kind(Field("image", "image"))}
PAIRS = {name: load_kind(Field(name, "text")) for name in ("first", "second")}


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with some files below `photos`."""
    names = ["b.jpg", "a.png", "sub/c.jpg", "sub/deep/d.jpg", ".hidden.jpg", "sub/.thumbs/e.jpg", "[x].jpg"]
    for name in names:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def find(*words: str) -> list[str]:
    return find_files(words)


def test_a_folder_stands_for_all_that_is_not_hidden_in_it(photos: Path) -> None:
    expected = ["[x].jpg", "a.png", "b.jpg", "sub/c.jpg", "sub/deep/d.jpg"]
    assert find("photos") == find("photos/") == [f"photos/{name}" for name in expected]


def test_files_and_globs_stand_in_the_order_given(photos: Path) -> None:
    assert find("photos/b.jpg", "photos/*.png", "photos/b.jpg") == ["photos/b.jpg", "photos/a.png"]
    assert find("photos/**/[cd].jpg") == ["photos/sub/c.jpg", "photos/sub/deep/d.jpg"]
    assert find("photos/s*") == ["photos/sub/c.jpg", "photos/sub/deep/d.jpg"]


@pytest.mark.parametrize("word", ["photos", "photos/**/*.jpg", "photos/*/*.jpg"])
def test_a_folder_that_may_not_be_read_is_told_and_not_passed_over(photos: Path, word: str) -> None:
    locked, user = photos / "photos" / "locked", os.geteuid()
    locked.mkdir(mode=0)
    photos.chmod(0o755)
    if user == 0:
        os.seteuid(65534)  # root may read everything
    try:
        with pytest.raises(DataError, match=r"photos/locked/?: It cannot be read: Permission denied"):
            find(word)
    finally:
        os.seteuid(user)


def test_a_name_with_brackets_is_a_file_where_it_is_there(photos: Path) -> None:
    assert find("photos/[x].jpg") == ["photos/[x].jpg"]


def test_a_missing_file_is_left_for_its_own_answer(photos: Path) -> None:
    assert find("nowhere.jpg", "photos/b.jpg") == ["nowhere.jpg", "photos/b.jpg"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["photos/*.gif"], "matches no files"),
        (["photos", "empty"], "empty: It contains no files"),
        (["phtos"], "phtos: There is no such file"),
        (["x.jpg", "y.jpg", "z.jpg"], r"x\.jpg: There is no such file, nor 2 others"),
    ],
)
def test_where_nothing_is_meant_that_is_said(photos: Path, words: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        find(*words)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.txt", "a.png\n\nsub/c.jpg\n"),
        ("list.csv", "id,image\n1,a.png\n2,sub/c.jpg\n"),
        ("list.jsonl", '{"image": "a.png"}\n{"image": "sub/c.jpg"}\n'),
    ],
)
def test_paths_of_a_list_start_from_its_folder(photos: Path, name: str, text: str) -> None:
    path = photos / "photos" / name
    path.write_text(text)
    rows = choose_rows([], Source(f"photos/{name}"), PICTURES)
    assert [row.values["image"] for row in rows] == ["photos/a.png", "photos/sub/c.jpg"]


def test_absolute_paths_of_a_list_stay(photos: Path) -> None:
    (photos / "list.csv").write_text(f"file\n{photos}/photos/a.png\n")
    rows = choose_rows([], Source("list.csv", ["file"]), PICTURES)
    assert [row.values["image"] for row in rows] == [f"{photos}/photos/a.png"]


def test_pictures_come_from_one_place(photos: Path) -> None:
    with pytest.raises(ConfigError, match="Pictures are given both on the command line and by --input"):
        choose_rows(["a.jpg"], Source("list.txt"), PICTURES)


def test_a_column_that_is_not_there_is_named_by_the_commands_options(tmp_path: Path) -> None:
    table = tmp_path / "new.csv"
    table.write_text("review,rating\ngood,1\n")
    with pytest.raises(DataError, match="no column 'text'") as caught:
        list(choose_rows([], Source(str(table)), TEXTS))
    assert "--column NAME" in str(caught.value.fix)
    assert "columns:" not in str(caught.value.fix)
    table.write_text("text\trating\ngood\t1\n")
    with pytest.raises(DataError, match="one column") as caught:
        list(choose_rows([], Source(str(table)), TEXTS))
    assert "tabs those of a .tsv" in str(caught.value.fix)


def read_pairs(*words: str, source: Source | None = None) -> list[tuple[Any, str | None]]:
    return [(row.values, row.problem) for row in choose_rows(list(words), source or Source(), PAIRS)]


def test_several_inputs_are_an_object_each() -> None:
    rows = choose_rows(['{"first": "a", "second": "b", "id": 3}'], Source(), PAIRS)
    assert [(row.values, row.columns) for row in rows] == [({"first": "a", "second": "b"}, {"id": 3})]
    (wrong, number, missing, broken) = read_pairs(
        "a text", '{"first": 1, "second": "b"}', '{"first": "a"}', '{"first"'
    )
    assert wrong[0] is None
    assert "broken JSON" in wrong[1]
    assert '{"first": …, "second": …}' in wrong[1]
    assert number == (None, "first: not a string but 1")
    assert "no 'second'" in missing[1]
    assert "broken JSON" in broken[1]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pairs.jsonl", '{"first": "a", "second": "b", "n": 1}\n{"first": "c", "second": "d", "n": 2}\n'),
        ("pairs.txt", '{"first": "a", "second": "b", "n": 1}\n{"first": "c", "second": "d", "n": 2}\n'),
        ("pairs.csv", "n,second,first\n1,b,a\n2,d,c\n"),
        ("pairs.tsv", "n\tsecond\tfirst\n1\tb\ta\n2\td\tc\n"),
    ],
)
def test_several_inputs_are_read_from_files(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    rows = list(choose_rows([], Source(str(path)), PAIRS))
    assert [row.values for row in rows] == [{"first": "a", "second": "b"}, {"first": "c", "second": "d"}]
    assert [{name: str(value) for name, value in row.columns.items()} for row in rows] == [
        {"n": "1"},
        {"n": "2"},
    ]


def test_each_of_several_inputs_may_have_a_column_of_another_name(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("x,second,y\n1,b,a\n")
    assert read_pairs(source=Source(str(path), ["first=y"])) == [({"first": "a", "second": "b"}, None)]
    assert read_pairs(source=Source(str(path), ["first=2", "second=1"], header=False))[1] == (
        {"first": "a", "second": "b"},
        None,
    )
    for wrong in (["y"], ["third=y"], ["first=y", "first=x"]):
        with pytest.raises(ConfigError, match="several inputs: first, second") as caught:
            read_pairs(source=Source(str(path), wrong))
        assert "--column first=NAME --column second=NAME" in str(caught.value.fix)


def test_one_input_has_one_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("x,y\n1,b\n")
    with pytest.raises(ConfigError, match="one input, and 2 columns"):
        list(choose_rows([], Source(str(path), ["x", "y"]), TEXTS))


@pytest.mark.parametrize(
    ("text", "columns", "header"),
    [
        ("a,b\n", ["first=1"], False),
        ("a,b\n", ["first=0", "second=0"], False),
        ("first,second\na,b\n", ["first=second"], True),
    ],
)
def test_two_inputs_are_never_read_from_one_column(
    tmp_path: Path, text: str, columns: list[str], header: bool
) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    with pytest.raises(
        ConfigError, match=r"Two inputs would be read from one column|all inputs are to be named"
    ):
        read_pairs(source=Source(str(path), columns, header))


def test_a_column_may_be_called_by_a_number(tmp_path: Path) -> None:
    path = tmp_path / "years.csv"
    path.write_text("id,2021,0\n7,one,zero\n")
    for column, value in (("2021", "one"), ("0", "zero"), ("1", "one")):
        (row,) = choose_rows([], Source(str(path), [column]), TEXTS)
        assert row.values == {"text": value}


def test_a_column_is_found_however_its_accents_are_written(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("café,id\nx,1\n", encoding="utf-8")
    (row,) = choose_rows([], Source(str(path), ["cafe\u0301"]), TEXTS)
    assert (row.values, row.columns) == ({"text": "x"}, {"id": "1"})


def test_a_tables_row_without_a_path_has_an_answer_of_its_own(photos: Path) -> None:
    (photos / "list.csv").write_text("image,id\na.jpg,1\n,2\n  ,3\nb.jpg ,4\n")
    rows = list(choose_rows([], Source("list.csv"), PICTURES))
    assert [(row.values["image"], row.columns["id"]) for row in rows] == [
        ("a.jpg", "1"),
        ("", "2"),
        ("", "3"),
        ("b.jpg", "4"),
    ]


@pytest.mark.parametrize("path", ["", "a\0b.jpg", "\ud800.jpg", "x" * 5000, b"\x89PNG"])
def test_what_can_be_no_file_is_refused_alone(path: Any) -> None:
    with pytest.raises(DataError) as caught:
        PICTURES["image"].read_input(path)
    assert len(str(caught.value)) < 2000


def test_json_is_asked_about_as_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_text('{"text": "a"}\n')
    assert [row.values for row in choose_rows([], Source(str(path)), TEXTS)] == [{"text": "a"}]
    (tmp_path / "a.json").write_text('[{"text": "a"}]')
    with pytest.raises(ConfigError, match=r"\.json file is no list"):
        choose_rows([], Source(str(tmp_path / "a.json")), TEXTS)
