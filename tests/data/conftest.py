"""Fixtures for the data room: files with planted faults, a progress that remembers, real data where it is at hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from data_makers import FIELDS

from kerasft.data.config import DataConfig
from kerasft.data.kinds.fields import limit_classes
from kerasft.data.prepare.dataset import PreparedDataset, prepare_dataset
from kerasft.progress import Silent


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
        fields = FIELDS if labels is None else limit_classes(FIELDS, {"label": labels})
        return prepare_dataset(config, fields, tmp_path / folder, base=tmp_path, seed=seed, progress=progress)

    return run


@pytest.fixture
def sst2() -> Path:
    folder = Path(__file__).resolve().parents[3] / "shared" / "data" / "sst2"
    if not folder.is_dir():
        pytest.skip("needs SST-2 in ../shared/data/sst2 beside the checkout")
    return folder
