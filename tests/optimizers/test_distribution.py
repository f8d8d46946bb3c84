"""Two replicas must learn what one device learns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def compare(*cases: tuple[str, int]) -> None:
    program = Path(__file__).with_name("two_devices.py")
    words = [str(word) for case in cases for word in case]
    result = subprocess.run([sys.executable, str(program), *words], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
    for case, line in zip(cases, lines, strict=True):
        found = json.loads(line)
        assert found["updates"][0] == found["updates"][1] > 0, case
        assert found["difference"] <= 2e-6, case
        assert found["unequal_replicas"] == [], case


@pytest.mark.slow
def test_two_devices_equal_one() -> None:
    compare(("adamw", 4))


@pytest.mark.slow
def test_two_devices_equal_one_with_every_optimizer_and_clipping() -> None:
    compare(
        ("adamw", 1),
        ("descent", 1),
        ("descent", 4),
        ("clipnorm", 1),
        ("clipnorm", 4),
        ("muon", 1),
        ("muon", 4),
    )
