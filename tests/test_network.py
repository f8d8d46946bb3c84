"""Reachability is answered in about the time allowed, whatever the network does."""

from __future__ import annotations

import socket
import threading

import pytest
from preset_makers import serve

from kerasft.network import find_why_unreachable


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def answer(method: str, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, b""


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def silent_port():
    """A port whose queue of connections is full, so that a further one waits and waits."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


def test_an_endpoint_that_accepts_is_reachable() -> None:
    with serve(answer) as (url, seen):
        assert find_why_unreachable(url, 1.0) is None
        assert find_why_unreachable(url.replace("127.0.0.1", "localhost"), 1.0) is None
        assert seen == []  # nothing is asked of it


def test_a_refused_connection_is_told_as_such(free_port: int) -> None:
    assert "refused" in str(find_why_unreachable(f"http://127.0.0.1:{free_port}", 600.0))


def test_a_connection_that_hangs_is_given_up(silent_port: int) -> None:
    assert find_why_unreachable(f"http://127.0.0.1:{silent_port}", 0.3) is not None


@pytest.fixture
def never():
    """An event that nobody waits for beyond the test."""
    event = threading.Event()
    yield event
    event.set()


def test_a_connection_is_given_no_more_time_than_allowed_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, never: threading.Event
) -> None:
    allowed: list[float] = []

    def hang(address, timeout):
        allowed.append(timeout)
        never.wait()
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", hang)
    assert find_why_unreachable("http://127.0.0.1:1", 0.3) == "no answer from 127.0.0.1 within 0.3 s"
    assert len(allowed) == 1
    assert allowed[0] <= 0.3


def test_a_name_server_that_hangs_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, never: threading.Event
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **settings: never.wait() and [])
    why = find_why_unreachable("http://example.invalid", 0.2)
    assert why == "no answer from example.invalid within 0.2 s"


def test_a_proxy_is_asked_in_place_of_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(answer) as (proxy, seen):
        monkeypatch.setenv("http_proxy", proxy)
        assert find_why_unreachable("http://example.invalid", 1.0) is None
        assert seen == ["HEAD http://example.invalid"]


def test_a_proxy_that_is_down_or_cannot_reach_further_is_named(
    monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setenv("http_proxy", f"http://user:secret@127.0.0.1:{free_port}")
    why = find_why_unreachable("http://example.invalid", 1.0)
    assert "proxy" in str(why)
    assert "secret" not in str(why)
    with serve(lambda *request: (504, {}, b"")) as (proxy, _):
        monkeypatch.setenv("http_proxy", proxy)
        assert "the proxy answers 504" in str(find_why_unreachable("http://example.invalid", 1.0))
