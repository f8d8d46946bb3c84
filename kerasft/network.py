"""Whether an endpoint can be reached, answered in about a second: libraries would wait and retry for minutes."""

from __future__ import annotations

import queue
import socket
import threading
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

_PROXIED_ANSWER_SECONDS = 5.0


def find_why_unreachable(endpoint: str, seconds: float) -> str | None:
    """Why `endpoint` cannot be reached, in words; None where it can.

    Names are resolved and addresses tried in background threads, so that neither a name server that does not
    answer nor a dead address costs more than `seconds`. Behind a proxy (HTTPS_PROXY, NO_PROXY, …) the
    proxy is tried in the same way, then the endpoint through it (5 s at most).

    Args:
        endpoint: a URL, its path aside.
        seconds: how long to wait.
    """
    url = urlsplit(endpoint)
    host = url.hostname or ""
    proxy = None if urllib.request.proxy_bypass(host) else _find_proxy(url.scheme)
    if proxy is None:
        return _find_why_unconnected(host, url.port or (80 if url.scheme == "http" else 443), seconds)
    proxy_url = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    proxy_host = proxy_url.hostname or ""
    why = _find_why_unconnected(proxy_host, proxy_url.port or 80, seconds)
    if why is not None:
        return f"the proxy that the environment names does not serve: {why}"
    if proxy_url.scheme.startswith("socks"):
        return None  # urllib does not speak SOCKS; that the proxy answers has to do
    return _find_why_unanswered(endpoint, max(seconds, _PROXIED_ANSWER_SECONDS))


def _find_proxy(scheme: str) -> str | None:
    proxies = urllib.request.getproxies()
    return proxies.get(scheme) or proxies.get("all")


def _find_why_unanswered(endpoint: str, seconds: float) -> str | None:
    request = urllib.request.Request(endpoint, method="HEAD")
    try:
        # `urlopen` would remember the proxies of the first call.
        urllib.request.build_opener().open(request, timeout=seconds).close()
    except urllib.error.HTTPError as error:
        # Any answer of the endpoint's own will do; a gateway's 502 to 504 says that there was none.
        return f"the proxy answers {error.code} {error.reason}" if error.code in (502, 503, 504) else None
    except (OSError, ValueError) as error:
        return f"through the proxy: {error}"
    return None


def _find_why_unconnected(host: str, port: int, seconds: float) -> str | None:
    """None as soon as one address of the host accepts a connection; addresses are tried side by side."""
    deadline = time.monotonic() + seconds
    answers: queue.Queue[str | None] = queue.Queue()

    def resolve() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            answers.put(f"the name {host} cannot be resolved ({error.strerror or error})")
            answers.put("end")
            return
        threads = [threading.Thread(target=connect, args=(entry[4][:2],), daemon=True) for entry in found]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        answers.put("end")

    def connect(address: tuple[str, int]) -> None:
        try:
            socket.create_connection(address, timeout=max(deadline - time.monotonic(), 0.01)).close()
            answers.put(None)
        except OSError as error:
            answers.put(f"{host}: {error.strerror or error}")

    threading.Thread(target=resolve, daemon=True).start()
    why = f"no answer from {host} within {seconds:g} s"
    while True:
        try:
            answer = answers.get(timeout=max(deadline - time.monotonic(), 0.0))
        except queue.Empty:
            return why
        if answer is None:
            return None
        if answer == "end":
            return why
        why = answer
