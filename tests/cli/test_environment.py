"""TensorFlow's own lines stay away from users who have not asked for them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os
from kerasft.cli.environment import prepare_environment
prepare_environment()
import importlib.util
assert importlib.util.find_spec("tensorflow")
import tensorflow as tf
tf.ones(3) + 1
retraced = tf.function(lambda x: x + 1)
for width in range(8):
    retraced(tf.zeros(width))
os.write(2, b"kept\\n")
print(os.environ["KERAS_BACKEND"], tf.__spec__.name, tf.reduce_sum(tf.ones(3)).numpy())
"""


def run(**variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TF_")} | variables
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=True
    )


@pytest.mark.slow
def test_tensorflow_starts_silently_and_other_lines_pass():
    done = run(KERAS_BACKEND="jax")
    assert done.stderr == "kept\n"
    assert done.stdout == "tensorflow tensorflow 3.0\n"


@pytest.mark.slow
def test_whoever_sets_the_log_level_sees_the_lines():
    assert run(TF_CPP_MIN_LOG_LEVEL="0").stderr != "kept\n"
