"""The configs that come with the project are valid, and their data is there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from kerasft.config.loading import load_config
from kerasft.data.prepare.fingerprint import resolve_sources
from kerasft.experiment import ExperimentConfig
from kerasft.models.catalogue import list_presets
from kerasft.models.image_nets import find_architecture
from kerasft.samples.article_folder import write_articles

CONFIGS = Path(__file__).parents[2] / "configs"
PATHS = sorted(CONFIGS.rglob("*.yaml"))


def test_there_are_configs():
    assert {"quickstart.yaml", "text/bert_base_en_uncased.yaml"} <= {
        str(p.relative_to(CONFIGS)) for p in PATHS
    }


def is_named_after(config: ExperimentConfig, path: Path) -> bool:
    """Whether the run folder's name says which config it is of."""
    return config.name == path.stem or config.name.startswith(f"{path.stem}-")


def test_no_two_configs_share_a_run_folder():
    names = [load_config(ExperimentConfig, path).config.name for path in PATHS]
    assert len(set(names)) == len(names)


SAMPLES_OF_ENTITIES = CONFIGS / "ner" / "sample_entities.yaml"
ENTITIES = [path for path in PATHS if "ner" in path.parts]
CORPORA = [path for path in PATHS if "lm" in path.parts]
TEXTS = [path for path in PATHS if "vision" not in path.parts and path not in ENTITIES + CORPORA]
PICTURES = [path for path in PATHS if "vision" in path.parts]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_a_config_of_texts_loads_and_names_data_and_a_preset_that_exist(path):
    config = load_config(ExperimentConfig, path).config

    assert is_named_after(config, path)
    assert set(resolve_sources(config.data, path.parent)) == {"train", "validation", "test"}
    assert config.model.preset in {row.name for row in list_presets()}


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_config_of_pictures_loads_and_names_a_net_that_is_known(path):
    config = load_config(ExperimentConfig, path).config

    assert is_named_after(config, path)
    assert config.task.type == "image_classification"
    assert find_architecture(config.model.preset) is not None


@pytest.mark.parametrize("path", CORPORA, ids=lambda path: path.stem)
def test_a_config_of_raw_texts_loads_and_begins_with_a_new_net_or_a_preset_that_exists(path):
    config = load_config(ExperimentConfig, path).config

    assert is_named_after(config, path)
    assert not [field for field in config.task.fields if field.role == "target"]
    preset = config.model.preset
    if not config.model.starts_from_data and preset not in {row.name for row in list_presets()}:
        # a file in a wheel, which a file of constraints names
        wheel, _, file = preset.removeprefix("package:").partition("/")
        assert file.endswith(".gguf")
        pins = [path.read_text() for path in (CONFIGS.parent / "constraints").glob("*.txt")]
        assert any(re.search(rf"^{wheel.replace('_', '-')}==", pin, re.MULTILINE) for pin in pins)


@pytest.mark.parametrize("path", ENTITIES, ids=lambda path: path.stem)
def test_a_config_of_entities_loads_and_names_a_preset_that_exists(path):
    config = load_config(ExperimentConfig, path).config

    assert is_named_after(config, path)
    assert config.task.type == "token_classification"
    assert config.train.monitor == "f1"
    assert config.model.preset in {row.name for row in list_presets()}


def test_no_two_configs_write_into_one_run_folder():
    names = [load_config(ExperimentConfig, path).config.name for path in PATHS]
    assert len(set(names)) == len(names)


def test_the_quickstart_of_raw_text_reads_the_articles_where_its_header_writes_them(tmp_path):
    quickstart = CONFIGS / "lm" / "quickstart.yaml"
    assert "kerasft samples articles --to runs/articles\n" in quickstart.read_text()
    folder = tmp_path / "configs" / "lm"
    folder.mkdir(parents=True)
    shutil.copy(quickstart, folder)
    write_articles(tmp_path / "runs" / "articles")

    config = load_config(ExperimentConfig, folder / "quickstart.yaml").config
    sources = resolve_sources(config.data, folder)
    assert len(sources["train"]) > 60


def test_the_sample_entities_are_there():
    config = load_config(ExperimentConfig, SAMPLES_OF_ENTITIES).config
    assert set(resolve_sources(config.data, CONFIGS / "ner")) == {"train", "validation", "test"}
