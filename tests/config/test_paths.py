"""Relative paths are taken from the config file's folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kerasft.config.base import PathField
from kerasft.config.paths import resolve_path, resolve_paths
from kerasft.experiment import experiment_schema

FILE, PRESET = PathField(), PathField(may_be_name=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.csv", "/base/train.csv"),
        ("./parts/*.csv", "/base/parts/*.csv"),
        ("../up.csv", "/up.csv"),
        ("/abs/x.csv", "/abs/x.csv"),
        ("~/x.csv", os.path.expanduser("~/x.csv")),
        ("package:module/file.csv", "package:module/file.csv"),
        ("gs://bucket/x.csv", "gs://bucket/x.csv"),
        ("", ""),
    ],
)
def test_a_files_path_becomes_absolute(text: str, expected: str):
    assert resolve_path(text, Path("/base"), FILE) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bert_base_en_uncased", "bert_base_en_uncased"),
        ("./bert", "/base/bert"),
        ("../bert", "/bert"),
        ("/bert", "/bert"),
        ("~/bert", os.path.expanduser("~/bert")),
        ("hf://owner/name", "hf://owner/name"),
        ("kaggle://a/b/c", "kaggle://a/b/c"),
        ("package:module/folder", "package:module/folder"),
        ("owner/name", "owner/name"),
        (".hidden", ".hidden"),
    ],
)
def test_a_preset_is_a_path_only_where_it_looks_like_one(text: str, expected: str):
    assert resolve_path(text, Path("/base"), PRESET) == expected


def test_a_folder_that_is_there_is_a_path(tmp_path: Path):
    (tmp_path / "runs" / "x" / "preset").mkdir(parents=True)
    assert resolve_path("runs/x/preset", tmp_path, PRESET) == str(tmp_path / "runs/x/preset")


def test_only_marked_fields_change():
    config = experiment_schema("text_classification").model_validate(
        {
            "name": "x",
            "task": {"type": "text_classification"},
            "data": {"train": {"format": "jsonl", "path": ["a", "b"], "encoding": "utf-8"}},
            "model": {"preset": "./p"},
        }
    )
    resolved = resolve_paths(config, Path("/base"))
    assert resolved.data.train.path == ("/base/a", "/base/b")
    assert resolved.model.preset == "/base/p"
    assert resolved.data.train.encoding == "utf-8"
    assert resolved.train == config.train
    assert config.model.preset == "./p"
