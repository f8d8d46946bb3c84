"""Files from someone else: links, pipes, odd sizes, odd depths and odd shapes are told with the file's name."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydantic
import pytest

from kerasft.errors import ConfigError, DataError, PresetError, StorageError
from kerasft.foreign import check_own_files
from kerasft.json_values import MAX_DEPTH
from kerasft.untrusted import (
    check_tree,
    iterate_json_lines,
    load_json,
    open_in_place,
    open_plain,
    read_bytes,
    read_json,
    read_text,
)


class Record(pydantic.BaseModel):
    count: int
    names: list[str] = []


def nest(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


CONTENTS: dict[str, tuple[bytes, Any, str]] = {
    "no JSON": (b"{", dict[str, Any], "Expecting property name"),
    "empty": (b"", dict[str, Any], "Expecting value"),
    "no UTF-8": (b'{"a": "\xff"}', dict[str, Any], "can't decode byte 0xff"),
    "a list": (b"[]", dict[str, Any], "valid dictionary"),
    "deep enough for the parser": (nest(100_000), Any, "nested too deeply"),
    "a level too deep": (nest(MAX_DEPTH + 1), Any, "nested too deeply"),
    "half a pair": (b'{"a": "\\ud800"}', dict[str, Any], "surrogates not allowed"),
    "a number too long": (b"1" * 5000, Any, "4300 digits"),
    "another kind": (b'{"count": "3"}', Record, "count: Input should be a valid integer"),
    "a lacking key": (b"{}", Record, "count: Field required"),
    "within a list": (b'{"count": 3, "names": ["a", 7]}', Record, "names.1: Input should be a valid string"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_json_that_is_not_what_it_should_be_is_told_with_the_file(name: str, tmp_path: Path) -> None:
    content, schema, told = CONTENTS[name]
    path = tmp_path / "record.json"
    path.write_bytes(content)
    with pytest.raises(PresetError, match=told) as caught:
        read_json(path, schema, error=PresetError, fix="Fetch it again.")
    assert caught.value.where == str(path)
    assert caught.value.fix == "Fetch it again."
    with pytest.raises(ValueError, match=told):
        load_json(path, schema)


def test_json_that_is_what_it_should_be_is_returned_plain(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps({"count": 3, "more": [1.5, None]}))
    assert read_json(path, Record) == {"count": 3, "more": [1.5, None]}
    path.write_bytes(nest(MAX_DEPTH))
    assert read_json(path, Any)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none.json")


def test_lines_of_json_are_told_by_their_number(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"count": 1}\n\n{"count": 2}\n{"count": null}\n')
    rows = iterate_json_lines(path, Record)
    assert [next(rows), next(rows)] == [{"count": 1}, {"count": 2}]
    with pytest.raises(DataError, match=r"rows\.jsonl:4: is damaged: count"):
        next(rows)


def link(path: Path) -> None:
    target = path.with_name("target")
    target.write_text("{}")
    path.symlink_to(target)


STRANGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a link": (link, "a link"),
    "a link to a device": (lambda path: path.symlink_to("/dev/zero"), "a link"),
    "a broken link": (lambda path: path.symlink_to("nowhere"), "a link"),
    "a pipe": (os.mkfifo, "a pipe"),
    "a folder": (Path.mkdir, "a folder"),
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_is_no_plain_file_is_neither_read_nor_written(name: str, tmp_path: Path) -> None:
    make, kind = STRANGE[name]
    path = tmp_path / "file"
    make(path)
    before = sorted((p.name, p.lstat().st_size) for p in tmp_path.iterdir())
    for act in (read_bytes, read_text, read_json, open_in_place, lambda p: list(iterate_json_lines(p))):
        with pytest.raises(DataError, match=kind) as caught:
            act(path)
        assert caught.value.where == str(path)
    with pytest.raises(ValueError, match=kind):
        open_plain(path)
    assert before == sorted((p.name, p.lstat().st_size) for p in tmp_path.iterdir())


def test_a_file_of_many_bytes_is_read_only_so_far(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DataError, match="1,099,511,627,776 bytes, and may have 1,000"):
        read_bytes(path, max_bytes=1000)


def test_a_file_that_is_written_in_place_keeps_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("abc")
    with open_in_place(path) as file:
        assert file.read() == b"abc"
        file.write(b"d")
    assert path.read_text() == "abcd"
    with pytest.raises(FileNotFoundError):
        open_in_place(tmp_path / "none", create=False)
    with pytest.raises(StorageError):
        open_in_place(tmp_path / ("x" * 300))


def test_what_is_written_in_place_is_not_written_under_another_name(tmp_path: Path) -> None:
    path, backup = tmp_path / "file", tmp_path / "backup"
    path.write_text("abc")
    os.link(path, backup)
    with open_in_place(path) as file:
        assert file.read() == b"abc"
        file.write(b"d")
    assert (path.read_text(), backup.read_text()) == ("abcd", "abc")
    assert sorted(os.listdir(tmp_path)) == ["backup", "file"]


def test_a_file_that_goes_while_it_is_opened_is_made_anew(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / ".lock"
    path.touch()
    look = os.lstat

    def look_too_late(name: Any) -> os.stat_result:
        path.unlink(missing_ok=True)
        return look(name)

    with monkeypatch.context() as patched:
        patched.setattr("kerasft.untrusted.os.lstat", look_too_late)
        open_in_place(path).close()
    assert path.exists()


def test_a_write_in_place_that_finds_no_room_is_an_error(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    file = open_in_place(tmp_path / "file")
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        file.write(b"a line of more than ten bytes")
        with pytest.raises(OSError, match="too large"):
            file.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        file.close()


@pytest.mark.parametrize("name", [name for name in STRANGE if name != "a folder"])
def test_a_tree_holds_files_and_folders_alone(name: str, tmp_path: Path) -> None:
    root = tmp_path / "run"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "file").write_text("x")
    check_tree(root)
    check_tree(tmp_path / "none")
    (tmp_path / "reached").symlink_to(root)
    check_tree(tmp_path / "reached")
    make, kind = STRANGE[name]
    make(root / "a" / "b" / "strange")
    with pytest.raises(ConfigError, match=kind) as caught:
        check_tree(tmp_path / "reached", ConfigError)
    assert caught.value.where == str(tmp_path / "reached" / "a" / "b" / "strange")


def test_a_folder_behind_a_link_is_part_of_no_tree(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "dataset").symlink_to(tmp_path)
    with pytest.raises(DataError, match="is a link to") as caught:
        check_tree(tmp_path / "run")
    assert caught.value.where == str(tmp_path / "run" / "dataset")


def test_a_folder_that_may_not_be_read_is_named_where_it_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cache", "lost+found"):
        (tmp_path / name).mkdir()
    scandir = os.scandir

    def refuse(path: str) -> Any:
        if path != str(tmp_path):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    check_tree(tmp_path, is_looked_at=lambda name: False)
    for name in ("cache", "lost+found"):
        with pytest.raises(ConfigError, match="cannot be read: permission denied") as caught:
            check_tree(tmp_path, ConfigError, is_looked_at=name.__eq__)
        assert caught.value.where == str(tmp_path / name)
    (tmp_path / "cache").rmdir()
    check_own_files(tmp_path)
