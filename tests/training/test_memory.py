import platform
import subprocess
import sys

import numpy as np
import pytest

from kerasft.training.memory import measure_peak_memory_mb

_CHILD = """
from kerasft.training.memory import measure_peak_memory_mb
print(measure_peak_memory_mb())
"""

_FAULTS = """
import resource, sys
from kerasft.training.memory import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()
for step in range(50):
    bytes(1) * 40_000_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def run(script: str, *arguments: str) -> float:
    command = [sys.executable, "-c", script, *arguments]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_peak_memory_is_in_megabytes_and_stays_when_memory_is_freed() -> None:
    before = measure_peak_memory_mb()
    assert 50 < before < 100_000
    block = np.ones(64_000_000, np.uint8)
    during = measure_peak_memory_mb()
    assert during >= before
    del block
    assert measure_peak_memory_mb() >= during - 1  # Linux counts a processor's pages in lots


def test_a_process_has_no_part_in_the_peak_of_the_one_that_started_it() -> None:
    block = np.ones(600_000_000, np.uint8)
    assert measure_peak_memory_mb() > 600
    assert run(_CHILD) < 500
    del block


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_memory_that_is_kept_is_not_asked_of_the_system_again() -> None:
    # 50 times 40 MB in pages of 4 kB
    assert run(_FAULTS, "give back") > 200_000
    assert run(_FAULTS, "keep") < 100_000
