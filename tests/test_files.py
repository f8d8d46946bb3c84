"""What a file or folder may take the place of."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kerasft.errors import StorageError
from kerasft.files import whole_folder, write_text


@pytest.mark.parametrize("name", ["pipe", "folder", ".", "..", "folder/.."])
def test_only_a_file_is_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    work = tmp_path / "work"
    (work / "folder").mkdir(parents=True)
    os.mkfifo(work / "pipe")
    monkeypatch.chdir(work)
    with pytest.raises(StorageError, match=r"not a file|Is a directory"):
        write_text(name, "x")
    assert sorted(path.name for path in work.iterdir()) == ["folder", "pipe"]
    assert (work / "pipe").is_fifo()


def test_the_working_folder_may_be_named_by_a_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    with whole_folder(".") as folder:
        (folder / "a").touch()
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["a"]
