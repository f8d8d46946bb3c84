"""Fixtures for the data room: files with planted faults, a progress that remembers, real data where it is at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kerasft.data.config import DataConfig
from kerasft.data.dataset import PreparedDataset, prepare_dataset
from kerasft.data.fields import Field
from kerasft.progress import Silent

FIELDS = (Field("text", "text"), Field("label", "label"))


class Remembering(Silent):
    """A `Progress` that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.tables: dict[str, list[Any]] = {}

    def note(self, message: str) -> None:
        self.notes.append(message)

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def table(self, title: str, columns, rows) -> None:
        self.tables[title] = [list(columns), *(list(row) for row in rows)]


@pytest.fixture
def progress() -> Remembering:
    return Remembering()


@pytest.fixture
def prepare(tmp_path: Path, progress: Remembering) -> Callable[..., PreparedDataset]:
    """Prepares the files that a `data` section names below the test's folder."""

    def run(data: dict[str, Any], *, seed: int = 0, labels=None, folder: str = "prepared") -> PreparedDataset:
        config = DataConfig.model_validate(data)
        return prepare_dataset(
            config, FIELDS, tmp_path / folder, base=tmp_path, seed=seed, labels=labels, progress=progress
        )

    return run


@pytest.fixture
def sst2() -> Path:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "sst2"
    if not folder.is_dir():
        pytest.skip("needs SST-2 in ../shared/data/sst2 beside the checkout")
    return folder


def csv_source(path: str, **settings: Any) -> dict[str, Any]:
    return {"format": "csv", "path": path, **settings}


def tsv_source(path: str) -> dict[str, Any]:
    return csv_source(path, delimiter="\t", header=False, columns={"text": 0, "label": 1})


WORDS = [
    "river",
    "mountain",
    "window",
    "garden",
    "letter",
    "engine",
    "silver",
    "market",
    "island",
    "winter",
    "summer",
    "bridge",
    "castle",
    "forest",
    "planet",
    "dinner",
    "coffee",
    "teacher",
    "doctor",
    "painter",
    "driver",
    "singer",
    "farmer",
    "soldier",
    "captain",
    "kitchen",
    "corner",
    "village",
    "harbor",
    "thunder",
    "candle",
    "mirror",
    "basket",
    "ladder",
    "hammer",
    "needle",
    "pocket",
    "ribbon",
    "saddle",
    "tunnel",
    "valley",
    "walnut",
    "yellow",
    "purple",
    "ancient",
    "broken",
    "clever",
    "distant",
    "empty",
    "fragile",
    "gentle",
    "hollow",
    "idle",
    "jolly",
    "keen",
    "lively",
    "modest",
    "narrow",
    "obscure",
    "proud",
    "quiet",
    "rapid",
    "steady",
    "tender",
    "useful",
    "vivid",
    "weary",
    "young",
    "zealous",
    "arrives",
    "becomes",
    "carries",
    "delivers",
    "enters",
    "follows",
    "gathers",
    "happens",
    "imagines",
    "joins",
    "keeps",
    "leaves",
    "measures",
    "notices",
    "opens",
    "performs",
    "questions",
    "remains",
    "shelters",
    "touches",
]


def sentences(random, count: int, shortest: int = 8, longest: int = 40) -> list[str]:
    """Unrelated sentences of words that are drawn one by one."""
    return [" ".join(random.choices(WORDS, k=random.randint(shortest, longest))) for _ in range(count)]
