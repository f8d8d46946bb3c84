"""How a command ends on signals: by exception, once; at once where somebody has lost patience."""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Iterator

import pytest

from kerasft.cli import signals
from kerasft.errors import Terminated
from kerasft.training.resume.interruption import GRACE_SECONDS, SignalRequests, StopRequest


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0
        self.asked = threading.Semaphore(0)

    def __call__(self) -> float:
        self.asked.release()
        return self.seconds


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> Iterator[queue.Queue[str]]:
    """What `_end_at_once` was told, in place of the end."""
    told: queue.Queue[str] = queue.Queue()
    monkeypatch.setattr(signals, "_end_at_once", lambda number, why: told.put(why))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield told
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_comes_right_after_a_signal_does_not_disturb_the_end(
    number: int, ended: queue.Queue[str]
) -> None:
    tidied = []

    def work() -> None:
        with signals.ending_in_order(Clock()):
            try:
                signal.raise_signal(number)
            finally:
                signal.raise_signal(number)
                tidied.append(True)

    with pytest.raises(Terminated if number == signal.SIGTERM else KeyboardInterrupt):
        work()
    assert tidied
    assert ended.empty()
    assert SignalRequests.active is None


def test_a_later_signal_ends_it_at_once_also_where_training_holds_signals_back(
    ended: queue.Queue[str],
) -> None:
    clock = Clock()
    with signals.ending_in_order(clock), StopRequest() as stop:
        stop.has_news = True
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert stop.requested
        for _ in range(4):  # two signals, counted by the handler and by the thread that watches
            assert clock.asked.acquire(timeout=60)
        assert ended.empty()
        clock.seconds += GRACE_SECONDS
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)
        assert ended.get(timeout=60) == "a second signal"


def test_ctrl_c_that_is_ignored_stays_ignored(ended: queue.Queue[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with signals.ending_in_order():
        signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
