"""What a run was made with: versions and machine, as environment.json holds them."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from kerasft import __version__
from kerasft.runs.revision import read_git_revision

REPORTED_PACKAGES = ("tensorflow", "keras", "keras-hub", "tensorflow-datasets", "numpy", "kerasft")


def describe_environment() -> dict[str, Any]:
    """Versions and machine, as environment.json holds them."""
    versions = {}
    for package in REPORTED_PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = __version__ if package == "kerasft" else "not installed"
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": _cores(),
        "versions": versions,
        "command": " ".join(sys.argv),
        "git_revision": read_git_revision(Path.cwd()),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
