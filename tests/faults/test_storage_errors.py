"""What the disk refuses becomes a message for the user, whichever library met it."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from needs import lacks
from storage_makers import KIB, SmallDisk, mount_small_disk

from kerasft.cli.failures import guarded
from kerasft.errors import DataError, StorageError, storage_error
from kerasft.files import whole_file, whole_folder, write_text

MEBIBYTE = np.zeros(KIB * KIB, np.uint8)


def write_numpy(path: Path) -> None:
    with open(path, "wb") as file:
        np.save(file, MEBIBYTE)


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive, archive.open("weights", "w") as file:
        file.write(MEBIBYTE.data)


def write_hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["weights"] = MEBIBYTE


def write_arrow(path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    noise = np.random.default_rng(0).integers(0, 2**62, 1 << 17)
    pyarrow.parquet.write_table(pyarrow.table({"weights": noise}), path)


def write_array_record(path: Path) -> None:
    from array_record.python.array_record_module import ArrayRecordWriter

    writer = ArrayRecordWriter(str(path), "group_size:1,uncompressed")
    writer.write(MEBIBYTE.tobytes())
    writer.close()


def write_picture(path: Path) -> None:
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (600, 600, 3), np.uint8)
    Image.fromarray(noise).save(path, format="png")


def write_safetensors(path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"weights": MEBIBYTE}, path)


def write_tensorflow(path: Path) -> None:
    import tensorflow as tf

    tf.io.write_file(str(path), MEBIBYTE.tobytes())


@pytest.fixture
def disk(tmp_path: Path):
    with mount_small_disk(tmp_path / "disk", 256 * KIB) as disk:
        yield disk


@pytest.mark.parametrize(
    "write",
    [
        write_numpy,
        write_zip,
        write_hdf5,
        write_arrow,
        write_array_record,
        write_picture,
        write_safetensors,
        write_tensorflow,
    ],
)
def test_every_library_on_a_full_disk_is_told_alike(disk: SmallDisk, write: Callable[[Path], None]) -> None:
    path = disk.path / "weights.bin"
    path.write_text("older")
    with pytest.raises(StorageError) as caught, whole_file(path) as temporary:
        write(temporary)
    assert str(caught.value).startswith(f"{path}: cannot be written: ")
    assert caught.value.errno == errno.ENOSPC
    assert "Free space" in str(caught.value)
    assert path.read_text() == "older"
    assert os.listdir(disk.path) == ["weights.bin"]


def test_a_read_only_disk_is_told_and_nothing_changes(disk: SmallDisk) -> None:
    (disk.path / "folder").mkdir()
    disk.remount("ro")
    with (
        pytest.raises(StorageError, match=r"folder: cannot be written: Read-only file system"),
        whole_folder(disk.path / "folder"),
    ):
        pass
    assert os.listdir(disk.path) == ["folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o500)
    with pytest.raises(StorageError, match=r"file\.txt: cannot be written: Permission denied"):
        write_text(tmp_path / "folder" / "file.txt", "a")


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "file.txt").touch(mode=0o200)
    with pytest.raises(PermissionError) as caught:
        (tmp_path / "file.txt").read_text()
    assert "file.txt: cannot be read: Permission denied" in str(storage_error(caught.value))


def test_a_file_where_a_folder_is_wanted_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file: cannot be written: Not a directory"):
        write_text(tmp_path / "file" / "inside", "a")
    with pytest.raises(StorageError, match="file/inside: cannot be written: Not a directory"):
        write_text(tmp_path / "file" / "inside" / "deeper", "a")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="folder: cannot be written: Is a directory"):
        write_text(tmp_path / "folder", "a")


def test_a_file_inside_a_whole_folder_is_named_as_it_would_be(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(folder / "a" / "b"))

    with pytest.raises(StorageError) as caught, whole_folder(tmp_path / "dataset") as folder:
        fail(folder)
    assert caught.value.where == str(tmp_path / "dataset" / "a" / "b")


def test_the_data_that_were_being_read_keep_their_name(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"^reviews\.csv: cannot be read or written: I"),
        whole_folder(tmp_path / "dataset"),
    ):
        raise OSError(errno.EIO, "Input/output error", "reviews.csv")


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("No room"),
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
        PermissionError(errno.EPERM, "Operation not permitted"),  # of a socket or a process: no file is named
        KeyError("Permission denied"),
        DataError("No space left on device"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_other_errors_are_not_blamed_on_the_disk(error: Exception) -> None:
    assert storage_error(error) is None


def test_a_file_that_is_gone_is_named() -> None:
    told = storage_error(FileNotFoundError(errno.ENOENT, "No such file or directory", "x"))
    assert str(told).startswith("x: cannot be read or written: No such file or directory.")


def test_a_defect_in_handling_a_refused_file_stays_a_defect() -> None:
    defect = KeyError("x")
    defect.__context__ = PermissionError(errno.EACCES, "Permission denied", "file")
    assert storage_error(defect) is None
    defect.__context__ = OSError(errno.ENOSPC, "No space left on device", "file")
    assert "file: cannot be written: No space left" in str(storage_error(defect))


def test_it_is_an_os_error_too_and_can_be_pickled() -> None:
    told = storage_error(OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)), "runs/x/model.keras")
    assert isinstance(told, OSError)
    assert told.errno == errno.EDQUOT
    assert str(pickle.loads(pickle.dumps(told))) == str(told)


def test_a_command_leaves_with_seven(capsys: pytest.CaptureFixture[str]) -> None:
    @guarded
    def command() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "runs/x/metrics.json")

    with pytest.raises(typer.Exit) as caught:
        command()
    assert caught.value.exit_code == StorageError.exit_code == 7
    assert capsys.readouterr().err == (
        "error: runs/x/metrics.json: cannot be written: No space left on device.\n"
        "  Free space on that disk. What was finished is kept; run the same command again to continue.\n"
    )


@pytest.mark.skipif(
    not os.path.exists("/dev/full"), reason=lacks("/dev/full", "output that cannot be written")
)
@pytest.mark.parametrize("lines", [1, 10_000])
def test_output_that_cannot_be_written_is_told_once(lines: int) -> None:
    program = f"""
import sys, typer
from kerasft.cli.failures import guarded

@guarded
def command():
    for _ in range({lines}):
        print("line")

try:
    command()
except typer.Exit as end:
    sys.exit(end.exit_code)
"""
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", program], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 7
    assert done.stderr.startswith("error: standard output or a file: cannot be written: No space left")
    assert len(done.stderr.splitlines()) == 2


def test_a_defect_is_told_where_there_is_no_room_for_its_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/dev/null/nowhere")

    @guarded
    def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(typer.Exit) as caught:
        command()
    assert caught.value.exit_code == 70
    assert "please report it, with what --traceback shows" in capsys.readouterr().err.lower()


def test_an_error_that_is_its_own_cause_is_no_error_of_the_disk() -> None:
    error = OSError(errno.EEXIST, "File exists", "/some/file")
    error.__cause__ = error
    assert storage_error(error) is None
