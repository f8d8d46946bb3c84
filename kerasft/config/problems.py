"""Problems in a config: one for each mistake, and the error that contains all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kerasft.errors import ConfigError
from kerasft.printable import make_line

_SHOWN_PROBLEMS = 50
_SHOWN_CHARACTERS = 500


@dataclass(frozen=True)
class Problem:
    """One mistake.

    Args:
        where: `file:line`, or `override KEY=VALUE`.
        key: the key's path, `train.optimizer.learning_rate`; empty where the file as a whole is meant.
        what: what was expected and what stands there.
        fix: what to write instead, where that can be guessed.
    """

    where: str
    key: str
    what: str
    fix: str | None = None

    def __str__(self) -> str:
        # an override already shows its key
        key = "" if self.where.startswith(f"override {self.key}=") else self.key
        parts = [_shorten(part) for part in (self.where, key, self.what) if part]
        return ": ".join(parts) + (f"; {make_line(self.fix)}" if self.fix else "")


def _shorten(text: str) -> str:
    text = make_line(text)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


class InvalidConfig(ConfigError):
    """A config with mistakes: all of them, in the order in which they stand; of very many the first are shown.

    Args:
        problems: at least one.
    """

    def __init__(self, problems: Sequence[Problem]):
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = [str(problem) for problem in self.problems[:_SHOWN_PROBLEMS]]
        if count > len(lines):
            lines.append(f"… and {count - len(lines):,} more")
        super().__init__(
            "\n".join(lines),
            fix="1 mistake; nothing was started."
            if count == 1
            else f"{count} mistakes; nothing was started.",
        )

    def __reduce__(self):
        return InvalidConfig, (self.problems,)


def format_key(path: Sequence[str | int]) -> str:
    """`("data", "train", "path", 0)` → `data.train.path[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int) and text:
            text += f"[{part}]"
        else:
            text += f".{part}" if text else str(part)
    return text
