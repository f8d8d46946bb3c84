"""What killed processes left behind is cleared away, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from storage_makers import read_tree

from kerasft.files import sweep_leftovers, whole_folder


def make(folder: Path, *names: str) -> None:
    """Files with their own names in them; a name that ends in / is a folder."""
    for name in names:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)


def test_temporaries_of_ours_go(tmp_path: Path) -> None:
    make(tmp_path, ".stages.json.0a1b2c3d.tmp.json", ".README.0a1b2c3d.tmp", "stages.json")
    make(tmp_path, ".dataset.0a1b2c3d.tmp/manifest.json", ".1.0a1b2c3d.tmp/")
    sweep_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["stages.json"]


def test_whatever_else_there_is_stays(tmp_path: Path) -> None:
    make(tmp_path, ".gitignore", ".dataset.tmp", ".x.0a1b2c3.tmp", ".x.0A1B2C3D.tmp", ".x.0a1b2c3d.bak")
    make(tmp_path, "x.0a1b2c3d.tmp", ".0a1b2c3d.tmp", ".x.json.0a1b2c3d.tmp.txt", "below/.x.0a1b2c3d.tmp")
    make(tmp_path, ".x.json.0a1b2c3d.old.json")
    before = read_tree(tmp_path)
    sweep_leftovers(tmp_path)
    assert read_tree(tmp_path) == before


def test_a_folder_that_was_moved_aside_is_put_back(tmp_path: Path) -> None:
    make(tmp_path, ".dataset.0a1b2c3d.old/manifest.json", ".dataset.0a1b2c3d.tmp/manifest.json")
    sweep_leftovers(tmp_path)
    assert read_tree(tmp_path) == {
        "dataset": None,
        "dataset/manifest.json": b".dataset.0a1b2c3d.old/manifest.json",
    }


def test_a_folder_whose_successor_stands_is_deleted(tmp_path: Path) -> None:
    make(tmp_path, ".dataset.0a1b2c3d.old/manifest.json", "dataset/manifest.json")
    sweep_leftovers(tmp_path)
    assert read_tree(tmp_path) == {"dataset": None, "dataset/manifest.json": b"dataset/manifest.json"}


def test_of_two_that_were_moved_aside_the_later_is_put_back(tmp_path: Path) -> None:
    make(tmp_path, ".dataset.ffffffff.old/a")
    os.utime(tmp_path / ".dataset.ffffffff.old")
    make(tmp_path, ".dataset.00000000.old/b")
    os.chmod(tmp_path / ".dataset.00000000.old", 0o755)
    sweep_leftovers(tmp_path)
    assert set(read_tree(tmp_path)) == {"dataset", "dataset/b"}


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    make(tmp_path, "elsewhere/a", "run/dataset/b")
    (tmp_path / "run" / ".dataset.0a1b2c3d.old").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "run" / ".cache.0a1b2c3d.tmp").symlink_to(tmp_path / "elsewhere")
    sweep_leftovers(tmp_path / "run")
    assert set(read_tree(tmp_path)) == {"elsewhere", "elsewhere/a", "run", "run/dataset", "run/dataset/b"}


def test_a_folder_that_is_not_there_needs_no_sweeping(tmp_path: Path) -> None:
    sweep_leftovers(tmp_path / "export")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", ["folder", "file", "link", "link to nowhere"])
def test_whatever_stood_there_is_replaced_whole(tmp_path: Path, kind: str) -> None:
    make(tmp_path, "elsewhere/a")
    path = tmp_path / "dataset"
    if kind == "folder":
        make(tmp_path, "dataset/old")
    elif kind == "file":
        path.write_text("old")
    else:
        path.symlink_to(tmp_path / ("elsewhere" if kind == "link" else "nowhere"))
    with whole_folder(path) as folder:
        (folder / "new").write_text("new")
    assert read_tree(tmp_path) == {
        "elsewhere": None,
        "elsewhere/a": b"elsewhere/a",
        "dataset": None,
        "dataset/new": b"new",
    }


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_where_the_new_folder_cannot_take_its_place_the_old_one_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    make(tmp_path, "dataset/old")
    replace, calls = os.replace, []

    def fail_second(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise error
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_second)
    with pytest.raises((OSError, KeyboardInterrupt)), whole_folder(tmp_path / "dataset") as folder:
        (folder / "new").write_text("new")
    assert len(calls) == 3
    assert read_tree(tmp_path) == {"dataset": None, "dataset/old": b"dataset/old"}


def test_where_nothing_is_to_be_replaced_what_stands_there_stays(tmp_path: Path) -> None:
    make(tmp_path, "folder/old", "file")
    for name in ("folder", "file"):
        with pytest.raises(FileExistsError), whole_folder(tmp_path / name, replace=False):
            pass
    assert set(read_tree(tmp_path)) == {"folder", "folder/old", "file"}
