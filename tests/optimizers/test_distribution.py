"""Two replicas must learn what one device learns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("name", "accumulated"),
    [
        ("adamw", 4),
        *(
            pytest.param(name, accumulated, marks=pytest.mark.slow)
            for name, accumulated in [
                ("adamw", 1),
                ("descent", 1),
                ("descent", 4),
                ("clipnorm", 1),
                ("clipnorm", 4),
            ]
        ),
    ],
)
def test_two_devices_equal_one(name, accumulated):
    program = Path(__file__).with_name("two_devices.py")
    command = [sys.executable, str(program), name, str(accumulated)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["updates"][0] == found["updates"][1] > 0
    assert found["difference"] <= 2e-6
    assert found["unequal_replicas"] == []
