"""Fixtures for rooms that need a model: a tiny preset, and experiments on texts and on pictures from end to end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
import tiny_bert
import tiny_entities
import tiny_images
from time_budget import TimeBudget, read_minutes

pytest_plugins = ["pytester"]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(TimeBudget(read_minutes(os.environ)), "time_budget")


def make_loader(path: Path) -> Callable[..., Any]:
    """(overrides, …) → the config of an experiment; its files are the same for all."""
    from kerasft.config.loading import load_config
    from kerasft.experiment import ExperimentConfig

    def load(*overrides: str) -> Any:
        return load_config(ExperimentConfig, path, overrides).config

    return load


def run_all(config: Any, folder: Path) -> Any:
    """The run folder of an experiment, all stages done."""
    from kerasft.stages.run import run
    from kerasft.training.run_folder import RunFolder

    run_folder = RunFolder(folder)
    run(config, run_folder)
    return run_folder


@pytest.fixture
def replay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports are answered by this process, not by a clean one of some seconds: for tests of what follows from it."""
    from kerasft.serving import publishing

    def answer(saved_model: Path, inputs: Any) -> dict[str, Any]:
        import numpy as np
        import tensorflow as tf

        serve = tf.saved_model.load(str(saved_model)).signatures["serving_default"]
        raw = [v if isinstance(v, bytes) else v.encode("utf-8", "replace") for v in inputs]
        answers = {name: value.numpy() for name, value in serve(tf.constant(raw)).items()}
        decode = np.vectorize(lambda value: value.decode("utf-8"), otypes=[object])
        decoded = {name: decode(array) if array.dtype == object else array for name, array in answers.items()}
        return {**decoded, "tensorflow": np.array(tf.__version__)}

    monkeypatch.setattr(publishing, "replay", answer)


@pytest.fixture(scope="session")
def tiny_preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A keras-hub preset folder: BERT of 2 layers of 32, with its vocabulary."""
    return tiny_bert.write_preset(tmp_path_factory.mktemp("presets") / "tiny")


@pytest.fixture(scope="session")
def load_experiment(tmp_path_factory: pytest.TempPathFactory, tiny_preset: Path) -> Callable[..., Any]:
    """(overrides, **sections) → the tiny experiment's config; its files are the same for all."""
    return make_loader(tiny_bert.write_experiment(tmp_path_factory.mktemp("experiment"), tiny_preset))


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, load_experiment: Callable[..., Any]) -> Any:
    """The run folder of the tiny experiment, all stages done. To be read only: copy it to change it."""
    return run_all(load_experiment(), tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="session")
def load_image_experiment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """(overrides, …) → the config of the tiny experiment on pictures; its files are the same for all."""
    return make_loader(tiny_images.write_experiment(tmp_path_factory.mktemp("image-experiment")))


@pytest.fixture(scope="session")
def tiny_image_run(
    tmp_path_factory: pytest.TempPathFactory, load_image_experiment: Callable[..., Any]
) -> Any:
    """The run folder of the tiny experiment on pictures, all stages done. To be read only: copy it to change it."""
    return run_all(load_image_experiment(), tmp_path_factory.mktemp("image-runs") / "tiny-images")


@pytest.fixture(scope="session")
def load_entity_experiment(tmp_path_factory: pytest.TempPathFactory, tiny_preset: Path) -> Callable[..., Any]:
    """(overrides, …) → the config of the tiny experiment on entities; its files are the same for all."""
    return make_loader(
        tiny_entities.write_experiment(tmp_path_factory.mktemp("entity-experiment"), tiny_preset)
    )


@pytest.fixture(scope="session")
def tiny_entity_run(
    tmp_path_factory: pytest.TempPathFactory, load_entity_experiment: Callable[..., Any]
) -> Any:
    """The run folder of the tiny experiment on entities, all stages done. To be read only: copy it to change it."""
    return run_all(load_entity_experiment(), tmp_path_factory.mktemp("entity-runs") / "tiny-entities")
