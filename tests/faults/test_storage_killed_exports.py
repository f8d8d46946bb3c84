"""An export that is killed at any write, fsync, rename or mkdir shows no part of a version.

Every such system call of `publish_saved_model` below the export folder is tried, one process each: some forty. To
be quick, these are forks of two processes that have TensorFlow imported, and the module that is exported is the
smallest that can be; the clean process that replays it is the real one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import pytest
from needs import lacks
from storage_makers import list_hidden, make_environment, read_tree

from kerasft.files import sweep_leftovers

CALLS = "write,pwrite64,fsync,fdatasync,?rename,renameat,renameat2,?mkdir,mkdirat"

SERVER = """
import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from kerasft.serving.publishing import publish_saved_model
from kerasft.tasks.answers import measure_probabilities


class Constant(tf.Module):
    def __init__(self):
        super().__init__()
        self.weight = tf.Variable(tf.zeros([1000]))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serving_default(self, text):
        logits = tf.zeros([tf.size(text), 2]) + self.weight[0]
        return {"label": tf.fill(tf.shape(text), "a"), "probabilities": tf.nn.softmax(logits), "logits": logits}

    @property
    def signatures(self):
        return {"serving_default": self.serving_default}


def publish(destination):
    publish_saved_model(
        Constant(), Path(destination), [{"text": "x"}], lambda inputs: np.full((len(inputs), 2), 0.5),
        measure=measure_probabilities, tolerance=1e-5, documents={"labels.txt": "a"},
    )


commands = open(0, "rb", buffering=0)
while destination := commands.readline().decode().strip():
    child = os.fork()
    if child == 0:
        commands.readline()  # until it is traced
        publish(destination)
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


class Moment(NamedTuple):
    """A system call: which, the how-manieth of its kind, and what it was done to."""

    call: str
    count: int
    described: str


EXPORTS = "that an export killed at any of its writes leaves a whole version or none"


class Exporter:
    """A process whose forks export, each under strace."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**make_environment(), "CUDA_VISIBLE_DEVICES": "-1"},
        )

    def close(self) -> None:
        self._process.communicate()

    def export(self, destination: Path, *strace: str) -> int:
        """Publishes a version in a fork of its own.

        Args:
            destination: the version's folder.
            strace: what strace is to do to the process's main thread, where all that is written comes from.

        Returns:
            The signal that ended it, or 0.
        """
        self._say(str(destination))
        process = self._hear()
        tracer = subprocess.Popen(
            ["strace", "-p", str(process), *strace],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert tracer.stderr is not None
        attached = tracer.stderr.readline()
        self._say("go")
        status = self._hear()
        tracer.communicate()
        if "attached" not in attached:
            pytest.skip(lacks("the right to trace processes", EXPORTS))
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _hear(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


@pytest.fixture(scope="module")
def exporters() -> Iterator[list[Exporter]]:
    if shutil.which("strace") is None:
        pytest.skip(lacks("strace", EXPORTS))
    started = [Exporter(), Exporter()]
    yield started
    for exporter in started:
        exporter.close()


def find_moments(log: str, folder: Path) -> list[Moment]:
    """The calls below a folder that did something, from what `strace -y` wrote of all of them."""
    counts: Counter[str] = Counter()
    moments = []
    for line in log.splitlines():
        found = re.match(r"(\w+)\(.*\) += (-?\d+)", line)
        if found is None:
            continue
        counts[found[1]] += 1
        if str(folder) in line and int(found[2]) >= 0:
            described = line.replace(str(folder), "").partition(', "\\')[0]
            moments.append(Moment(found[1], counts[found[1]], described))
    return moments


def list_visible(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


@pytest.mark.slow
def test_a_kill_at_any_moment_shows_whole_versions_only(tmp_path: Path, exporters: list[Exporter]) -> None:
    import tensorflow as tf

    counted, log = tmp_path / "counted", tmp_path / "calls.txt"
    assert exporters[0].export(counted / "1", "-y", "-o", str(log), "-e", f"trace={CALLS}") == 0
    moments = find_moments(log.read_text(errors="replace"), counted)
    assert {"write", "fsync", "rename", "mkdir"} <= {moment.call.removesuffix("at") for moment in moments}
    assert len(moments) > 30
    whole = set(read_tree(counted / "1"))
    assert {"saved_model.pb", "parity.json", "variables/variables.index", "assets.extra/labels.txt"} <= whole
    free: SimpleQueue[Exporter] = SimpleQueue()
    for exporter in exporters:
        free.put(exporter)

    def kill(number: int) -> tuple[Path, int]:
        moment = moments[number]
        folder = shutil.copytree(counted, tmp_path / f"killed-{number}")
        inject = f"inject={moment.call}:signal=SIGKILL:when={moment.count}"
        exporter = free.get()
        try:
            strace = ("-o", os.devnull, "-e", f"trace={moment.call}", "-e", inject)
            return folder, exporter.export(folder / "2", *strace)
        finally:
            free.put(exporter)

    with ThreadPoolExecutor(len(exporters)) as pool:
        ends = list(pool.map(kill, range(len(moments))))
    older, published = read_tree(counted / "1"), 0
    for moment, (folder, signal) in zip(moments, ends, strict=True):
        assert signal == 9, moment
        sweep_leftovers(folder)
        assert read_tree(folder / "1") == older, moment
        assert list_hidden(folder) == []
        assert list_visible(folder) in (["1"], ["1", "2"]), moment
        if (folder / "2").exists():
            published += 1
            assert set(read_tree(folder / "2")) == whole, moment
            answer = tf.saved_model.load(str(folder / "2")).signatures["serving_default"](
                text=tf.constant(["x"])
            )
            assert answer["label"].numpy().tolist() == [b"a"]
    assert 0 < published < len(moments) / 2  # after the last rename
