"""Fixtures for trainings of a second or two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def fit_tiny(tmp_path: Path, tiny_run: Any, load_experiment: Callable[..., Any]) -> Callable[..., Any]:
    """(overrides) → (result, run folder, task, feeds by split) of a training on the tiny experiment's data."""
    import keras

    from kerasft.data.prepared import load_prepared_dataset
    from kerasft.models.fetching import resolve_preset
    from kerasft.progress import Silent
    from kerasft.training.phases import train_phases
    from kerasft.training.precision import choose_precision
    from kerasft.training.run_folder import RunFolder
    from kerasft.training.trained import build_task, open_feed

    def fit(*overrides: str, validation: bool = True, folder: str = "run") -> Any:
        config = load_experiment(*overrides)
        keras.utils.set_random_seed(config.seed)
        dataset = load_prepared_dataset(tiny_run.dataset)
        run = RunFolder(tmp_path / folder)
        task = build_task(config, dataset.label_names, resolve_preset(config.model.preset))
        splits = ("train", "validation") if validation else ("train",)
        feeds = {split: open_feed(task, dataset, split, run.cache, Silent()) for split in splits}
        precision = choose_precision(config.train.precision)
        model = task.build_model(seed=config.seed, matmul_dtype=precision.matmul_dtype)
        result, _ = train_phases(
            task, model, dataset, config.train, run, feeds.get, seed=config.seed, precision=precision
        )
        return result, run, task, feeds

    return fit
