"""A task has no state after it is made: what a split settles goes through its feed or the training's phases."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from kerasft.data.prepared import load_prepared_dataset
from kerasft.progress import Silent
from kerasft.runs.folder import RunFolder
from kerasft.tasks.base import Phase, Task
from kerasft.tasks.image_classification.losses import compute_class_weights
from kerasft.training.trained import build_task, open_feed


def list_state(task: Task) -> dict[str, Any]:
    """The task's attributes, less what is worked out once of the others."""
    kind = type(task)
    return {
        name: vars(task)[name]
        for name in vars(task)
        if not isinstance(getattr(kind, name, None), cached_property)
    }


def list_contents(value: Any) -> Any:
    """What is in a container, or an object's attributes, by their identities: they may be changed in place.

    Nothing of a `tf.function`, which keeps the graphs it traced: its first call may come here, or was made in a test
    before, since equal decoders are one.
    """
    if isinstance(value, tf.types.experimental.PolymorphicFunction):
        return {}
    if isinstance(value, dict):
        return {name: id(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [id(part) for part in value]
    attributes = getattr(value, "__dict__", {})
    kept = {name: part for name, part in attributes.items() if not name.startswith("_self_")}
    return {name: id(part) for name, part in kept.items()}


def open_phases(task: Task, config: Any, run: RunFolder, cache: Path) -> list[Phase]:
    """All of a training's phases, on the run's data."""
    dataset = load_prepared_dataset(run.dataset)

    def open_split(name: str) -> Any:
        return open_feed(task, dataset, name, cache, Silent()) if name in dataset.splits else None

    model = task.build_model(seed=0, matmul_dtype="float32")
    return list(task.open_phases(model, config.train, open_split, seed=0, matmul_dtype="float32"))


@pytest.mark.parametrize(
    ("experiment", "run", "overrides"),
    [
        ("load_experiment", "tiny_run", ["model.adaptation=head"]),
        ("load_image_experiment", "tiny_image_run", ["task.class_weights=balanced", "train.head.epochs=1"]),
        ("load_box_experiment", "tiny_box_run", ["train.head.epochs=1"]),
    ],
    ids=["texts", "pictures", "boxes"],
)
def test_opening_feeds_and_phases_leaves_a_task_as_it_was(
    experiment: str, run: str, overrides: list[str], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    config = request.getfixturevalue(experiment)(*overrides)
    dataset = load_prepared_dataset(request.getfixturevalue(run).dataset)
    task = build_task(config, dataset.label_names, config.model.resolve().path)
    before = list_state(task)
    inside = {name: list_contents(value) for name, value in before.items()}
    assert before
    phases = open_phases(task, config, request.getfixturevalue(run), tmp_path)
    after = list_state(task)
    assert set(after) == set(before)
    assert all(after[name] is before[name] for name in before)
    assert {name: list_contents(value) for name, value in after.items()} == inside
    if experiment == "load_image_experiment":
        weights = compute_class_weights(dataset.split("train").column("label"), len(dataset.label_names))
        np.testing.assert_allclose([phase.loss.class_weights for phase in phases], [weights] * len(phases))
        assert task.loss().class_weights is None
