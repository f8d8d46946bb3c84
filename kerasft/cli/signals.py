"""SIGTERM and Ctrl-C in a command: an orderly end, with a time limit."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from kerasft.errors import Terminated
from kerasft.training.resume.interruption import SignalRequests

PATIENCE_SECONDS = 8.0
"""How long an end in good order (a step, a checkpoint) may take after SIGTERM: whoever sends it (a scheduler, a cloud
about to take the machine) seldom waits longer than ten seconds."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def ending_in_order(clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """SIGTERM leaves by exception, as Ctrl-C does.

    A second request (see `SignalRequests`: what comes right after the first signal is part of it) ends the process at
    once, and so does SIGTERM when `PATIENCE_SECONDS` have gone by, even where a training step or another call does not
    return. What was written before stays whole.

    Args:
        clock: () → seconds, by which signals are told apart.

    Raises:
        Terminated: SIGTERM came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    # Python runs a handler between two of its own instructions, so not within a long step; the byte that is written
    # here comes at once, and the thread watches the time
    wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    SignalRequests.active = requests = SignalRequests(clock)

    def leave(number: int, frame: Any) -> None:
        # the rest of a request must not disturb the end in good order that it has begun
        if requests.take():
            raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, leave)}
    # a job in the background ignores Ctrl-C, and goes on ignoring it
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        before[signal.SIGINT] = signal.signal(signal.SIGINT, leave)
    watch = threading.Thread(
        target=_watch, args=(reader, SignalRequests(clock)), name="kerasft-signals", daemon=True
    )
    watch.start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        SignalRequests.active = None
        writer.close()


def _watch(reader: socket.socket, requests: SignalRequests) -> None:
    """Until the other end is closed."""
    deadline: float | None = None
    while True:
        reader.settimeout(None if deadline is None else max(deadline - time.monotonic(), 0.001))
        try:
            received = reader.recv(16)
        except TimeoutError:
            _end_at_once(signal.SIGTERM, f"no orderly end within {PATIENCE_SECONDS:.0f} s")
        if not received:
            reader.close()
            return
        for number in received:
            if number not in _SIGNALS:
                continue
            if requests.take() and requests.count > 1:
                _end_at_once(number, "a second signal")
            if number == signal.SIGTERM and deadline is None:
                deadline = time.monotonic() + PATIENCE_SECONDS


def _end_at_once(number: int, why: str) -> NoReturn:
    message = f"\nstopped at once ({why}): finished results are kept.\n"
    with contextlib.suppress(OSError, ValueError):
        # not through sys.stderr, whose lock the main thread may hold; nor into a pipe that nobody empties
        if select.select([], [2], [], 0)[1]:
            os.write(2, message.encode())
    os._exit(128 + number)
