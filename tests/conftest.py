"""Fixtures for rooms that need a model: a tiny preset, and experiments on texts and on pictures from end to end."""

from __future__ import annotations

import fcntl
import gc
import json
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
import tiny_bert
import tiny_boxes
import tiny_causal
import tiny_distilbert
import tiny_entities
import tiny_images
import tiny_masked
import tiny_roberta
import tiny_spots
from needs import RequireAll, read_require_all
from time_budget import TimeBudget, read_minutes

pytest_plugins = ["pytester"]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(TimeBudget(read_minutes(os.environ)), "time_budget")
    if read_require_all(os.environ):
        config.pluginmanager.register(RequireAll(), "require_all")


def pytest_collection_finish() -> None:
    """Garbage is looked for among what tests make, no longer among the million objects that imports left."""
    gc.collect()
    gc.freeze()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For `-n auto`: a worker a core that may be used, of which each takes up to 3 GB; 4 at most."""
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1, 4)


def build_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], Any]) -> Path:
    """A folder that the first of all workers to ask for it fills; the others wait for it."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # each worker has a folder of its own in it
    folder, done = base / name, base / f"{name}.done"
    with open(base / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            build(folder)
            done.touch()
    return folder


def make_loader(path: Path) -> Callable[..., Any]:
    """(overrides, …) → the config of an experiment; its files are the same for all."""
    from kerasft.config.loading import load_config
    from kerasft.experiment import ExperimentConfig

    def load(*overrides: str) -> Any:
        return load_config(ExperimentConfig, path, overrides).config

    return load


def run_all(factory: pytest.TempPathFactory, name: str, config: Any) -> Any:
    """The run folder of an experiment, all stages done."""
    from kerasft.runs.folder import RunFolder
    from kerasft.stages.pipeline import run

    return RunFolder(build_once(factory, name, lambda folder: run(config, RunFolder(folder))))


@pytest.fixture
def replay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports are answered by this process, not by a clean one of some seconds: for tests of what follows from it."""
    from kerasft.serving import publishing
    from kerasft.serving.replay import ask, decode_columns

    def answer(saved_model: Path, inputs: Any) -> dict[str, Any]:
        import numpy as np
        import tensorflow as tf

        loaded = tf.saved_model.load(str(saved_model))
        columns = decode_columns(json.loads(publishing.encode_inputs(inputs)))
        answers = ask(loaded.signatures["serving_default"], columns)
        return {**answers, "tensorflow": np.array(tf.__version__)}

    monkeypatch.setattr(publishing, "replay", answer)


@pytest.fixture(scope="session")
def tiny_preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A keras-hub preset folder: BERT of 2 layers of 32, with its vocabulary."""
    return build_once(tmp_path_factory, "tiny-preset", tiny_bert.write_preset)


@pytest.fixture(scope="session")
def load_experiment(tmp_path_factory: pytest.TempPathFactory, tiny_preset: Path) -> Callable[..., Any]:
    """(overrides, …) → the tiny experiment's config; its files are the same for all."""
    folder = build_once(
        tmp_path_factory, "experiment", lambda folder: tiny_bert.write_experiment(folder, tiny_preset)
    )
    return make_loader(folder / "experiment.yaml")


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, load_experiment: Callable[..., Any]) -> Any:
    """The run folder of the tiny experiment, all stages done. To be read only: copy it to change it."""
    return run_all(tmp_path_factory, "tiny", load_experiment())


def run_on(factory: pytest.TempPathFactory, name: str, makers: Any, write_preset: Callable[..., Path]) -> Any:
    """The run folder of a tiny experiment on a preset in Hugging Face's form, all stages done."""

    def write(folder: Path) -> None:
        makers.write_experiment(folder, write_preset(folder / "preset"))

    folder = build_once(factory, f"{name}-experiment", write)
    return run_all(factory, name, make_loader(folder / "experiment.yaml")())


@pytest.fixture(scope="session")
def tiny_roberta_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tiny experiment on a RoBERTa, all stages done. To be read only: copy it to change it."""
    return run_on(tmp_path_factory, "tiny-roberta", tiny_bert, tiny_roberta.write_preset)


@pytest.fixture(scope="session")
def tiny_masked_roberta_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tiny experiment on raw texts and a RoBERTa, all stages done. To be read only: copy it to change it."""
    return run_on(tmp_path_factory, "tiny-masked-roberta", tiny_masked, tiny_roberta.write_preset)


@pytest.fixture(scope="session")
def tiny_masked_xlm_roberta_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same with an XLM-RoBERTa. To be read only: copy it to change it."""
    return run_on(
        tmp_path_factory,
        "tiny-masked-xlm-roberta",
        tiny_masked,
        partial(tiny_roberta.write_preset, name="xlm_roberta"),
    )


@pytest.fixture(scope="session")
def tiny_distilbert_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tiny experiment on a DistilBERT, all stages done. To be read only: copy it to change it."""
    return run_on(tmp_path_factory, "tiny-distilbert", tiny_bert, tiny_distilbert.write_preset)


@pytest.fixture(scope="session")
def tiny_distilbert_entity_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tiny experiment on entities and a DistilBERT, all stages done. To be read only: copy it to change it."""
    return run_on(tmp_path_factory, "tiny-distilbert-entities", tiny_entities, tiny_distilbert.write_preset)


@pytest.fixture(scope="session")
def load_masked_experiment(tmp_path_factory: pytest.TempPathFactory, tiny_preset: Path) -> Callable[..., Any]:
    """(overrides, …) → the tiny experiment's config on raw texts; its files are the same for all."""
    folder = build_once(
        tmp_path_factory,
        "masked-experiment",
        lambda folder: tiny_masked.write_experiment(folder, tiny_preset),
    )
    return make_loader(folder / "experiment.yaml")


@pytest.fixture(scope="session")
def tiny_masked_run(
    tmp_path_factory: pytest.TempPathFactory, load_masked_experiment: Callable[..., Any]
) -> Any:
    """The run folder of the tiny experiment on raw texts, all stages done. To be read only: copy it to change it."""
    return run_all(tmp_path_factory, "tiny-masked", load_masked_experiment())


@pytest.fixture(scope="session")
def tiny_new_masked_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same with a new net and a tokenizer of its own. To be read only: copy it to change it."""
    folder = build_once(
        tmp_path_factory, "new-masked-experiment", lambda folder: tiny_masked.write_experiment(folder, None)
    )
    return run_all(tmp_path_factory, "tiny-new-masked", make_loader(folder / "experiment.yaml")())


@pytest.fixture(scope="session")
def load_causal_experiment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """(overrides, …) → the config of the tiny experiment that learns to write; its files are the same for all."""
    folder = build_once(tmp_path_factory, "causal-experiment", tiny_causal.write_experiment)
    return make_loader(folder / "experiment.yaml")


@pytest.fixture(scope="session")
def tiny_causal_run(
    tmp_path_factory: pytest.TempPathFactory, load_causal_experiment: Callable[..., Any]
) -> Any:
    """The run folder of the tiny experiment that learns to write, all stages done. To be read only: copy it to change
    it."""
    return run_all(tmp_path_factory, "tiny-causal", load_causal_experiment())


@pytest.fixture(scope="session")
def tiny_completion_run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same on prompts and completions, with another new net and tokenizer. To be read only: copy it to change
    it."""
    folder = build_once(
        tmp_path_factory,
        "completion-experiment",
        lambda folder: tiny_causal.write_experiment(folder, "completion"),
    )
    return run_all(tmp_path_factory, "tiny-completions", make_loader(folder / "experiment.yaml")())


@pytest.fixture(scope="session")
def load_chat_experiment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """(overrides, …) → the config of the same on conversations, with a preset that has a chat template."""
    folder = build_once(tmp_path_factory, "chat-experiment", tiny_causal.write_chat_experiment)
    return make_loader(folder / "experiment.yaml")


@pytest.fixture(scope="session")
def load_image_experiment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """(overrides, …) → the config of the tiny experiment on pictures; its files are the same for all."""
    folder = build_once(tmp_path_factory, "image-experiment", tiny_images.write_experiment)
    return make_loader(folder / "experiment.yaml")


@pytest.fixture(scope="session")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Any], Any]:
    """(name, config) → its run folder, all stages done: the first of all workers to ask runs it."""
    return partial(run_all, tmp_path_factory)


@pytest.fixture(scope="session")
def tiny_image_run(
    tmp_path_factory: pytest.TempPathFactory, load_image_experiment: Callable[..., Any]
) -> Any:
    """The run folder of the tiny experiment on pictures, all stages done. To be read only: copy it to change it."""
    return run_all(tmp_path_factory, "tiny-images", load_image_experiment())


@pytest.fixture(scope="session")
def load_box_experiment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """(overrides, …) → the config of the tiny experiment on boxes; its files are the same for all."""
    folder = build_once(tmp_path_factory, "box-experiment", tiny_boxes.write_experiment)
    return make_loader(folder / "experiment.yaml")


@pytest.fixture(scope="session")
def tiny_box_run(tmp_path_factory: pytest.TempPathFactory, load_box_experiment: Callable[..., Any]) -> Any:
    """The run folder of the tiny experiment on boxes, all stages done. To be read only: copy it to change it."""
    return run_all(tmp_path_factory, "tiny-boxes", load_box_experiment())


@pytest.fixture(scope="session")
def load_entity_experiment(tmp_path_factory: pytest.TempPathFactory, tiny_preset: Path) -> Callable[..., Any]:
    """(overrides, …) → the config of the tiny experiment on entities; its files are the same for all."""
    folder = build_once(
        tmp_path_factory,
        "entity-experiment",
        lambda folder: tiny_entities.write_experiment(folder, tiny_preset),
    )
    return make_loader(folder / "experiment.yaml")


@pytest.fixture(scope="session")
def tiny_entity_run(
    tmp_path_factory: pytest.TempPathFactory, load_entity_experiment: Callable[..., Any]
) -> Any:
    """The run folder of the tiny experiment on entities, all stages done. To be read only: copy it to change it."""
    return run_all(tmp_path_factory, "tiny-entities", load_entity_experiment())


@pytest.fixture(scope="session")
def load_spot_experiment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """(overrides, …) → the config of the tiny experiment on pictures of several labels each."""
    folder = build_once(
        tmp_path_factory, "spot-experiment", lambda folder: tiny_spots.write_experiment(folder, 96)
    )
    return make_loader(folder / "spots.yaml")
