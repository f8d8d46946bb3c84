"""Which pictures are meant: files, folders, globs and lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from kerasft.cli.inputs import Source, choose_rows, find_pictures
from kerasft.errors import ConfigError, DataError


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
    return [row.value for row in find_pictures(words)]


def test_a_folder_stands_for_all_that_is_not_hidden_in_it(photos: Path) -> None:
    expected = ["[x].jpg", "a.png", "b.jpg", "sub/c.jpg", "sub/deep/d.jpg"]
    assert find("photos") == find("photos/") == [f"photos/{name}" for name in expected]


def test_files_and_globs_stand_in_the_order_given(photos: Path) -> None:
    assert find("photos/b.jpg", "photos/*.png", "photos/b.jpg") == ["photos/b.jpg", "photos/a.png"]
    assert find("photos/**/[cd].jpg") == ["photos/sub/c.jpg", "photos/sub/deep/d.jpg"]
    assert find("photos/s*") == ["photos/sub/c.jpg", "photos/sub/deep/d.jpg"]


def test_a_name_with_brackets_is_a_file_where_it_is_there(photos: Path) -> None:
    assert find("photos/[x].jpg") == ["photos/[x].jpg"]


def test_a_missing_file_is_left_for_its_own_answer(photos: Path) -> None:
    assert find("nowhere.jpg", "photos/b.jpg") == ["nowhere.jpg", "photos/b.jpg"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["photos/*.gif"], "matches no files"),
        (["photos", "empty"], "empty: There are no files in it"),
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
    rows = choose_rows([], Source(f"photos/{name}"), "image")
    assert [row.value for row in rows] == ["photos/a.png", "photos/sub/c.jpg"]


def test_absolute_paths_of_a_list_stay(photos: Path) -> None:
    (photos / "list.csv").write_text(f"file\n{photos}/photos/a.png\n")
    rows = choose_rows([], Source("list.csv", "file"), "image")
    assert [row.value for row in rows] == [f"{photos}/photos/a.png"]


def test_pictures_come_from_one_place(photos: Path) -> None:
    with pytest.raises(ConfigError, match="Pictures come from the command line and from --input"):
        choose_rows(["a.jpg"], Source("list.txt"), "image")


def test_a_column_that_is_not_there_is_named_by_the_commands_options(tmp_path: Path) -> None:
    table = tmp_path / "new.csv"
    table.write_text("review,rating\ngood,1\n")
    with pytest.raises(DataError, match="no column 'text'") as caught:
        list(choose_rows([], Source(str(table))))
    assert "--column NAME" in str(caught.value.fix)
    assert "columns:" not in str(caught.value.fix)
    table.write_text("text\trating\ngood\t1\n")
    with pytest.raises(DataError, match="one column") as caught:
        list(choose_rows([], Source(str(table))))
    assert "tabs those of a .tsv" in str(caught.value.fix)
