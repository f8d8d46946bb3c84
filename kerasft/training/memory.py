"""Memory of the process: its peak, and how the C library handles freed memory."""

from __future__ import annotations

import ctypes
import resource
import sys
from pathlib import Path

# mallopt's parameters, from glibc's malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_LARGEST_INT = 2**31 - 1


def measure_peak_memory_mb() -> float:
    """The largest resident memory this process has had, in MB (10⁶ bytes)."""
    if sys.platform == "linux":
        # ru_maxrss begins at what the process that started this one had
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


def keep_freed_memory() -> bool:
    """Has glibc keep what is freed, in place of giving it back to the system and asking for it anew at each step.

    A page that comes from the system is zeroed at its first use, which takes longer than most operations on it do:
    TensorFlow frees each operation's output in each step.

    Returns:
        Whether it did; False where the C library is another.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _LARGEST_INT))
