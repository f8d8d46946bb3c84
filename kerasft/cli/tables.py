"""Tables of strings and numbers: drawn on a terminal, aligned plain text elsewhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TextIO

from kerasft.cli.streams import get_direct
from kerasft.printable import make_line


def is_terminal(stream: TextIO) -> bool:
    """Whether something may be drawn there: a person looks at it, and has not asked for plain text."""
    asked_for_plain = (
        any(os.environ.get(name) for name in ("NO_COLOR", "CI")) or os.environ.get("TERM") == "dumb"
    )
    return stream.isatty() and not asked_for_plain


def format_cell(value: Any) -> str:
    """`1,234`, `0.8834`, `5e-05`, `yes`, `-` for None; text on one line."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e3 else f"{value:.4g}"
    return make_line(str(value))


def format_plain_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Aligned text: the title, the column names, a row a line; numbers stand to the right."""
    cells = [[format_cell(value) for value in row] for row in rows]
    title, columns = make_line(title), [make_line(name) for name in columns]
    widths = [max(len(name), *(len(row[i]) for row in cells), 0) for i, name in enumerate(columns)]
    right = _find_number_columns(columns, rows)

    def align(row: Sequence[str]) -> str:
        padded = (
            c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        return "  " + "  ".join(padded).rstrip()

    lines = [title] if title else []
    lines += [align(columns), align(["-" * width for width in widths]), *(align(row) for row in cells)]
    return "\n".join(lines)


def print_table(stream: TextIO, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Prints a table as suits the stream."""
    if not is_terminal(stream):
        print(format_plain_table(title, columns, rows), file=stream, flush=True)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(make_line(title), style="bold"), title_justify="left", box=box.SIMPLE_HEAD, show_edge=False
    )
    right = _find_number_columns(columns, rows)
    for i, name in enumerate(columns):
        table.add_column(Text(make_line(name)), justify="right" if i in right else "left")
    for row in rows:
        table.add_row(*(Text(format_cell(value)) for value in row))
    Console(file=get_direct(stream)).print(table)


def _find_number_columns(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> set[int]:
    return {
        i
        for i in range(len(columns))
        if rows
        and all(isinstance(row[i], int | float | None) for row in rows)
        and any(row[i] is not None for row in rows)
    }
