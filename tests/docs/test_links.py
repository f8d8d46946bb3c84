"""What the README and the guides point to is there, and the configs they show are valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kerasft.config.loading import load_config
from kerasft.experiment import ExperimentConfig

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_relative_link_leads_somewhere(page):
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))

    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_that_is_named_exists(page):
    names = re.findall(
        r"\b(?:benchmarks|configs|examples|tests|docs)/[\w/]+\.\w+", page.read_text(encoding="utf-8")
    )

    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_config_of_the_readme_is_valid(tmp_path):
    (block,) = re.findall(
        r"^    name: reviews\n(?:    .*\n)+", (ROOT / "README.md").read_text(encoding="utf-8"), re.M
    )
    path = tmp_path / "reviews.yaml"
    path.write_text(re.sub(r"^    ", "", block, flags=re.M), encoding="utf-8")

    assert load_config(ExperimentConfig, path).config.name == "reviews"


@pytest.mark.parametrize("page", [page for page in PAGES if "train:\n" in page.read_text(encoding="utf-8")])
def test_the_sections_that_guides_show_are_valid(tmp_path, page):
    base = "name: a\ntask: {type: text_classification}\nmodel: {preset: bert_tiny_en_uncased}\n"
    data = "data:\n  train: {format: jsonl, path: a.jsonl}\n"
    blocks = re.findall(r"^    (?:data|train):\n(?:      .*\n)+", page.read_text(encoding="utf-8"), re.M)
    assert blocks or page.stem == "README"

    for block in blocks:
        text = re.sub(r"^    ", "", block, flags=re.M)
        path = tmp_path / "section.yaml"
        path.write_text(base + text + ("" if text.startswith("data") else data), encoding="utf-8")
        load_config(ExperimentConfig, path)
