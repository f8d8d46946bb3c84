"""Resident memory of this process, for the benchmarks: what it takes now, and its peak since a certain moment."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

_STATUS = Path("/proc/self/status")


def begin_peak_mb() -> float:
    """What is resident now, MiB; from here on `read_peak_mb` begins anew, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _read("VmRSS")


def read_peak_mb() -> float:
    """The largest resident size since `begin_peak_mb`, or since the process began, MiB."""
    return _read("VmHWM")


def _read(key: str) -> float:
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(key))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
