"""The figure by which an epoch is chosen: computed after every epoch, for every task."""

from __future__ import annotations

import math
from pathlib import Path

import keras
import numpy as np
import pytest

from kerasft.data.feed import Feed
from kerasft.errors import ConfigError
from kerasft.runs.folder import RunFolder
from kerasft.stages.finetune import finetune
from kerasft.stages.prepare import prepare
from kerasft.training.selection import EarlyStopping


def test_with_entities_the_loss_chooses_the_epoch_and_stops_the_training(
    load_entity_experiment, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    config = load_entity_experiment(
        "train.monitor=loss", "train.early_stopping={patience: 1}", "train.epochs=6", "train.schedule.type=constant",
        # so large a rate that it soon gets worse
        "train.optimizer.learning_rate=0.1",
    )  # fmt: skip
    prepare(config, run)
    finetune(config, run)
    losses = [row["validation_log_loss"] for row in run.read_history() if "validation_log_loss" in row]
    assert all(map(math.isfinite, losses))
    figures = run.read_metrics()["finetune"]["train"]
    assert figures["best_epoch"]["value"] == int(np.argmin(losses)) + 1
    assert len(losses) == figures["epochs"]["value"] == figures["best_epoch"]["value"] + 1 < 6


def test_a_figure_that_the_validation_split_leaves_undefined_is_refused(fit_tiny, monkeypatch) -> None:
    from kerasft.tasks.text_feed import TextFeed

    monkeypatch.setattr(TextFeed, "get_reference", lambda feed, example: np.int32(0))
    assert issubclass(TextFeed, Feed)
    with pytest.raises(ConfigError, match="the validation split has no roc_auc") as caught:
        fit_tiny("train.monitor=roc_auc")
    assert caught.value.where == "train.monitor"


def test_an_epoch_that_leaves_the_figure_undefined_is_no_improvement() -> None:
    stopping = EarlyStopping("val_precision", patience=2, mode="max")
    model = keras.Sequential()
    model.stop_training = False
    stopping.set_model(model)
    stopping.on_train_begin()
    for epoch, logs in enumerate([{}, {"val_precision": 0.5}, {}, {"val_precision": 0.4}]):
        assert not stopping.model.stop_training
        stopping.on_epoch_end(epoch, logs)
    assert stopping.model.stop_training
    assert stopping.best == 0.5
