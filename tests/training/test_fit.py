"""compile + fit on a tiny experiment: repeatable, with every optimizer, and honest about what went wrong."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from tolerances import needs_bfloat16

from kerasft.data.prepared import load_prepared_dataset
from kerasft.data.streams import collect_outputs, make_stream
from kerasft.errors import ConfigError, TrainingError
from kerasft.runs.folder import RunFolder
from kerasft.stages.finetune import finetune
from kerasft.stages.predict import Predictor
from kerasft.training.fit import check_inputs

CONSTANT = "train.schedule={type: constant}"


def read_losses(run: RunFolder) -> list[float]:
    return [line["loss"] for line in run.read_history() if "loss" in line]


def measure(result, task, feeds) -> dict[str, float]:
    feed, tally = feeds["validation"], task.open_tally()
    for number, output in enumerate(collect_outputs(feed, task.build_step(result.model))):
        tally.add([number], [output], [feed.get_reference(number)])
    return {name: figure["value"] for name, figure in tally.compute_figures().items()}


def test_one_seed_gives_one_training_bit_for_bit_and_the_best_epoch_is_kept(fit_tiny, three_epochs) -> None:
    first, run, task, feeds = three_epochs
    again, other_run, *_ = fit_tiny("train.epochs=3", "train.monitor=log_loss")
    assert read_losses(run) == read_losses(other_run)
    for a, b in zip(first.model.weights, again.model.weights, strict=True):
        assert a.numpy().tobytes() == b.numpy().tobytes(), a.path
    by_epoch = [line["validation_log_loss"] for line in run.read_history() if "validation_log_loss" in line]
    assert len(by_epoch) == first.epochs == 3
    assert first.best_value == min(by_epoch)
    assert first.best_epoch == int(np.argmin(by_epoch))
    assert first.best_step == 8 * (first.best_epoch + 1)
    assert measure(first, task, feeds)["log_loss"] == pytest.approx(first.best_value, rel=1e-6)
    assert first.stopped is None
    assert 0 < first.padding_share < 0.5
    assert first.examples_per_second > 0


def test_the_moving_average_is_what_is_measured_and_kept(fit_tiny, three_epochs) -> None:
    plain, plain_run, *_ = three_epochs
    averaged, run, task, feeds = fit_tiny(
        "train.epochs=3",
        "train.monitor=log_loss",
        "train.optimizer.use_ema=true",
        "train.optimizer.ema_momentum=0.8",
    )
    np.testing.assert_allclose(read_losses(run), read_losses(plain_run), rtol=1e-4)  # learns all the same
    assert abs(averaged.best_value - plain.best_value) > 1e-3
    assert measure(averaged, task, feeds)["log_loss"] == pytest.approx(averaged.best_value, rel=1e-6)


def test_gradient_descent_learns_and_the_lowest_layers_learn_slowest(fit_tiny) -> None:
    result, _, task, _ = fit_tiny(
        "train.optimizer={type: gradient_descent, learning_rate: 0.3, layer_decay: 0.001}",
        CONSTANT,
        "train.epochs=2",
    )
    start = task.build_model(seed=0, matmul_dtype="float32")
    moved = {
        after.path: float(np.abs(after.numpy() - before.numpy()).max())
        for after, before in zip(result.model.trainable_variables, start.trainable_variables, strict=True)
    }
    top = next(value for path, value in moved.items() if path.startswith("logits/kernel"))
    assert top > 1e-3
    assert all(value < 1e-4 * top for path, value in moved.items() if path.startswith("embeddings/"))


def test_any_of_keras_optimizers_learns_and_training_stops_early(fit_tiny) -> None:
    result, run, *_ = fit_tiny(
        "train.optimizer={type: keras, class_name: RMSprop, learning_rate: 0.003}",
        CONSTANT,
        "train.epochs=30",
        "train.early_stopping={patience: 2}",
    )
    assert np.mean(read_losses(run)[-8:]) < 0.5 * read_losses(run)[0]
    assert result.best_value == 1.0
    assert result.epochs == result.best_epoch + 3 < 30
    assert result.stopped == "no improvement of accuracy in 2 epochs"


def test_a_loss_that_is_not_finite_names_examples_and_leaves_finite_weights(fit_tiny) -> None:
    result, _, task, _ = fit_tiny(
        "train.optimizer={type: gradient_descent, learning_rate: 1.0e+30}", CONSTANT, validation=False
    )
    assert isinstance(result.error, TrainingError)
    assert result.epochs == 0
    assert result.error.what.count("train.jsonl:") == 8  # file:row for each example of the batch
    start = task.build_model(seed=0, matmul_dtype="float32")
    for kept, first in zip(result.model.weights, start.weights, strict=True):
        np.testing.assert_array_equal(kept.numpy(), first.numpy(), err_msg=kept.path)


@pytest.mark.parametrize("precision", [pytest.param("mixed_bfloat16", marks=needs_bfloat16), "mixed_float16"])
@pytest.mark.slow
def test_narrow_products_learn_as_well(fit_tiny, precision) -> None:
    result, _, task, feeds = fit_tiny(f"train.precision={precision}")
    assert measure(result, task, feeds)["accuracy"] == 1.0
    assert {variable.dtype for variable in result.model.trainable_variables} == {"float32"}


@pytest.mark.slow
def test_layers_computed_twice_learn_the_same_with_gradients_accumulated_too(fit_tiny) -> None:
    settings = ("train.optimizer.gradient_accumulation_steps=3", "train.epochs=2")
    once, run, *_ = fit_tiny(*settings, folder="once")
    twice, run_of_twice, *_ = fit_tiny(*settings, "train.remat=true", folder="twice")
    np.testing.assert_allclose(read_losses(run_of_twice), read_losses(run), rtol=1e-5)
    for a, b in zip(once.model.weights, twice.model.weights, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-4, err_msg=a.path)
    layers = twice.model.get_layer("fast_bert_encoder").layers
    assert sum(getattr(layer, "remat", False) for layer in layers) == 2


def test_nets_of_pictures_refuse_to_be_computed_twice(load_image_experiment) -> None:
    assert load_image_experiment("train.remat=false").train.remat is False
    with pytest.raises(ConfigError, match=r"train\.remat=true: remat is for text encoders only"):
        load_image_experiment("train.remat=true")


def test_more_accumulation_than_batches_is_refused_before_texts_are_encoded_or_a_training_removed(
    tiny_run, load_experiment, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "run")
    shutil.copytree(tiny_run.path, run.path, ignore=shutil.ignore_patterns("cache"))
    # 4 epochs of 8 batches
    config = load_experiment("train.optimizer.gradient_accumulation_steps=33")
    with pytest.raises(ConfigError, match="only 32 batches in all") as caught:
        finetune(config, run, restart=True)
    assert caught.value.where == "train.optimizer.gradient_accumulation_steps"
    assert not run.cache.exists()
    assert run.model.exists()
    with pytest.raises(ConfigError, match=r"gradient_accumulation_steps \(25\) is more than max_steps \(9\)"):
        load_experiment("train.optimizer.gradient_accumulation_steps=25", "train.max_steps=9")


def test_batches_left_at_the_end_are_learned_from_before_the_last_epoch_is_measured(fit_tiny) -> None:
    # one epoch of 8 batches: one update of 5, one of 3
    settings = ("train.optimizer.gradient_accumulation_steps=5", "train.epochs=1", CONSTANT)
    result, _, task, feeds = fit_tiny(*settings)
    assert int(result.model.optimizer.iterations) == 2
    assert measure(result, task, feeds)["accuracy"] == result.best_value


def test_exceptions_for_variables_that_are_not_there_are_refused(fit_tiny) -> None:
    groups = "[{match: logits, weight_decay: 0}, {match: nowhere, weight_decay: 0}]"
    with pytest.raises(ConfigError, match="no variable's path matches 'nowhere'") as caught:
        fit_tiny(f"train.optimizer={{type: adamw, learning_rate: 0.01, groups: {groups}}}")
    assert caught.value.where == "train.optimizer.groups[1].match"
    assert "kernel" in str(caught.value.fix)


def test_stopping_early_needs_a_validation_split(fit_tiny) -> None:
    with pytest.raises(ConfigError, match="needs a validation split") as caught:
        fit_tiny("train.early_stopping={patience: 1}", validation=False)
    assert caught.value.where == "train.early_stopping"


def test_a_feed_with_shuffled_labels_hands_out_those_in_place_of_its_own(tiny_run) -> None:
    from kerasft.progress import Silent
    from kerasft.training.trained import load_trained, open_feed

    trained = load_trained(tiny_run)
    dataset = load_prepared_dataset(tiny_run.dataset)
    feed = open_feed(trained.task, dataset, "train", tiny_run.cache, Silent())
    shuffled = feed.shuffle_labels(0)
    stream = make_stream(shuffled, 8, shuffle=True)

    def read_labels(feed) -> np.ndarray:
        return np.array([feed.get_reference(number) for number in range(len(feed))])

    for (_, given), rows in zip(stream.dataset(), stream.plan.batches, strict=True):
        np.testing.assert_array_equal(given, read_labels(shuffled)[rows])
    labels, others = read_labels(feed), read_labels(shuffled)
    np.testing.assert_array_equal(others, read_labels(feed.shuffle_labels(0)))
    assert (others != read_labels(feed.shuffle_labels(1))).any()
    assert np.bincount(others).tolist() == np.bincount(labels).tolist()
    assert 0.2 < (others == labels).mean() < 0.8


@pytest.mark.slow
def test_ctrl_c_ends_with_130_and_a_usable_model(tmp_path: Path, tiny_preset: Path) -> None:
    import tiny_bert

    config = tiny_bert.write_experiment(tmp_path / "experiment", tiny_preset)
    run = RunFolder(tmp_path / "run")
    command = [sys.executable, "-m", "kerasft", "finetune", str(config), "train.epochs=100000"]
    process = subprocess.Popen(
        [*command, "--output", str(run.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if any(line.get("epoch", 0) >= 4 for line in run.read_history()):
            break
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=120)
    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert "model.keras" in told
    assert run.stage_record("finetune") == {}  # it is not done: the next run trains again
    assert run.read_metrics()["finetune"]["train"]["epochs"]["value"] >= 3
    answer = next(iter(Predictor(run).predict([{"text": "the film was good"}])))
    assert answer["label"] == "liked"


def test_max_steps_is_reached_whatever_the_epochs_are(fit_tiny) -> None:
    result, _, _, feeds = fit_tiny("train.epochs=1", "train.max_steps=9", "train.batch_size=16")
    per_epoch = -(-len(feeds["train"]) // 16)
    assert per_epoch < 9
    assert (result.steps, result.epochs) == (9, -(-9 // per_epoch))
    assert result.exhausted


def test_a_feed_that_gives_what_the_model_does_not_take_is_a_defect() -> None:
    inputs = {name: keras.Input((2,), name=name) for name in "ab"}
    model = keras.Model(inputs, keras.layers.Add()(list(inputs.values())))
    check_inputs(model, dict.fromkeys("ab"))
    with pytest.raises(
        TypeError, match=r"the feed gives \['a', 'b', 'c'\], and the model takes \['a', 'b'\]"
    ):
        check_inputs(model, dict.fromkeys("abc"))
