"""Figures of matplotlib, for reports and TensorBoard; none touches pyplot or a screen."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
from pathlib import Path

if "matplotlib" not in sys.modules and os.path.lexists("matplotlibrc"):
    # matplotlib would take settings from a file of the working folder, and some of them start programs (usetex)
    _spec = importlib.util.find_spec("matplotlib")
    with contextlib.chdir(Path(_spec.origin).parent) if _spec and _spec.origin else contextlib.nullcontext():
        importlib.import_module("matplotlib")
