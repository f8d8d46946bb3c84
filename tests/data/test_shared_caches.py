"""Caches among shared data: one process at a time writes one, and none takes another's place."""

from __future__ import annotations

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


def test_what_a_killed_process_left_is_cleared_away(cache: Path) -> None:
    cache.mkdir()
    (cache / f".train-{'a' * 16}.0123abcd.tmp").mkdir()
    build_cache(cache / "train", "a" * 16, [{"x": np.zeros(2)}])
    assert [path.name for path in cache.iterdir()] == [f"train-{'a' * 16}"]


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
