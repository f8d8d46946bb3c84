"""SIGTERM and Ctrl-C while a model trains: a request to save and stop, and a limit to how long that may take."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from types import TracebackType
from typing import Any

from kerasft.errors import Terminated

PATIENCE_SECONDS = 8.0
"""How long after SIGTERM a step, a validation batch and a checkpoint may take together, before the process ends
without them: whoever sends it (a scheduler, a cloud about to take the machine) seldom waits longer than ten."""


class StopRequest:
    """Holds SIGTERM and Ctrl-C back until training can be saved; a context manager.

    A signal is heeded at the next `check`. A second one ends the process at once, and so does SIGTERM when
    `PATIENCE_SECONDS` have gone by, even where a step does not return: what was saved before stays. Outside the main
    thread, where Python takes no signals, nothing is held back.
    """

    def __init__(self) -> None:
        self._signal: int | None = None
        self._before: dict[int, Any] = {}
        self._done = threading.Event()
        self._sockets: tuple[socket.socket, socket.socket] | None = None

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is not threading.main_thread():
            return self
        reader, writer = socket.socketpair()
        writer.setblocking(False)
        self._sockets = (reader, writer)
        # Python runs a handler between two lines of Python, so not within a long step; the byte that is written
        # here comes at once, and the thread below watches the time
        self._wakeup_before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(reader,), name="kerasft-signals", daemon=True).start()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._sockets is not None:
            signal.set_wakeup_fd(self._wakeup_before)
            for end in self._sockets:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

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
        self._signal = self._signal or number

    def _watch(self, reader: socket.socket) -> None:
        watched = {int(signal.SIGTERM), int(signal.SIGINT)}
        first: int | None = None
        while not self._done.is_set():
            reader.settimeout(PATIENCE_SECONDS if first == signal.SIGTERM else None)
            try:
                received = reader.recv(16)
            except TimeoutError:
                self._leave(first, f"no step ended within {PATIENCE_SECONDS:.0f} s of SIGTERM")
                return
            except OSError:
                return
            if not received:
                return
            for number in received:
                if number in watched:
                    if first is not None:
                        self._leave(number, "a second signal")
                        return
                    first = number

    def _leave(self, number: int | None, why: str) -> None:
        if self._done.is_set():
            return
        with contextlib.suppress(OSError):
            sys.stderr.write(f"\nstopped at once ({why}): the checkpoints that were finished are kept.\n")
            sys.stderr.flush()
        os._exit(128 + (number or signal.SIGTERM))
