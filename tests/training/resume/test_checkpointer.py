"""What a checkpoint holds, and `fit` going on in the middle of an epoch, on plain Keras models."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.errors import DataError
from kerasft.optimizers import AdamW
from kerasft.training.resume.checkpointer import CallbackSequence, Checkpointer, count_interval, skip_steps
from kerasft.training.resume.state import (
    build_all,
    name_variables,
    read_generators,
    restore_generators,
    restore_variables,
    take_snapshot,
)
from kerasft.training.selection import AveragedWeights

STEPS = 6


def build_model(**settings) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8,))
    x = keras.layers.Dense(200, activation="relu", name="hidden")(inputs)
    x = keras.layers.Dropout(0.3, seed=1, name="drop")(x)
    model = keras.Model(inputs, keras.layers.Dense(1, name="out")(x))
    model.compile(AdamW(0.01, **settings), "mse", metrics=["mae"], jit_compile=False)
    build_all(model, tf.zeros((1, 8)), tf.zeros((1, 1)))
    return model


def build_batches(start: int = 0) -> tf.data.Dataset:
    """Six batches, `start` of them not drawn: they stand at the end, to keep the count."""
    generator = np.random.default_rng(0)
    x = generator.standard_normal((STEPS, 4, 8)).astype(np.float32)
    y = generator.standard_normal((STEPS, 4, 1)).astype(np.float32)
    order = [min(i + start, STEPS - 1) for i in range(STEPS)]
    return tf.data.Dataset.from_tensor_slices((x[order], y[order]))


def read_all(model: keras.Model) -> dict[str, bytes]:
    return {name: value.tobytes() for name, value in take_snapshot(name_variables(model)).items()}


class Straight(NamedTuple):
    """An epoch without a break: what it was set to, its snapshots after 1, 2, … steps, its end and its history."""

    settings: dict[str, Any]
    snapshots: list[dict[str, np.ndarray]]
    end: dict[str, bytes]
    history: dict[str, list[float]]


@pytest.fixture(scope="module", params=[{}, {"gradient_accumulation_steps": 3}, {"global_clipnorm": 0.1}])
def straight(request: pytest.FixtureRequest) -> Straight:
    model = build_model(**request.param)
    snapshots: list[dict[str, np.ndarray]] = []

    class Keep(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            taken = take_snapshot(name_variables(self.model))
            snapshots.append({name: np.array(value) for name, value in taken.items()})

    history = model.fit(build_batches(), verbose=0, shuffle=False, callbacks=[Keep()]).history
    return Straight(request.param, snapshots, read_all(model), history)


def test_a_defect_of_a_callback_is_not_told_as_a_damaged_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def set_state(self, state: Any) -> None:
            raise TypeError("a defect")

    stream = SimpleNamespace(seek=lambda epoch, done: None)
    checkpointer = object.__new__(Checkpointer)
    for name, value in {
        "_writer": SimpleNamespace(), "_stream": stream, "_variables": {}, "_stateful": {"x": Broken()}, "_best": None,
    }.items():  # fmt: skip
        setattr(checkpointer, name, value)
    monkeypatch.setattr(Checkpointer, "_fingerprint_plan", lambda self: "")
    state: dict[str, Any] = {
        "epoch": 0,
        "steps_of_epoch": 0,
        "best_step": None,
        "plan": "",
        "callbacks": {"x": {}},
    }
    checkpoint: Any = SimpleNamespace(
        path=Path("checkpoints/3"), step=3, load_training_state=lambda: state, load_tensors=dict
    )
    with pytest.raises(TypeError, match="a defect"):
        checkpointer.restore(checkpoint)
    state["callbacks"] = {}
    with pytest.raises(DataError, match="checkpoints/3: is damaged: it lacks 'x'"):
        checkpointer.restore(checkpoint)


@pytest.mark.parametrize("steps", [1, 4, STEPS])
def test_fit_goes_on_in_the_middle_of_an_epoch_to_the_very_bits(steps: int, straight: Straight) -> None:
    kept = straight.snapshots[steps - 1]
    again = build_model(**straight.settings)
    variables = name_variables(again)
    restore_variables(variables, kept)
    seen: list[int] = []

    class RestoreMetrics(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            metrics = {name: v for name, v in variables.items() if name.startswith("metrics/")}
            restore_variables(metrics, {name: kept[name] for name in metrics})

        def on_train_batch_end(self, batch, logs=None):
            seen.append(batch)

    skip_steps(again, steps)
    history = again.fit(
        build_batches(steps),
        verbose=0,
        shuffle=False,
        callbacks=[CallbackSequence([RestoreMetrics()], steps)],
    )
    assert seen == list(range(steps, STEPS))
    assert history.history == straight.history
    assert read_all(again) == straight.end


def test_a_snapshot_stays_what_it_was_while_training_goes_on() -> None:
    model = build_model(use_ema=True)
    variables = name_variables(model)
    model.fit(build_batches(), verbose=0, shuffle=False)
    snapshot = take_snapshot(variables)
    before = {name: value.tobytes() for name, value in snapshot.items()}
    model.fit(build_batches(), epochs=3, verbose=0, shuffle=False)
    assert {name: value.tobytes() for name, value in snapshot.items()} == before
    changed = [name for name, value in read_all(model).items() if value != before[name]]
    assert {"model/hidden/kernel", "model/out/bias"} <= set(changed)


def test_names_do_not_depend_on_what_else_the_process_built() -> None:
    first = list(name_variables(build_model(use_ema=True)))
    for _ in range(3):
        keras.layers.Dropout(0.1)
        AdamW(0.1)
    second = list(name_variables(build_model(use_ema=True)))
    assert first == second
    assert len(first) == len(set(first))
    assert not [name for name in first if "_1" in name]
    assert any("seed_generator" in name for name in first)
    assert {name.split("/")[0] for name in first} == {"model", "optimizer", "metrics"}


def test_another_models_tensors_are_refused() -> None:
    variables = name_variables(build_model())
    tensors = take_snapshot(variables)
    with pytest.raises(DataError, match="it lacks model/out/bias"):
        restore_variables(variables, {n: v for n, v in tensors.items() if n != "model/out/bias"})
    with pytest.raises(DataError, match="it holds model/other"):
        restore_variables(variables, {**tensors, "model/other": np.zeros(1, np.float32)})
    with pytest.raises(DataError, match=r"model/out/bias has shape \(2,\)"):
        restore_variables(variables, {**tensors, "model/out/bias": np.zeros(2, np.float32)})


def test_pythons_and_numpys_generators_go_on_where_they_were() -> None:
    random.seed(5)
    np.random.seed(5)
    random.gauss(0, 1), np.random.standard_normal()  # both keep a second number for later
    states = read_generators()
    expected = [random.gauss(0, 1), random.random(), np.random.standard_normal(), np.random.rand()]
    random.seed(6)
    np.random.seed(6)
    restore_generators(states)
    assert [random.gauss(0, 1), random.random(), np.random.standard_normal(), np.random.rand()] == expected


def test_the_average_is_in_the_model_after_each_epoch_and_leaves_the_training_alone() -> None:
    plain = build_model(use_ema=True, ema_momentum=0.8)
    averages: list[np.ndarray] = []

    class Read(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            averages.append(self.model.optimizer._model_variables_moving_average[0].numpy())

    losses = plain.fit(build_batches(), epochs=3, verbose=0, shuffle=False, callbacks=[Read()]).history[
        "loss"
    ]
    swapped = build_model(use_ema=True, ema_momentum=0.8)
    seen: list[np.ndarray] = []

    class ReadModel(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(self.model.get_layer("hidden").kernel.numpy())

    history = swapped.fit(
        build_batches(), epochs=3, verbose=0, shuffle=False, callbacks=[AveragedWeights(), ReadModel()]
    )
    assert history.history["loss"] == losses
    for average, kernel in zip(averages, seen, strict=True):
        np.testing.assert_array_equal(average, kernel)
    np.testing.assert_array_equal(swapped.get_layer("hidden").kernel.numpy(), averages[-1])


@pytest.mark.parametrize("every_steps", [1, 2, 3, 10, 11, 50, 1000])
def test_the_interval_leaves_a_tenth_for_writing(every_steps: int) -> None:
    interval = count_interval(every_steps)
    assert 1 <= interval <= every_steps
    assert every_steps == 1 or every_steps - interval >= every_steps / 10
