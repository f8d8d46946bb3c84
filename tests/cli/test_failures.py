"""How commands fail: a message, an exit code, no traceback."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from kerasft import errors
from kerasft.cli.failures import SHOW_TRACEBACKS, guarded


def fail_with(error: BaseException) -> int:
    @guarded
    def command() -> None:
        raise error

    with pytest.raises(typer.Exit) as caught:
        command()
    return caught.value.exit_code


@pytest.mark.parametrize(
    "kind",
    [
        errors.KerasftError,
        errors.ConfigError,
        errors.DataError,
        errors.PresetError,
        errors.TrainingError,
        errors.ExportError,
        errors.StorageError,
    ],
)
def test_an_expected_error_is_a_message_and_its_exit_code(
    kind: type[errors.KerasftError], capsys: pytest.CaptureFixture[str]
):
    assert fail_with(kind("It is empty.", where="train.tsv:3", fix="Fill it.")) == kind.exit_code
    assert capsys.readouterr().err == "error: train.tsv:3: It is empty.\n  Fill it.\n"


def test_a_traceback_is_shown_on_request(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SHOW_TRACEBACKS, "1")
    fail_with(errors.DataError("It is empty."))
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_says_what_was_kept(capsys: pytest.CaptureFixture[str]):
    assert fail_with(KeyboardInterrupt("the best epoch is kept in runs/x.")) == 130
    assert capsys.readouterr().err == "\nstopped: the best epoch is kept in runs/x.\n"
    assert fail_with(KeyboardInterrupt()) == 130
    assert "stopped" in capsys.readouterr().err


def test_a_defect_leaves_its_traceback_in_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert fail_with(ZeroDivisionError("by\nnought")) == 70
    shown = capsys.readouterr().err
    assert shown.startswith("this is a bug in kerasft: ZeroDivisionError: by nought\n")
    (file,) = tmp_path.iterdir()
    assert str(file) in shown
    assert "Traceback" not in shown
    kept = file.read_text()
    assert "ZeroDivisionError: by\nnought" in kept
    assert re.search(r"test_failures\.py", kept)


def test_a_command_that_succeeds_returns_nothing():
    @guarded
    def command(number: int) -> None:
        assert number == 3

    assert command(3) is None


def test_a_reader_that_goes_away_ends_the_command_quietly():
    program = """
from kerasft.cli.failures import guarded

@guarded
def command():
    while True:
        print("line " * 100)

import typer
try:
    command()
except typer.Exit as end:
    raise SystemExit(end.exit_code)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=300) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


def test_ctrl_c_at_a_question_is_no_defect(capsys: pytest.CaptureFixture[str]) -> None:
    def ask() -> None:
        raise typer.Abort

    with pytest.raises(typer.Exit) as caught:
        guarded(ask)()
    assert caught.value.exit_code == 130
    assert "nothing was changed" in capsys.readouterr().err
