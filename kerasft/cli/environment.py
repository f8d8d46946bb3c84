"""The process's environment, set before TensorFlow is imported."""

from __future__ import annotations

import os


def prepare_environment() -> None:
    """Keeps TensorFlow's start-up lines from the user, unless they have set the variables themselves, and makes
    Keras take the TensorFlow backend."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_CPP_MAX_VLOG_LEVEL", "0")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    os.environ["KERAS_BACKEND"] = "tensorflow"
