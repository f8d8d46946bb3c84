"""Caches among shared data: one process at a time writes one, and none takes another's place."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kerasft.data.cache import ArrayCache, build_cache
from kerasft.progress import Silent
from kerasft.runs import shared_data
from kerasft.runs.shared_data import find_place, is_shared, written_by_one


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The folder for caches among shared data."""
    place = tmp_path / ("0" * 16)
    with written_by_one(place, Silent()):
        assert is_shared(place)
    return place / "cache"


def test_several_at_once_build_one_cache(cache: Path) -> None:
    built, caches = [], []

    def chunks() -> Iterator[dict[str, np.ndarray]]:
        built.append(1)
        for start in range(3):
            time.sleep(0.05)
            yield {"x": np.arange(4) + start}

    def build() -> None:
        caches.append(build_cache(cache / "train", "f" * 16, chunks()))

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert [one.column("x").tolist() for one in caches] == [[0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5]] * 4
    assert [path.name for path in cache.iterdir()] == [f"train-{'f' * 16}"]


def test_each_encoder_keeps_its_own(cache: Path) -> None:
    first = build_cache(cache / "train", "a" * 16, [{"x": np.zeros(2)}])
    second = build_cache(cache / "train", "b" * 16, [{"x": np.ones(2)}])
    again = build_cache(cache / "train", "a" * 16, iter(()))
    assert [one.column("x").tolist() for one in (first, second, again)] == [[0, 0], [1, 1], [0, 0]]


KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from kerasft.data.cache import build_cache

def chunks():
    yield {"x": np.ones(2)}
    os.kill(os.getpid(), signal.SIGKILL)

build_cache(Path(sys.argv[1]), "a" * 16, chunks())
"""


def test_who_is_killed_while_writing_leaves_nothing_in_the_way(cache: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(cache / "train")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.name[:8] for path in cache.iterdir()] == [".train-a"]
    assert (cache.parent / ".lock").exists()
    built = build_cache(cache / "train", "a" * 16, [{"x": np.zeros(2)}])
    assert built.column("x").tolist() == [0, 0]
    assert [path.name for path in cache.iterdir()] == [f"train-{'a' * 16}"]
    assert not (cache.parent / ".lock").exists()


def test_who_waits_too_long_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kerasft.errors import RunLockedError

    monkeypatch.setattr(shared_data, "PATIENCE_SECONDS", 0.0)
    with (
        written_by_one(cache.parent, Silent()),
        pytest.raises(RunLockedError, match="in use by process"),
    ):
        build_cache(cache / "train", "a" * 16, [{"x": np.zeros(2)}])
    build_cache(cache / "train", "a" * 16, [{"x": np.zeros(2)}])
    with written_by_one(cache.parent, Silent()):
        # what is whole is read without waiting
        assert isinstance(build_cache(cache / "train", "a" * 16, iter(())), ArrayCache)


@pytest.mark.parametrize("name", ["0" * 15, "0" * 16 + "/deeper", "G" * 16])
def test_only_a_folder_that_was_made_for_it_is_shared(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    (place / "cache").mkdir(parents=True)
    (place / ".shared").touch()
    assert not is_shared(place)
    assert find_place(place / "cache" / "train") is None
