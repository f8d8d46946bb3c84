"""SIGTERM and Ctrl-C during training: save and stop at the end of the step."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, ClassVar

from kerasft.errors import Terminated

GRACE_SECONDS = 2.0
"""Signals that come so soon after the first are the same request: `timeout` and job schedulers signal a process and
then its group, a terminal's Ctrl-C reaches it beside a supervisor's own signal."""


class SignalRequests:
    """Counts requests to stop, not signals.

    Args:
        clock: () → seconds.

    Attributes:
        count: of requests: 0, 1, or more where somebody has lost patience.
        active: that of the command that is running; every handler in the process counts with it.
    """

    active: ClassVar[SignalRequests | None] = None

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._first: float | None = None
        self.count = 0

    def take(self) -> bool:
        """Counts a signal that has come; False where it is part of the first request."""
        now = self._clock()
        if self._first is not None and now - self._first < GRACE_SECONDS:
            return False
        self._first = now if self._first is None else self._first
        self.count += 1
        return True


class StopRequest:
    """Holds SIGTERM and Ctrl-C back until training can be saved; a context manager.

    A signal is heeded at the next `check`; a second request does what it would without this. SIGTERM leaves at once
    while there is nothing to save: before the first step of the process, which takes the longest, is done. Outside the
    main thread, where Python takes no signals, nothing is held back.

    Args:
        requests: what counts them; by default the running command's.

    Attributes:
        has_news: whether there is something to save, to be set by whoever saves it.
    """

    def __init__(self, requests: SignalRequests | None = None) -> None:
        self.has_news = False
        self._requests = requests or SignalRequests.active or SignalRequests()
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
        if not self._requests.take():
            return
        if self._signal is not None:
            signal.signal(number, self._before[number])
            signal.raise_signal(number)
        self._signal = number
        if number == signal.SIGTERM and not self.has_news:
            raise Terminated
