"""Progress reporting: library code calls a `Progress`; only the command line draws it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Protocol


class Bar(Protocol):
    """One piece of long work under way; a context manager."""

    def __enter__(self) -> Bar: ...

    def __exit__(self, *exception: Any) -> None: ...

    def advance(self, amount: int = 1, **figures: float | str) -> None:
        """Counts `amount` more done; `figures` (loss=0.31, say) are shown beside the bar."""


class Progress(Protocol):
    """Where a stage reports to."""

    def note(self, message: str) -> None:
        """One line that the user should read."""

    def warn(self, message: str) -> None:
        """One line that the user should read and may have to act on."""

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A table of strings and numbers."""

    def bar(self, description: str, total: int | None, unit: str = "rows") -> Bar:
        """Begins a piece of work of `total` units (None where unknown)."""


class SilentBar:
    """Shows nothing."""

    def __enter__(self) -> SilentBar:
        return self

    def __exit__(self, *exception: Any) -> None:
        return None

    def advance(self, amount: int = 1, **figures: float | str) -> None:
        return None


class Silent:
    """A `Progress` that shows nothing."""

    def note(self, message: str) -> None:
        return None

    def warn(self, message: str) -> None:
        return None

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        return None

    def bar(self, description: str, total: int | None, unit: str = "rows") -> SilentBar:
        return SilentBar()


class Warnings(Silent):
    """A `Progress` that passes warnings on as Python's: the default when kerasft is called from Python code."""

    def warn(self, message: str) -> None:
        warnings.warn(message, UserWarning, stacklevel=2)
