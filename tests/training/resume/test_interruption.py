"""Which signals stop a training when: told by a clock that the tests set."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from kerasft.errors import Terminated
from kerasft.training.resume.interruption import GRACE_SECONDS, SignalRequests, StopRequest


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """A shell's background job begins with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_signals_that_come_soon_after_the_first_are_one_request(clock: Clock) -> None:
    requests = SignalRequests(clock)
    assert requests.take()
    clock.seconds += GRACE_SECONDS - 0.01
    assert not requests.take()
    assert requests.count == 1
    clock.seconds += 0.02  # counted from the first, so that who goes on pressing Ctrl-C gets through
    assert requests.take()
    assert requests.count == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_is_held_back_until_it_is_asked_for(clock: Clock, number: int) -> None:
    with StopRequest(SignalRequests(clock)) as stop:
        stop.has_news = True
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert stop.requested
        with pytest.raises(Terminated if number == signal.SIGTERM else KeyboardInterrupt):
            stop.check()


def test_a_second_ctrl_c_interrupts_as_ever(clock: Clock) -> None:
    with StopRequest(SignalRequests(clock)) as stop:
        signal.raise_signal(signal.SIGINT)
        clock.seconds += GRACE_SECONDS
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            stop.check()


def test_sigterm_does_not_wait_where_there_is_nothing_to_save(clock: Clock) -> None:
    with StopRequest(SignalRequests(clock)), pytest.raises(Terminated):
        signal.raise_signal(signal.SIGTERM)
