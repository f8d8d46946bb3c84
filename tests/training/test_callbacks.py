"""Our callbacks in a plain Keras `fit`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.errors import TrainingError
from kerasft.metrics.tally import Tally
from kerasft.progress import Silent, SilentBar
from kerasft.training import callbacks
from kerasft.training.callbacks import EpochCounter, StepLoss, StopAfter, Throughput
from kerasft.training.history import History, ShowProgress
from kerasft.training.selection import BestWeights, ValidationFigures

SIZES = [4, 4, 1, 4, 3]


def build_model(learning_rate: float = 0.0) -> keras.Model:
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")(inputs))
    model.compile(keras.optimizers.SGD(learning_rate), "mse", jit_compile=False)
    return model


def build_batches(values: np.ndarray | None = None) -> tuple[tf.data.Dataset, list[float]]:
    """Batches of unequal size, and the mean squared error of each where the weight is 1 and targets are 0."""
    values = np.random.default_rng(0).standard_normal(sum(SIZES)) if values is None else values
    parts = np.split(values.astype(np.float32), np.cumsum(SIZES)[:-1])
    dataset = tf.data.Dataset.from_generator(
        lambda: ((part[:, None], np.zeros((len(part), 1), np.float32)) for part in parts),
        output_signature=(tf.TensorSpec((None, 1)), tf.TensorSpec((None, 1))),
    )
    return dataset.apply(tf.data.experimental.assert_cardinality(len(SIZES))), [
        float(np.mean(part**2)) for part in parts
    ]


class Collect(keras.callbacks.Callback):
    def __init__(self, read):
        super().__init__()
        self.read, self.values = read, []

    def on_train_batch_end(self, batch, logs=None):
        self.values.append(self.read())


def test_each_steps_loss_is_recovered_whatever_the_batches_sizes() -> None:
    dataset, expected = build_batches()
    step_loss = StepLoss(batch_sizes=lambda step: SIZES[step])
    collect = Collect(lambda: step_loss.value)
    build_model().fit(dataset, epochs=2, verbose=0, callbacks=[step_loss, collect])
    np.testing.assert_allclose(collect.values, expected * 2, rtol=1e-5)


def test_a_loss_that_is_not_finite_stops_and_names_the_batch() -> None:
    values = np.ones(sum(SIZES))
    values[9] = np.nan
    dataset, _ = build_batches(values)
    step_loss = StepLoss(lambda step: [f"train.csv:{row}" for row in range(SIZES[step])])
    collect = Collect(lambda: step_loss.value)
    with pytest.raises(TrainingError, match="not finite in epoch 1, step 4") as caught:
        build_model().fit(dataset, epochs=3, verbose=0, callbacks=[step_loss, collect])
    assert "train.csv:0, train.csv:1, train.csv:2, train.csv:3" in caught.value.what
    assert "learning_rate" in str(caught.value.fix)
    assert len(collect.values) == 3
    assert caught.value.exit_code == 5


def test_of_a_large_batch_eight_examples_are_named() -> None:
    step_loss = StepLoss(lambda step: [f"a:{row}" for row in range(20)])
    step_loss.on_epoch_begin(4)
    with pytest.raises(TrainingError) as caught:
        step_loss.on_train_batch_end(0, {"loss": math.inf})
    assert caught.value.what.startswith("the loss is not finite in epoch 5, step 1")
    assert caught.value.what.endswith("; the batch's examples: a:0, a:1, a:2, a:3, a:4, a:5, a:6, a:7, …")


class SetWeight(keras.callbacks.Callback):
    """Gives the one weight a value for each epoch, and the logs a figure."""

    def __init__(self, figures):
        super().__init__()
        self.figures = figures

    def on_epoch_end(self, epoch, logs=None):
        self.model.weights[0].assign([[float(epoch)]])
        logs["val_score"] = self.figures[epoch]


@pytest.mark.parametrize(
    ("figures", "higher", "best"),
    [
        ([0.1, 0.9, 0.5], True, 1),
        ([0.4, 0.9, 0.5], False, 0),
        ([0.5, 0.5, 0.5], True, 0),
        ([math.nan, 0.2, math.nan], True, 1),
        ([0.3, math.inf, 0.1], False, 2),
    ],
)
def test_the_best_epochs_weights_come_back_and_not_the_lasts(figures, higher, best) -> None:
    model, keep = build_model(), BestWeights("val_score", higher)
    model.fit(build_batches()[0], epochs=3, verbose=0, callbacks=[SetWeight(figures), keep])
    model.weights[0].assign([[99.0]])
    assert keep.restore()
    assert model.weights[0].numpy().item() == best
    assert (keep.epoch, keep.value) == (best, figures[best])


def test_without_a_finite_figure_nothing_is_restored() -> None:
    model, keep = build_model(), BestWeights("val_score", True)
    model.fit(build_batches()[0], verbose=0, callbacks=[SetWeight([math.nan]), keep])
    assert not keep.restore()
    assert model.weights[0].numpy().item() == 0


def test_training_stops_after_a_number_of_steps_and_ends_the_epoch() -> None:
    counter, steps = EpochCounter(), Collect(lambda: 1)
    callbacks = [StopAfter(7, len(SIZES)), counter, steps]
    build_model().fit(build_batches()[0], epochs=5, verbose=0, callbacks=callbacks)
    assert len(steps.values) == 7
    assert counter.epochs == 2


class Fixed(Tally):
    """A tally with figures that were known before."""

    def __init__(self, figures: dict[str, float]):
        self.known = figures

    def __len__(self) -> int:
        return 1

    def add(self, numbers, outputs, references) -> None:
        pass

    def merge(self, other) -> None:
        pass

    def compute_figures(self, *, bootstrap_samples: int = 0, seed: int = 0):
        return {name: {"value": value} for name, value in self.known.items()}


def test_validation_figures_reach_the_callbacks_after_them() -> None:
    model, measured = build_model(), Fixed({"sum": 3.0, "examples": 2})
    figures = ValidationFigures(lambda: (measured, {1: 2.0}), ["sum"])
    history = model.fit(build_batches()[0], epochs=2, verbose=0, callbacks=[figures])
    assert history.history["val_sum"] == [3.0, 3.0]
    assert "val_examples" not in history.history
    assert figures.tally is measured
    assert figures.shown == {1: 2.0}


def test_throughput_leaves_out_the_first_step_and_the_time_between_epochs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 100.0
    monkeypatch.setattr(callbacks, "time", SimpleNamespace(perf_counter=lambda: now))
    throughput = Throughput(lambda step: SIZES[step])
    assert throughput.examples_per_second == 0.0

    class Wait(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            nonlocal now
            now += 0.25

        def on_epoch_end(self, epoch, logs=None):
            nonlocal now
            now += 64.0

    build_model().fit(build_batches()[0], epochs=2, verbose=0, callbacks=[throughput, Wait()])
    assert throughput.examples == 2 * sum(SIZES) - SIZES[0]
    assert throughput.seconds == 0.25 * (2 * len(SIZES) - 1)
    assert throughput.examples_per_second == throughput.examples / throughput.seconds


def test_history_has_a_line_every_few_steps_and_one_after_each_epoch(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "metrics.jsonl"
    measured = Fixed({"accuracy": np.float32(0.5), "bad": math.nan})
    figures = ValidationFigures(lambda: (measured, {}), ["accuracy", "bad"])
    history = History(path, 3, lambda: {"loss": np.float32(0.25), "learning_rate": 0.1})
    build_model().fit(build_batches()[0], epochs=2, verbose=0, callbacks=[figures, history])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["step"], line["epoch"]) for line in lines] == [
        *((1, 1), (3, 1), (5, 1)),
        *((6, 2), (9, 2), (10, 2)),
    ]
    assert lines[0] == {"step": 1, "epoch": 1, "loss": 0.25, "learning_rate": 0.1}
    assert lines[2]["validation_accuracy"] == 0.5
    assert "train_loss" in lines[2]
    assert "validation_bad" not in lines[2]  # JSON has no NaN


class Remembering(Silent):
    def __init__(self):
        self.notes, self.done, self.open = [], [], 0

    def note(self, message):
        self.notes.append(message)

    def bar(self, description, total, unit="rows"):
        outer = self

        class Bar(SilentBar):
            def __enter__(self):
                outer.open += 1
                return self

            def __exit__(self, *exception):
                outer.open -= 1

            def advance(self, amount=1, **figures):
                outer.done.append((amount, total, figures["loss"]))

        return Bar()


def test_progress_counts_examples_and_tells_each_epoch() -> None:
    progress, step_loss = Remembering(), StepLoss(batch_sizes=lambda step: SIZES[step])
    show = ShowProgress(progress, 2 * sum(SIZES), lambda step: SIZES[step], step_loss, 2)
    build_model().fit(build_batches()[0], epochs=2, verbose=0, callbacks=[step_loss, show])
    assert sum(amount for amount, _, _ in progress.done) == 2 * sum(SIZES)
    assert {total for _, total, _ in progress.done} == {2 * sum(SIZES)}
    assert progress.open == 0
    assert [note.split(":")[0] for note in progress.notes] == ["Epoch 1 of 2", "Epoch 2 of 2"]
    show.close()
    assert progress.open == 0


def test_an_epochs_line_tells_the_figure_that_chooses_the_epoch() -> None:
    progress = Remembering()
    show = ShowProgress(progress, 1, lambda step: 1, StepLoss(), 1, monitor="f1")
    show.on_epoch_end(0, {"loss": 0.5, "val_f1": 0.25, "val_macro_f1": 0.125})
    assert progress.notes == ["Epoch 1 of 1: loss 0.5000, validation f1 0.2500, validation macro f1 0.1250"]


def test_the_latest_epoch_within_the_error_of_the_best_is_kept() -> None:
    model, keep = build_model(), BestWeights("val_accuracy", True, lambda value: 0.01)
    keep.set_model(model)
    kept = []
    for epoch, value in enumerate((0.70, 0.80, 0.795, 0.785, 0.792, 0.789)):
        keep.on_epoch_end(epoch, {"val_accuracy": value})
        kept.append(keep.epoch)
    # measured against the best so far, not against the one kept: it cannot drift
    assert kept == [0, 1, 2, 2, 4, 4]
    assert (keep.best, keep.value) == (0.80, 0.792)
