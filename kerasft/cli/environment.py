"""The process's environment, set before TensorFlow is imported."""

from __future__ import annotations

import importlib.util
import logging
import os
import platform
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_LOG_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_NOISE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\)|[IW]\d{4} [\d:. ]+\S+:\d+\]|"
    rb"\d{4}-\d\d-\d\d [\d:.]+: [IW] |To enable the following instructions:"
)


def prepare_environment() -> None:
    """Makes Keras take the TensorFlow backend, and keeps TensorFlow's start-up lines and warnings from users who have
    not asked for them by `TF_CPP_MIN_LOG_LEVEL`; starts no program."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # libraries ask for the processor's name, for which Python would start a program (`uname -p`)
    vars(platform.uname()).setdefault("processor", platform.machine())
    if _LOG_LEVEL not in os.environ:
        os.environ[_LOG_LEVEL] = "3"
        # its Python side warns of functions that are traced again, which batches of several widths are
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        if "tensorflow" not in sys.modules:
            sys.meta_path.insert(0, _QuietTensorFlowFinder())


class _QuietTensorFlowFinder(MetaPathFinder):
    """Some lines are written while TensorFlow's libraries are loaded, before they look at the log level: this holds
    standard error back during `import tensorflow`, whoever does it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        # Some libraries only ask whether there is a TensorFlow: this finder stays until it is loaded.
        place = sys.meta_path.index(self)
        sys.meta_path.remove(self)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            sys.meta_path.insert(place, self)
        if spec and spec.loader:
            loader: Any = spec.loader
            load = loader.exec_module

            def load_quietly(module: ModuleType) -> None:
                sys.meta_path.remove(self)
                with _noise_held_back():
                    load(module)

            loader.exec_module = load_quietly
        return spec


@contextmanager
def _noise_held_back() -> Iterator[None]:
    """Collects what is written to file descriptor 2 and hands on at the end what is no log line below an error."""
    sys.stderr.flush()
    try:
        held = tempfile.TemporaryFile()  # noqa: SIM115
    except OSError:  # no place for temporary files: nothing is held back
        yield
        return
    kept = os.dup(2)
    with held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            for line in held:
                if not _NOISE.match(line):
                    os.write(2, line)
