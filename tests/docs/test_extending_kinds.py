"""The kind of field that docs/extending.md shows is prepared, refused by row, and taken."""

from __future__ import annotations

import json
import re
from pathlib import Path

from kerasft.data.config import DataConfig
from kerasft.data.kinds import KINDS
from kerasft.data.kinds.fields import Field
from kerasft.data.prepare.dataset import prepare_dataset

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"


def test_the_kind_that_is_shown_reads_stores_and_refuses(tmp_path, monkeypatch):
    section = PAGE.read_text(encoding="utf-8").split("## A new kind of field")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (tmp_path / "shown_duration.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(KINDS, "duration", "shown_duration")
    values = ["1:30", 12.5, "0:05", "soon"]
    rows = [{"text": f"a text of number {number}", "length": value} for number, value in enumerate(values)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = DataConfig.model_validate(
        {
            "train": {"format": "jsonl", "path": "a.jsonl"},
            "validation_share": 0,
            "test_share": 0,
            "max_rejected": 0.5,
        }
    )
    fields = (Field("text", "text"), Field("length", "duration", "target"))
    dataset = prepare_dataset(config, fields, tmp_path / "data", base=tmp_path, seed=0)
    assert [example["length"] for example in dataset.split("train").take(range(3))] == [90.0, 12.5, 5.0]
    assert dataset.split("train").column("length").tolist() == [90.0, 12.5, 5.0]
    (rejected,) = map(json.loads, (dataset.folder / "rejected.jsonl").read_text().splitlines())
    assert (rejected["row"], rejected["reason"], rejected["detail"]) == (4, "not a number", "found 'soon'")
