"""What long work shows: lines, bars, or nothing."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from kerasft.cli import progress as module
from kerasft.cli.progress import (
    PlainProgress,
    QuietProgress,
    TerminalProgress,
    format_count,
    format_rate,
    format_seconds,
    open_progress,
)

WORK = """
import time
from kerasft.cli.progress import open_progress

with open_progress() as progress:
    progress.note("a note [with brackets]")
    with progress.bar("Training", 40, "examples") as bar:
        for step in range(40):
            time.sleep(0.02)
            bar.advance(1, loss=1 / (step + 1))
        with progress.bar("Inner", 2, "rows") as inner:
            inner.advance(2)
    progress.table("Figures", ["figure", "value"], [["accuracy", 0.5]])
"""


def run_on_a_terminal(program: str, **variables: str) -> str:
    """What the program writes to a pseudo terminal, control sequences taken out."""
    main, secondary = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "CI")}
    environment |= {"TERM": "xterm-256color", "COLUMNS": "120", **variables}
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=secondary, stdout=secondary, stderr=secondary, env=environment
    )
    os.close(secondary)
    written = b""
    while True:
        try:
            piece = os.read(main, 65536)
        except OSError:  # Linux' way to say that the other side is closed
            break
        if not piece:
            break
        written += piece
    os.close(main)
    assert process.wait() == 0, written.decode()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())


def test_a_terminal_sees_a_bar_with_rate_figures_and_time_left():
    shown = run_on_a_terminal(WORK)
    assert "━" in shown
    assert re.search(
        r"Training .*\d+/40 examples \(\d+ %\)  [\d.]+ examples/s  loss 0\.\d{4}  [\d.]+ s left", shown
    )
    assert "40/40 examples (100 %)" in shown
    assert "Inner" in shown
    assert "a note [with brackets]" in shown
    assert "accuracy" in shown


def test_a_terminal_that_wants_no_colour_sees_plain_lines():
    shown = run_on_a_terminal(WORK, NO_COLOR="1")
    assert "━" not in shown
    assert "  accuracy  0.5000" in shown


def test_a_pipe_sees_progress_on_standard_error_and_results_on_standard_output():
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "Figures",
        "  figure     value",
        "  --------  ------",
        "  accuracy  0.5000",
    ]
    assert done.stderr.splitlines() == ["a note [with brackets]"]


def test_plain_lines_come_every_few_seconds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    now = 100.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    seconds_a_row = 3 * module.SECONDS_BETWEEN_LINES / 100
    with PlainProgress(io.StringIO()).bar("Reading", 100, "rows") as bar:
        for _ in range(100):
            now += seconds_a_row
            bar.advance(1, loss=0.5)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert re.fullmatch(
        r"Reading: \d+/100 rows \(\d+ %\), [\d.,]+ rows/s, loss 0\.5000, [\d.]+ s left", lines[0]
    )
    assert re.fullmatch(
        r"Reading: 100/100 rows \(100 %\), [\d.,]+ rows/s, loss 0\.5000, took [\d.]+ s", lines[-1]
    )


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.0, ""), (2.0, "Reading: 7/100 rows (7 %), 3.50 rows/s, stopped after 2.0 s\n")]
)
def test_work_that_is_broken_off_says_how_far_it_came_unless_it_had_just_begun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seconds: float, told: str
):
    now = 100.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))

    def break_off() -> None:
        nonlocal now
        with PlainProgress(io.StringIO()).bar("Reading", 100) as bar:
            bar.advance(7)
            now += seconds
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("kind", [PlainProgress, TerminalProgress])
def test_nothing_that_is_told_commands_the_terminal(
    kind: type[QuietProgress], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "200")
    hostile, shown = "a\x1b]0;evil\x07\nb\u202e[red]", r"a\x1b]0;evil\x07\nb\u202e[red]"
    with kind(io.StringIO()) as progress:
        progress.note(hostile)
        progress.warn(hostile)
        with progress.bar(hostile, 3, hostile) as bar:
            bar.advance(3)
    told = capsys.readouterr().err
    assert told.count(shown) >= 2
    assert "\x1b]" not in told
    assert not {"\x07", "\u202e"} & set(told)


def test_quiet_shows_tables_only(capsys: pytest.CaptureFixture[str]):
    results = io.StringIO()
    with open_progress(quiet=True, results=results) as progress:
        assert type(progress) is QuietProgress
        progress.note("n")
        progress.warn("w")
        with progress.bar("b", None) as bar:
            bar.advance()
        progress.table("T", ["a"], [[1]])
    assert capsys.readouterr() == ("", "")
    assert "T" in results.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (60, "1:00"), (187, "3:07"), (3765, "1:02:45")],
)
def test_seconds(seconds: float, text: str):
    assert format_seconds(seconds) == text


def test_counts_and_rates():
    assert format_count(1200, 6920, "rows") == "1,200/6,920 rows (17 %)"
    assert format_count(1200, None, "rows") == "1,200 rows"
    assert format_count(0, 0, "rows") == "0 rows"
    assert [format_rate(r) for r in (0.521, 12.34, 1234.5)] == ["0.52", "12.3", "1,234"]
