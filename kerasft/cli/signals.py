"""SIGTERM and Ctrl-C of a command: an end in good order, and a limit to how long that may take."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

from kerasft.errors import Terminated

PATIENCE_SECONDS = 8.0
"""How long an end in good order (a step, a checkpoint) may take after SIGTERM: whoever sends it (a scheduler, a cloud
about to take the machine) seldom waits longer than ten seconds."""


@contextlib.contextmanager
def ending_in_order() -> Iterator[None]:
    """SIGTERM leaves by exception, as Ctrl-C does.

    A second signal ends the process at once, and so does SIGTERM when `PATIENCE_SECONDS` have gone by, even where a
    training step or another call does not return. What was written before stays whole.

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
    before = signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_watch, args=(reader,), name="kerasft-signals", daemon=True).start()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.set_wakeup_fd(wakeup)
        writer.close()


def _leave(number: int, frame: Any) -> None:
    raise Terminated


def _watch(reader: socket.socket) -> None:
    """Until the other end is closed."""
    first: int | None = None
    while True:
        reader.settimeout(PATIENCE_SECONDS if first == signal.SIGTERM else None)
        try:
            received = reader.recv(16)
        except TimeoutError:
            _end_at_once(signal.SIGTERM, f"no end in good order within {PATIENCE_SECONDS:.0f} s")
        if not received:
            reader.close()
            return
        for number in received:
            if number in (signal.SIGTERM, signal.SIGINT):
                if first is not None:
                    _end_at_once(number, "a second signal")
                first = number


def _end_at_once(number: int, why: str) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write(f"\nstopped at once ({why}): what was finished before is kept.\n")
        sys.stderr.flush()
    os._exit(128 + number)
