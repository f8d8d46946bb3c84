"""docs/config.md says what the schema says."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from kerasft.config.describe import Place
from kerasft.experiment import experiment_schema
from kerasft.tasks import TASKS

DOCS = Path(__file__).parents[2] / "docs"


def test_the_config_reference_is_current():
    build = runpy.run_path(str(DOCS / "build_config_reference.py"))["build_reference"]

    assert (DOCS / "config.md").read_text(encoding="utf-8") == build(), "run `make docs`"


def test_every_key_of_the_schema_is_explained():
    rows = [
        line
        for line in (DOCS / "config.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    ]

    unexplained = [
        row for row in rows if row.endswith("|  |") and not row.startswith(("| `type`", "| `format`"))
    ]
    assert len(rows) > 60
    assert not unexplained


@pytest.mark.parametrize("task", TASKS)
def test_every_key_that_an_experiment_may_have_has_a_row(task: str) -> None:
    text = (DOCS / "config.md").read_text(encoding="utf-8")

    def list_keys(place: Place) -> Iterator[str]:
        for key, inner in place.keys.items():
            yield key
            yield from list_keys(inner)

    keys = set(list_keys(Place.of(experiment_schema(task))))
    assert {
        "adaptation",
        "preset",
        "batch_norm" if task in ("image_classification", "object_detection") else "rank",
    } <= keys
    assert {key for key in keys if f"| `{key}` | " not in text} == set()
