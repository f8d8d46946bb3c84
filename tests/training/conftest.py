"""Fixtures for trainings of a second or two."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def fit_tiny(tmp_path: Path, fit_in: Callable[..., Any]) -> Callable[..., Any]:
    """(overrides) → (result, run folder, task, feeds by split) of a training on the tiny experiment's data."""
    return partial(fit_in, tmp_path)


@pytest.fixture(scope="module")
def three_epochs(tmp_path_factory: pytest.TempPathFactory, fit_in: Callable[..., Any]) -> Any:
    """What `fit_tiny` gives of three epochs, of which the one of the least log loss is kept; to be read only."""
    return fit_in(tmp_path_factory.mktemp("three-epochs"), "train.epochs=3", "train.monitor=log_loss")


@pytest.fixture(scope="session")
def fit_in(
    tiny_run: Any, load_experiment: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Any]:
    """`fit_tiny`, but for the folder that its run folders stand in, which comes first."""
    import keras

    from kerasft.data.prepared import load_prepared_dataset
    from kerasft.models.fetching import resolve_preset
    from kerasft.progress import Silent
    from kerasft.runs.folder import RunFolder
    from kerasft.training.context import TrainingContext
    from kerasft.training.phases import train_phases
    from kerasft.training.precision import choose_precision
    from kerasft.training.trained import build_task, open_feed

    encoded = tmp_path_factory.mktemp("encoded")  # once for all trainings on the same texts

    def fit(place: Path, *overrides: str, validation: bool = True, folder: str = "run") -> Any:
        config = load_experiment(*overrides)
        keras.utils.set_random_seed(config.seed)
        dataset = load_prepared_dataset(tiny_run.dataset)
        run = RunFolder(place / folder)
        task = build_task(config, dataset.label_names, resolve_preset(config.model.preset))
        splits = ("train", "validation") if validation else ("train",)
        feeds = {split: open_feed(task, dataset, split, encoded, Silent()) for split in splits}
        precision = choose_precision(config.train.precision)
        model = task.build_model(seed=config.seed, matmul_dtype=precision.matmul_dtype)
        context = TrainingContext(task, dataset, config.train, run, config.seed, precision)
        result, _ = train_phases(context, model, feeds.get)
        return result, run, task, feeds

    return fit
