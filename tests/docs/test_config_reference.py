"""docs/config.md says what the schema says."""

from __future__ import annotations

import runpy
from pathlib import Path

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
