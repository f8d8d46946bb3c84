"""Standard streams that are closed, full, narrow or watched by a terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kerasft.cli.main import main
from kerasft.cli.streams import SafeStream, get_direct, standard_streams


class Full(io.StringIO):
    """Takes nothing."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def open_stream(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)


def read(stream: Any) -> bytes:
    return stream.buffer.getvalue()


def test_nothing_that_is_printed_commands_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = open_stream("utf-8"), open_stream("utf-8")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with standard_streams():
        print("\x1b[31m é")
        print("\x9b\u202e", file=sys.stderr)
        get_direct(sys.stdout).write("\x1b[0m")
    assert (sys.stdout, sys.stderr) == (out, err)
    assert read(out) == "\\x1b[31m é\n\x1b[0m".encode()
    assert read(err) == rb"\x9b\u202e" + b"\n"


def test_what_the_encoding_lacks_is_escaped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    out, err = open_stream("ascii"), open_stream("ascii")
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert main(["prepare", str(tmp_path / "n\u00e3o.yaml")]) == 2
    assert main(["schema", "n\u00e3o"]) == 2
    assert main(["schema"]) == 0
    assert read(err).count(rb"n\xe3o") == 2


def test_messages_that_cannot_be_written_end_nothing() -> None:
    stream = SafeStream(Full(), lenient=True)
    print("a note", file=stream)  # type: ignore[call-overload]
    stream.flush()
    with pytest.raises(OSError, match="No space"):
        SafeStream(Full()).write("a result")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["schema"], ["presets", "list"], ["predict", "-h"]]
)
def test_a_full_output_is_told(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Full())
    assert main(arguments) == 7
    assert "standard output" in capsys.readouterr().err


def run(redirections: str, *arguments: str, **environment: str) -> tuple[int, str]:
    command = f'exec "$0" -m kerasft "$@" {redirections}'
    done = subprocess.run(
        ["bash", "-c", command, sys.executable, *arguments],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=120,
        env={**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done.returncode, done.stderr


def test_closed_and_full_streams_of_a_process() -> None:
    code, told = run(">&-", "schema")
    assert (code, told.splitlines()[0]) == (7, "error: standard output: it is closed.")
    code, told = run(">/dev/full", "schema")
    assert (code, told.splitlines()[0]) == (
        7,
        "error: standard output or a file: cannot be written: No space left on device.",
    )
    assert run("<&- >&- 2>&-", "prepare", "nothing.yaml")[0] == 2
    assert run("2>/dev/full", "prepare", "nothing.yaml")[0] == 2
