"""How the command line shows long work: bars on a terminal, now and then a plain line elsewhere, nothing if quiet.

Progress goes to standard error; tables are results and go to the stream given for results.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from kerasft.cli.streams import get_direct
from kerasft.cli.tables import format_cell, is_terminal, print_table
from kerasft.printable import make_line
from kerasft.progress import Bar, SilentBar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

SECONDS_BETWEEN_LINES = 5.0
SECONDS_WORTH_A_LINE = 1.0
"""Plain lines: how often one piece of work has one, and how long it must take to have any."""


def open_progress(quiet: bool = False, results: TextIO | None = None) -> QuietProgress:
    """The progress that suits standard error; use it in a `with` block.

    Args:
        quiet: only results are shown.
        results: where tables go; standard output by default.
    """
    results = results or sys.stdout
    if quiet:
        return QuietProgress(results)
    return TerminalProgress(results) if is_terminal(sys.stderr) else PlainProgress(results)


class QuietProgress:
    """Shows tables only."""

    def __init__(self, results: TextIO):
        self.results = results

    def __enter__(self) -> QuietProgress:
        return self

    def __exit__(self, *exception: Any) -> None:
        return None

    def note(self, message: str) -> None:
        return None

    def warn(self, message: str) -> None:
        return None

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        print_table(self.results, title, columns, rows)

    def bar(self, description: str, total: int | None, unit: str = "rows") -> Bar:
        return SilentBar()


class PlainProgress(QuietProgress):
    """A line at a piece of work's begin and end, and every few seconds between."""

    def note(self, message: str) -> None:
        print(make_line(message), file=sys.stderr, flush=True)

    def warn(self, message: str) -> None:
        self.note(f"warning: {message}")

    def bar(self, description: str, total: int | None, unit: str = "rows") -> Bar:
        return _PlainBar(self, description, total, unit)


class _PlainBar:
    def __init__(self, progress: PlainProgress, description: str, total: int | None, unit: str):
        self.progress = progress
        self.description, self.total, self.unit = description, total, unit
        self.done = 0
        self.figures: dict[str, float | str] = {}
        self.began = self.shown_at = time.monotonic()
        self.shown_done = 0

    def __enter__(self) -> _PlainBar:
        return self

    def __exit__(self, *exception: Any) -> None:
        seconds = time.monotonic() - self.began
        stopped = exception[0] is not None
        if seconds >= SECONDS_WORTH_A_LINE:
            self._show(self.done, seconds, "stopped after" if stopped else "took")

    def advance(self, amount: int = 1, **figures: float | str) -> None:
        self.done += amount
        self.figures |= figures
        now = time.monotonic()
        if now - self.shown_at >= SECONDS_BETWEEN_LINES and self.done != self.total:
            self._show(self.done - self.shown_done, now - self.shown_at)
            self.shown_at, self.shown_done = now, self.done

    def _show(self, amount: int, seconds: float, end: str = "") -> None:
        parts = [format_count(self.done, self.total, self.unit)]
        rate = amount / seconds if seconds > 0.1 else 0.0
        if rate:
            parts.append(f"{format_rate(rate)} {self.unit}/s")
        parts.extend(format_figures(self.figures))
        if end:
            parts.append(f"{end} {format_seconds(seconds)}")
        elif self.total and rate:
            parts.append(f"{format_seconds((self.total - self.done) / rate)} left")
        self.progress.note(f"{self.description}: {', '.join(parts)}")


class TerminalProgress(QuietProgress):
    """Bars with rate, figures and time left, drawn by rich."""

    def __init__(self, results: TextIO):
        super().__init__(results)
        from rich.console import Console

        self.console: Console = Console(file=get_direct(sys.stderr), highlight=False)
        self.live: RichProgress | None = None
        self.open_bars = 0

    def __exit__(self, *exception: Any) -> None:
        self.stop()

    def note(self, message: str) -> None:
        self.console.print(make_line(message), markup=False)

    def warn(self, message: str) -> None:
        self.console.print(f"warning: {make_line(message)}", markup=False, style="yellow")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if self.live:
            # Drawn to another stream, a table would run into the bars.
            self.live.refresh()
            self.live.stop()
        print_table(self.results, title, columns, rows)
        if self.live:
            self.live.start()

    def bar(self, description: str, total: int | None, unit: str = "rows") -> Bar:
        return _TerminalBar(self, description, total, unit)

    def start(self) -> RichProgress:
        self.open_bars += 1
        if self.live is None:
            self.live = _make_rich_progress(self.console)
            self.live.start()
        return self.live

    def end_bar(self) -> None:
        self.open_bars -= 1
        if self.open_bars == 0:
            self.stop()

    def stop(self) -> None:
        if self.live:
            self.live.stop()
            self.live = None


def _make_rich_progress(console: Console) -> RichProgress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[state]}", markup=False),
        TimeElapsedColumn(),
        console=console,
    )


class _TerminalBar:
    """One line of the display; it is there from `__enter__` to the end of the outermost bar."""

    def __init__(self, progress: TerminalProgress, description: str, total: int | None, unit: str):
        self.progress = progress
        self.description, self.total, self.unit = description, total, unit
        self.done = 0
        self.figures: dict[str, float | str] = {}

    def __enter__(self) -> _TerminalBar:
        self.inner = self.progress.open_bars > 0
        self.live = self.progress.start()
        self.task = self.live.add_task(make_line(self.description), total=self.total, state="")
        return self

    def __exit__(self, *exception: Any) -> None:
        self._draw()
        if self.inner:
            self.live.remove_task(self.task)
        self.progress.end_bar()

    def advance(self, amount: int = 1, **figures: float | str) -> None:
        self.done += amount
        self.figures |= figures
        self._draw()

    def _draw(self) -> None:
        task = next(task for task in self.live.tasks if task.id == self.task)
        parts = [format_count(self.done, self.total, self.unit)]
        if speed := task.finished_speed or task.speed:
            parts.append(f"{format_rate(speed)} {self.unit}/s")
        parts.extend(format_figures(self.figures))
        if task.time_remaining:
            parts.append(f"{format_seconds(task.time_remaining)} left")
        self.live.update(self.task, completed=self.done, state=make_line("  ".join(parts)))


def format_count(done: int, total: int | None, unit: str) -> str:
    """`1,200/6,920 rows (17 %)`."""
    if not total:
        return f"{done:,} {unit}"
    return f"{done:,}/{total:,} {unit} ({100 * done // total} %)"


def format_rate(rate: float) -> str:
    """Three digits: `0.52`, `12.3`, `1,234`."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}" if rate >= 10 else f"{rate:.2f}"


def format_seconds(seconds: float) -> str:
    """`0.4 s`, `28 s`, `3:07`, `1:02:45`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_figures(figures: dict[str, float | str]) -> list[str]:
    return [f"{name} {format_cell(value)}" for name, value in figures.items()]
