"""A stage of a run: whether it is done already, how it is done, and how what was done before is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from kerasft.runs.folder import RunFolder

Result = TypeVar("Result")


@dataclass(frozen=True)
class Stage(Generic[Result]):
    """What `run` asks of each stage, in the order of the attributes.

    Attributes:
        name: in stages.json.
        fingerprint: changes when what comes of the stage could.
        show_done: shows what was done before, and gives what `do` would; None where that is not whole, said so.
        do: does it, and notes that it is done.
    """

    name: str
    fingerprint: str
    show_done: Callable[[], Result | None]
    do: Callable[[], Result]

    def is_done(self, run: RunFolder) -> bool:
        """Whether it was finished with exactly what it would be given now."""
        return run.is_done(self.name, self.fingerprint)

    def complete(self, run: RunFolder) -> Result:
        """What comes of the stage, done now unless it was done before and is whole."""
        found = self.show_done() if self.is_done(run) else None
        return self.do() if found is None else found
