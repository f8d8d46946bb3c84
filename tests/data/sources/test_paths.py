"""From patterns to files."""

import importlib
import os
import sys
from pathlib import Path

import pytest

from kerasft.data.sources.paths import SourceFile, list_folders, list_members, resolve_files
from kerasft.errors import DataError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "parts").mkdir()
    for name in ("train.csv", "parts/b.csv", "parts/a.csv", "parts/c.txt", "odd[1].csv"):
        (tmp_path / name).write_text("x")
    return tmp_path


def names(found):
    return [file.name for file in found]


def test_a_name_is_relative_to_the_base(folder):
    assert names(resolve_files("train.csv", folder)) == ["train.csv"]


def test_an_absolute_path_is_itself(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    found = resolve_files(str(folder / "train.csv"), elsewhere)
    assert [file.path for file in found] == [folder / "train.csv"]
    assert names(found) == [(folder / "train.csv").as_posix()]


def test_a_glob_is_sorted_and_a_list_keeps_its_order_without_repeats(folder):
    found = resolve_files(("train.csv", "parts/*.csv", "parts/b.csv", "./train.csv"), folder)
    assert names(found) == ["train.csv", "parts/a.csv", "parts/b.csv"]


def test_two_stars_look_into_folders(folder):
    assert names(resolve_files("**/a.csv", folder)) == ["parts/a.csv"]


def test_a_file_whose_name_looks_like_a_glob_is_found(folder):
    assert names(resolve_files("odd[1].csv", folder)) == ["odd[1].csv"]


def test_no_match_names_the_pattern_and_the_nearest_file(folder):
    with pytest.raises(DataError) as error:
        resolve_files("trian.csv", folder)
    assert "trian.csv" in str(error.value)
    assert "train.csv" in error.value.fix
    assert error.value.exit_code == 3


def test_a_missing_folder_is_named_by_its_nearest(folder):
    with pytest.raises(DataError) as error:
        resolve_files("prats/*.csv", folder)
    assert "parts/" in error.value.fix


def test_a_folder_is_not_a_file(folder):
    with pytest.raises(DataError, match="is a folder") as error:
        resolve_files("parts", folder)
    assert "parts/*.csv" in error.value.fix


def test_package_files_are_found(folder, monkeypatch):
    package = folder / "some_reviews"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "train.jsonl").write_text("{}")
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()
    (package / "inner").mkdir()
    (package / "inner" / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "inner" / "test.jsonl").write_text("{}")
    (found,) = resolve_files("package:some_reviews/train.jsonl", folder / "parts")
    assert found.path == package / "train.jsonl"
    (found,) = resolve_files("package:some_reviews.inner/test.jsonl", folder / "parts")
    assert found.path == package / "inner" / "test.jsonl"
    assert "some_reviews" not in sys.modules


@pytest.mark.parametrize("pattern", ["package:no_such_package_here/x.csv", "package:json", "package:/x"])
def test_a_package_that_cannot_be_found_says_so(folder, pattern):
    with pytest.raises(DataError) as error:
        resolve_files(pattern, folder)
    assert "package" in str(error.value)


@pytest.mark.parametrize("patterns", ["", (), []])
def test_no_path_at_all_is_told(tmp_path, patterns):
    with pytest.raises(DataError, match="No file is named"):
        resolve_files(patterns, tmp_path)


def test_a_file_that_is_a_link_to_nowhere_is_told_and_not_passed_over(folder):
    (folder / "gone.csv").symlink_to("/nonexistent.csv")
    for pattern in ("gone.csv", "*.csv"):
        with pytest.raises(DataError, match=r"gone.csv is a link to /nonexistent.csv, which is not there"):
            resolve_files(pattern, folder)


@pytest.mark.parametrize(
    ("name", "found"),
    [("d.txt", ["parts/c.txt"]), ("old", ["parts/c.txt"]), ("picture.png", ["parts/c.txt"])],
)
def test_a_link_to_nowhere_below_a_folder_is_told_where_it_might_be_meant(folder, name, found):
    assert names(resolve_files("parts", folder, endings=[".txt"])) == found
    (folder / "parts" / name).symlink_to("/nonexistent")
    if name == "picture.png":
        assert names(resolve_files("parts", folder, endings=[".txt"])) == found
        return
    with pytest.raises(DataError, match=rf"{name} is a link to /nonexistent, which is not there"):
        resolve_files("parts", folder, endings=[".txt"])


@pytest.mark.parametrize("pattern", ["parts", "parts/*.txt", "**/*.txt"])
def test_a_pipe_among_files_is_told(folder, pattern):
    os.mkfifo(folder / "parts" / "d.txt")
    with pytest.raises(DataError, match=r"d.txt is neither a file nor a folder, but a pipe or a device"):
        resolve_files(pattern, folder, endings=[".txt"])


def test_a_folder_that_is_called_as_a_file_is_passed_over_by_globs(folder):
    (folder / "parts" / "d.txt").mkdir()
    assert names(resolve_files("parts/*.txt", folder)) == ["parts/c.txt"]


@pytest.fixture
def locked(folder, monkeypatch):
    """Where this process stands, `parts/locked` may not be read; root has no more rights than others meanwhile."""
    (folder / "parts" / "locked").mkdir(mode=0)
    folder.chmod(0o755)
    monkeypatch.chdir(folder)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield folder
    os.seteuid(user)
    (folder / "parts" / "locked").chmod(0o700)


@pytest.mark.usefixtures("locked")
@pytest.mark.parametrize(
    "pattern", ["parts", "**/*.txt", "parts/**/*.txt", "parts/*/*.txt", "parts/locked/*.txt"]
)
def test_a_folder_that_may_not_be_read_is_told_and_not_passed_over(pattern):
    with pytest.raises(DataError, match=r"parts/locked(/|/\*.txt)?: It cannot be read: Permission denied"):
        resolve_files(pattern, Path(), endings=[".txt"])


@pytest.mark.usefixtures("locked")
def test_a_folder_that_no_pattern_looks_into_may_be_unreadable():
    assert names(resolve_files("parts/*.txt", Path())) == ["parts/c.txt"]


@pytest.mark.usefixtures("locked")
def test_members_and_folders_of_a_folder_that_may_not_be_read_are_told():
    for look in (
        lambda: list_members(SourceFile(Path("parts"), "parts")),
        lambda: list_folders(Path("parts/locked")),
    ):
        with pytest.raises(DataError, match="parts/locked: It cannot be read"):
            look()


@pytest.mark.parametrize(
    ("name", "folders", "told"),
    [("none", True, "matches no folder."), ("none.csv", False, "No file matches it.")],
)
def test_an_absolute_path_is_named_once(folder, name, folders, told):
    with pytest.raises(DataError) as error:
        resolve_files(str(folder / name), folder, folders=folders)
    assert str(error.value).splitlines()[0] == f"{folder / name}: {told}"
