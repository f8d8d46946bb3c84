"""The formats in docs/data.md are read as they are printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from kerasft.data.config import DataConfig

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
BLOCKS = re.findall(r"(?m)^    data:\n(?:      .*\n)+", PAGE.read_text(encoding="utf-8"))


def test_each_format_has_an_example():
    found = re.findall(r"format: (\w+)", "".join(BLOCKS))
    plain = {"csv", "jsonl", "text", "conll", "parquet", "image_folder", "tfds"}
    assert set(found) == plain | {"coco", "voc", "yolo", "label_studio", "box_csv", "auto"}


@pytest.mark.parametrize("block", BLOCKS)
def test_examples_are_configs(block):
    DataConfig.model_validate(YAML(typ="safe").load(block)["data"])
