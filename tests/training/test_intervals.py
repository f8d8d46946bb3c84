"""`train.validate_every_steps`: it changes what is measured and kept, and not what is learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kerasft.data.intervals import IntervalStream
from kerasft.errors import ConfigError
from kerasft.models.adaptation.config import GradualConfig
from kerasft.runs.folder import RunFolder
from kerasft.stages.verify_resume import verify_resume
from kerasft.training.config import ImageTrainConfig, TrainConfig
from kerasft.training.fit import make_train_stream
from kerasft.training.resume.checkpoint_files import find_checkpoint, list_steps
from kerasft.training.resume.state import name_weights, take_snapshot

STEPS_PER_EPOCH = 8


def list_validations(run: RunFolder) -> list[dict[str, Any]]:
    return [row for row in run.read_history() if any(name.startswith("validation_") for name in row)]


def read_weights(result: Any) -> dict[str, np.ndarray]:
    return take_snapshot(name_weights(result.model))


def test_the_batches_are_those_of_the_epochs_one_after_another(fit_tiny) -> None:
    _, _, _, feeds = fit_tiny("train.epochs=1", "train.max_steps=1")
    config = TrainConfig(batch_size=8)
    whole, again = (make_train_stream(feeds["train"], config, 3, 0) for _ in range(2))
    assert len(whole) == STEPS_PER_EPOCH
    stream = IntervalStream(again, 5)
    assert len(stream) == 5
    for number in range(3 * STEPS_PER_EPOCH):
        whole.epoch, step = number // STEPS_PER_EPOCH, number % STEPS_PER_EPOCH
        stream.epoch = number // 5
        assert stream.locate(number // 5, number % 5) == (whole.epoch, step)
        assert stream.plan.batches[number % 5].tolist() == whole.plan.batches[step].tolist()
        expected, found = whole.batch(step), stream.batch(number % 5)
        for name, array in expected.items():
            np.testing.assert_array_equal(found[name], array)
    # from the middle, as a resumed pass begins
    stream.seek(2, 3)
    first = next(iter(stream.dataset()))[0]["token_ids"].numpy()
    whole.epoch = 1
    np.testing.assert_array_equal(first, whole.batch(5)["token_ids"])


def test_an_interval_as_long_as_an_epoch_learns_and_keeps_the_same(fit_tiny) -> None:
    course = ("train.epochs=3", "train.batch_size=8", "train.monitor=log_loss")
    one, run, _, _ = fit_tiny(*course, folder="epochs")
    other, other_run, _, _ = fit_tiny(
        *course, f"train.validate_every_steps={STEPS_PER_EPOCH}", folder="steps"
    )
    for (name, value), found in zip(read_weights(one).items(), read_weights(other).values(), strict=True):
        np.testing.assert_array_equal(value, found, err_msg=name)
    assert other.best_step == one.best_step
    assert (one.best_epoch, other.best_epoch) == (one.best_step // STEPS_PER_EPOCH - 1, None)
    assert (one.epochs, one.steps) == (other.epochs, other.steps)
    assert one.padding_share == other.padding_share
    times = ("examples_per_second",)
    rows = [[{k: v for k, v in row.items() if k not in times} for row in each.read_history()]
            for each in (run, other_run)]  # fmt: skip
    assert rows[0] == rows[1]


def test_the_best_of_all_validations_is_kept_and_the_last_step_is_measured(fit_tiny) -> None:
    changes = ("train.epochs=2", "train.batch_size=8", "train.monitor=log_loss", "train.checkpoint.keep=99")
    result, run, _, _ = fit_tiny(*changes, "train.validate_every_steps=3")
    rows = list_validations(run)
    assert [(row["step"], row["epoch"]) for row in rows] == [
        (3, 1),
        (6, 1),
        (9, 2),
        (12, 2),
        (15, 2),
        (16, 2),
    ]
    assert list_steps(run.checkpoints / "finetune") == [3, 6, 9, 12, 15, 16]
    best = min(rows, key=lambda row: row["validation_log_loss"])
    assert (result.best_step, result.best_value) == (best["step"], pytest.approx(best["validation_log_loss"]))
    assert (result.steps, result.epochs, result.best_epoch) == (16, 2, None)
    # what was learned is what is learned without
    _, plain, _, _ = fit_tiny(*changes, folder="plain")
    last, other = (find_checkpoint(each.checkpoints / "finetune") for each in (run, plain))
    assert last is not None
    assert other is not None
    for name, value in other.load_tensors("model/").items():
        np.testing.assert_array_equal(last.load_tensors("model/")[name], value, err_msg=name)


def test_early_stopping_counts_validations(fit_tiny) -> None:
    result, run, _, _ = fit_tiny(
        "train.epochs=9",
        "train.batch_size=8",
        "train.monitor=log_loss",
        "train.optimizer={type: adamw, learning_rate: 1.0e-12}",
        "train.early_stopping={patience: 2, min_delta: 0.1}",
        "train.validate_every_steps=3",
    )
    assert [row["step"] for row in list_validations(run)] == [3, 6, 9]
    assert result.stopped == "no improvement of log_loss in 2 validations"
    assert result.steps == 9


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_bit(load_experiment, tmp_path: Path) -> None:
    config = load_experiment(
        "train.batch_size=8",
        "train.validate_every_steps=5",
        "train.optimizer={type: adamw, learning_rate: 0.003, use_ema: true, gradient_accumulation_steps: 2}",
    )
    verify_resume(config, RunFolder(tmp_path / "run"), steps=26, kills=3)


def test_it_needs_validation_examples_and_one_phase(fit_tiny) -> None:
    with pytest.raises(ConfigError, match=r"train\.validate_every_steps: validate every steps needs"):
        fit_tiny("train.validate_every_steps=3", validation=False)
    with pytest.raises(ValueError, match="gradual goes by epochs"):
        TrainConfig(validate_every_steps=3).settle(GradualConfig(type="gradual"))
    with pytest.raises(ValueError, match="validated after each epoch"):
        ImageTrainConfig(validate_every_steps=3)
