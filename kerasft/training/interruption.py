"""SIGTERM and Ctrl-C while a model trains: a request to save and stop, heeded when a step is done."""

from __future__ import annotations

import signal
import threading
from types import TracebackType
from typing import Any

from kerasft.errors import Terminated


class StopRequest:
    """Holds SIGTERM and Ctrl-C back until training can be saved; a context manager.

    A signal is heeded at the next `check`; a second one does what it would without this. Outside the main thread, where
    Python takes no signals, nothing is held back.
    """

    def __init__(self) -> None:
        self._signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self._signal is not None

    def check(self) -> None:
        """Leaves by exception if a signal has come.

        Raises:
            Terminated: SIGTERM.
            KeyboardInterrupt: Ctrl-C.
        """
        if self._signal == signal.SIGTERM:
            raise Terminated
        if self._signal is not None:
            raise KeyboardInterrupt

    def _note(self, number: int, frame: Any) -> None:
        if self._signal is not None:
            signal.signal(number, self._before[number])
            signal.raise_signal(number)
        self._signal = number
