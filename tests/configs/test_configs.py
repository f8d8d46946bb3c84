"""The configs that come with the project are valid, and their data is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from kerasft.config.loading import load_config
from kerasft.data.fingerprint import resolve_sources
from kerasft.experiment import ExperimentConfig
from kerasft.models.catalogue import list_presets

CONFIGS = Path(__file__).parents[2] / "configs"
PATHS = sorted(CONFIGS.rglob("*.yaml"))


def test_there_are_configs():
    assert {"quickstart.yaml", "text/bert_base_en_uncased.yaml"} <= {
        str(p.relative_to(CONFIGS)) for p in PATHS
    }


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_config_loads_and_names_data_and_a_preset_that_exist(path):
    config = load_config(ExperimentConfig, path).config

    assert config.name == path.stem
    assert set(resolve_sources(config.data, path.parent)) == {"train", "validation", "test"}
    assert config.model.preset in {row.name for row in list_presets()}
