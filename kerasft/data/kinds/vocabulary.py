"""Numbers class names while rows are read."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import cached_property

from kerasft.data.kinds.fields import InvalidValue, parse_label, spell_label
from kerasft.data.sources.rows import shorten
from kerasft.errors import ConfigError, DataError

MAX_LABELS = 10_000
MAX_LABEL_SETS = 1_000_000


class Labels:
    """Labels' numbers while reading: given beforehand, or in the order in which train shows them.

    Args:
        names: the only ones allowed; None to learn them.

    Raises:
        ConfigError: one of them is no label, or is there twice.
    """

    def __init__(self, names: Sequence[str] | None):
        self.numbers: dict[str, int] = {}
        for name in names or ():
            try:
                parsed = parse_label(name)
            except InvalidValue as error:
                problem = f"{error.reason}{f': {error.detail}' if error.detail else ''}"
                raise ConfigError(
                    f"{shorten(name)!r} is not a label: {problem}.",
                    where="task.labels",
                    fix="Rename it.",
                ) from None
            if parsed in self.numbers:
                raise ConfigError(
                    f"{parsed!r} is there twice.", where="task.labels", fix="Name each label once."
                )
            self.numbers[parsed] = len(self.numbers)
        self.closed = names is not None
        self.sets: dict[tuple[str, ...], int] = {}
        """Of several labels an example: each set that was met, and its number."""

    @cached_property
    def _spellings(self) -> dict[str, str]:
        """How CSV spells a name that is known, and the name; used once no more are learned."""
        return {spell_label(name): name for name in reversed(self.numbers)}

    def find(self, name: str) -> str:
        """The name as it is known; itself, where more are learned.

        Raises:
            InvalidValue: it is not among those known, and no more are learned.
        """
        if name in self.numbers or not self.closed:
            return name
        if name in self._spellings:
            return self._spellings[name]
        near = difflib.get_close_matches(name, self.numbers, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(list(self.numbers)[:10])}"
        raise InvalidValue("unknown label", f"{shorten(name)!r}{hint}")

    def number(self, name: str) -> int:
        """The number of a name that `find` gave; it is learned where it is new.

        Raises:
            DataError: there are too many for them to be labels.
        """
        if name not in self.numbers and len(self.numbers) >= MAX_LABELS:
            raise DataError(
                f"There are more than {MAX_LABELS:,} different labels; the last is {shorten(name)!r}.",
                fix="Check which column holds the label: are text and label swapped?",
            )
        return self.numbers.setdefault(name, len(self.numbers))

    def number_set(self, names: tuple[str, ...]) -> int:
        """The number of a set of names that `find` gave, sorted; new ones are learned.

        Raises:
            DataError: there are too many different ones.
        """
        for name in names:
            self.number(name)
        if names not in self.sets and len(self.sets) >= MAX_LABEL_SETS:
            raise DataError(
                f"There are more than {MAX_LABEL_SETS:,} different sets of labels.",
                fix="Check which column holds the labels.",
            )
        return self.sets.setdefault(names, len(self.sets))


def sort_labels(names: Sequence[str]) -> list[str]:
    """Numbers by value, anything else by code point."""
    try:
        return sorted(names, key=lambda name: (float(name), name))
    except ValueError:
        return sorted(names)
