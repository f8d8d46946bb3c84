"""What TensorBoard finds in a run's logs."""

from __future__ import annotations

import json

import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from kerasft.training.tensorboard import TensorBoardLog


def read_events(folder) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder), {"tensors": 0})
    accumulator.Reload()
    return accumulator


def read_scalars(folder, tag: str) -> dict[int, float]:
    events = read_events(folder).Tensors(tag)
    return {event.step: float(tf.make_ndarray(event.tensor_proto)) for event in events}


def test_steps_tell_loss_rate_gradient_speed_and_padding(tiny_run) -> None:
    tags = set(read_events(tiny_run.logs / "train").Tags()["tensors"])
    names = ("loss", "learning_rate", "gradient_norm", "examples_per_second", "padding_share")
    assert {f"step/{name}" for name in names} <= tags
    assert {"epoch/loss", "epoch/accuracy"} <= tags
    losses = read_scalars(tiny_run.logs / "train", "step/loss")
    assert list(losses) == list(range(1, 33))  # 64 examples in batches of 8, 4 epochs
    assert losses[32] < losses[1]
    norms = read_scalars(tiny_run.logs / "train", "step/gradient_norm")
    assert min(norms.values()) > 0


def test_the_history_and_the_event_files_agree(tiny_run) -> None:
    losses = read_scalars(tiny_run.logs / "train", "step/loss")
    lines = [line for line in tiny_run.read_history() if "loss" in line]
    assert {line["step"]: line["loss"] for line in lines} == pytest.approx(losses, rel=1e-6)


def test_validation_has_figures_texts_and_pictures_after_each_epoch(tiny_run) -> None:
    events = read_events(tiny_run.logs / "validation")
    tags = set(events.Tags()["tensors"])
    assert {"epoch/accuracy", "epoch/log_loss", "epoch/macro_f1"} <= tags
    assert list(read_scalars(tiny_run.logs / "validation", "epoch/accuracy")) == [8, 16, 24, 32]
    text = tf.make_ndarray(events.Tensors("validation_examples")[-1].tensor_proto).item().decode()
    assert "|" in text
    assert "liked" in text
    width, height, png = tf.make_ndarray(events.Tensors("confusion_matrix")[-1].tensor_proto)[:3]
    assert tf.io.decode_png(png).shape[:2] == (int(height), int(width))


def test_the_hparams_page_has_the_settings(tiny_run) -> None:
    events = read_events(tiny_run.logs / "validation")
    data = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = plugin_data_pb2.HParamsPluginData.FromString(data).session_start_info.hparams
    assert hparams["batch_size"].number_value == 8
    assert hparams["optimizer"].string_value == "adamw"


def test_the_rate_rises_and_falls_as_planned(tiny_run) -> None:
    rates = read_scalars(tiny_run.logs / "train", "step/learning_rate")
    assert max(rates.values()) <= 5e-3 * (1 + 1e-6)
    assert rates[32] < 0.1 * max(rates.values())
    assert json.dumps(list(rates)) == json.dumps(sorted(rates))


@pytest.mark.parametrize(
    ("epochs", "drawn"), [(1, [1]), (4, [1, 2, 3, 4]), (6, [2, 4, 6]), (25, [5, 10, 15, 20, 25])]
)
def test_few_epochs_are_drawn_the_last_among_them(tmp_path, epochs: int, drawn: list[int]) -> None:
    asked = []
    log = TensorBoardLog(tmp_path, 10, dict, images=lambda: asked.append(epoch + 1) or {})
    log.set_params({"epochs": epochs})
    for epoch in range(epochs):
        log.on_epoch_end(epoch)
    log.close()
    assert asked == drawn
