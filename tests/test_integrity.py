"""Hashes: recorded before a file takes its place, compared when it is opened, and themselves protected."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from kerasft import integrity
from kerasft.damage import check_file, check_folder, find_damage, read_checked
from kerasft.errors import DamagedError
from kerasft.integrity import (
    HASHES,
    forget_files,
    read_hashes,
    record_files,
    recorded_file,
    write_hashes,
    write_recorded_text,
)


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three files and their hashes."""
    (tmp_path / "inner").mkdir()
    for name in ("one.txt", "inner/two.bin", "empty"):
        (tmp_path / name).write_bytes(b"" if name == "empty" else f"content of {name}".encode())
    write_hashes(tmp_path)
    return tmp_path


def test_a_whole_folder_passes_and_lists_every_file(folder: Path) -> None:
    check_folder(folder, "fix")
    hashes = read_hashes(folder)
    assert hashes is not None
    assert list(hashes) == ["empty", "inner/two.bin", "one.txt"]
    assert hashes["empty"].now.size_bytes == 0
    assert read_checked(folder / "one.txt", "fix") == b"content of one.txt"


def test_a_folder_made_of_links_passes_where_the_user_named_it(folder: Path, tmp_path_factory) -> None:
    store = tmp_path_factory.mktemp("store")
    for number, name in enumerate(("one.txt", "inner/two.bin", HASHES)):
        (folder / name).rename(store / str(number))
        (folder / name).symlink_to(store / str(number))
    check_folder(folder, "fix", follow_links=True)
    with pytest.raises(DamagedError, match="it is a link"):
        check_folder(folder, "fix")
    flip(store / "1", 13)
    with pytest.raises(DamagedError, match=r"differs from what was written \(SHA-256\)"):
        check_folder(folder, "fix", follow_links=True)


@pytest.mark.parametrize("name", ["one.txt", "inner/two.bin"])
def test_a_changed_file_is_named_with_what_to_do(folder: Path, name: str) -> None:
    flip(folder / name, 13)
    for look in (
        lambda: check_folder(folder, "Make it anew."),
        lambda: check_file(folder / name, "Make it anew.", folder),
        lambda: read_checked(folder / name, "Make it anew.", folder),
    ):
        with pytest.raises(DamagedError, match=r"differs from what was written \(SHA-256\)") as caught:
            look()
        assert caught.value.where == str(folder / name)
        assert caught.value.fix == "Make it anew."
        assert caught.value.exit_code == 9


def test_another_size_a_missing_file_a_link_and_a_pipe_are_told(folder: Path) -> None:
    path = folder / "one.txt"
    path.write_bytes(b"content of one.txt!")
    assert find_damage(folder, "one.txt") == "it has 19 bytes, 18 were written"
    path.unlink()
    assert find_damage(folder, "one.txt") == "it is missing"
    os.mkfifo(path)
    assert "a pipe" in str(find_damage(folder, "one.txt"))
    path.unlink()
    path.symlink_to(folder / "inner" / "two.bin")
    assert "a link" in str(find_damage(folder, "one.txt"))


def test_every_bit_of_the_record_itself_counts(folder: Path) -> None:
    path = folder / HASHES
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        flip(path, bit)
        with pytest.raises(DamagedError) as caught:
            read_hashes(folder)
        assert caught.value.where == str(path)
        path.write_bytes(whole)


LYING = [
    '{"format": 1, "files": {"a": null}}',
    '{"format": 1, "sha256": "", "files": {"a": null}}',
    '{"format": 1, "sha256": "", "files": {"a": {"bytes": Infinity, "sha256": ""}}}',
    '{"format": 1, "sha256": "", "files": {"a": {"bytes": "1", "sha256": ""}}}',
    '{"format": 1, "sha256": "", "files": {"a": {"bytes": 1, "sha256": "", "replaces": []}}}',
    '{"format": 1, "sha256": "", "files": {"../a": {"bytes": 1, "sha256": ""}}}',
    '{"format": 1, "sha256": "", "files": []}',
    '{"format": Infinity}',
    '{"format": null}',
    "{}",
    "[]",
    "null",
]


@pytest.mark.parametrize("text", LYING)
def test_a_record_of_another_shape_is_damaged_and_nothing_else(text: str, folder: Path) -> None:
    (folder / HASHES).write_text(text)
    with pytest.raises(DamagedError, match="is not as it was written") as caught:
        read_hashes(folder)
    assert caught.value.where == str(folder / HASHES)


def test_a_record_of_a_newer_format_is_told_as_that(folder: Path) -> None:
    (folder / HASHES).write_text('{"format": 2, "files": []}')
    with pytest.raises(DamagedError, match="format 2, written by a newer kerasft") as caught:
        read_hashes(folder)
    assert str(caught.value.fix).startswith("Update kerasft.")


def test_without_a_record_nothing_is_checked(folder: Path) -> None:
    (folder / HASHES).unlink()
    flip(folder / "one.txt", 0)
    check_folder(folder, "fix")
    assert read_hashes(folder) is None
    assert read_checked(folder / "one.txt", "fix")


def test_what_is_not_recorded_is_let_pass(folder: Path) -> None:
    (folder / "mine.txt").write_text("a note")
    check_folder(folder, "fix")
    assert read_checked(folder / "mine.txt", "fix") == b"a note"


def test_a_file_that_is_replaced_is_recorded_anew(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    for text in ("first", "second", "second"):
        write_recorded_text(tmp_path, path, text)
        assert read_checked(path, "fix") == text.encode()
        assert json.loads((tmp_path / HASHES).read_text())["files"]["record.json"]["bytes"] == len(text)


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_kill_between_record_and_file_is_no_damage(
    tmp_path: Path, is_there: bool, is_replaced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "record.json"
    if is_there:
        write_recorded_text(tmp_path, path, "before")

    class Killed(BaseException):
        pass

    replace, update, told = os.replace, integrity._update, []

    def die_at_the_file(source: Path, target: Path) -> None:
        if Path(target) == path and not is_replaced:
            raise Killed
        replace(source, target)

    def die_at_the_end(*arguments: object) -> None:
        told.append(arguments)
        if len(told) > 1:  # the first announces the file
            raise Killed
        update(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "replace", die_at_the_file)
    monkeypatch.setattr(integrity, "_update", die_at_the_end)
    with pytest.raises(Killed):
        write_recorded_text(tmp_path, path, "after")
    monkeypatch.undo()
    found = path.read_text() if path.exists() else None
    assert found == ("after" if is_replaced else "before" if is_there else None)
    assert find_damage(tmp_path, "record.json") is None
    if found is not None:
        flip(path, 3)
        assert find_damage(tmp_path, "record.json") is not None
        flip(path, 3)
    # killed a second time, with either file there
    monkeypatch.setattr(os, "replace", die_at_the_file)
    if not is_replaced:
        with pytest.raises(Killed):
            write_recorded_text(tmp_path, path, "later")
        monkeypatch.undo()
        assert find_damage(tmp_path, "record.json") is None
    monkeypatch.undo()
    write_recorded_text(tmp_path, path, "last")
    assert read_checked(path, "fix") == b"last"
    assert "replaces" not in (tmp_path / HASHES).read_text()


def test_an_error_while_writing_records_nothing(tmp_path: Path) -> None:
    path = tmp_path / "model"

    def write_half() -> None:
        with recorded_file(tmp_path, path) as temporary:
            temporary.write_bytes(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert read_hashes(tmp_path) is None
    assert not path.exists()


def test_a_file_that_grows_is_forgotten_first_and_recorded_when_it_is_done(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    for name in ("a", "b"):
        (logs / name).write_text("line\n")
    record_files(tmp_path, [logs / "a", logs / "b"])
    assert set(read_hashes(tmp_path) or {}) == {"logs/a", "logs/b"}
    forget_files(tmp_path, [logs])
    (logs / "a").write_text("line\nline\n")
    assert find_damage(tmp_path, "logs/a") is None
    record_files(tmp_path, [logs / "a"])
    flip(logs / "a", 1)
    assert find_damage(tmp_path, "logs/a") is not None


@pytest.mark.parametrize("name", ["../mine", "a/../../mine", "/etc/hostname"])
def test_a_record_names_nothing_outside_its_folder(folder: Path, name: str) -> None:
    path = folder / HASHES
    files = {name: {"bytes": 1, "sha256": "0" * 64}}
    digest = hashlib.sha256(json.dumps(files).encode()).hexdigest()
    path.write_text(json.dumps({"format": 1, "sha256": digest, "files": files}, indent=1) + "\n")
    with pytest.raises(DamagedError, match="record of hashes is not as it was written"):
        read_hashes(folder)
