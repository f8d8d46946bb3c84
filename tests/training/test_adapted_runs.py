"""Adaptation in trainings from end to end: what learns by epoch, one schedule over all, adapters in the run folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tolerances import TINY_BERT

from kerasft.config.loading import InvalidConfig, load_config
from kerasft.data.prepared import load_prepared_dataset
from kerasft.data.streams import collect_outputs
from kerasft.errors import ConfigError
from kerasft.experiment import ExperimentConfig
from kerasft.models.adaptation.adapters import load_adapter
from kerasft.progress import Silent
from kerasft.runs.folder import RunFolder
from kerasft.stages.finetune import finetune
from kerasft.tasks.text_classification.task import TextClassification
from kerasft.tasks.text_encoder import TextEncoderTask
from kerasft.training.resume.checkpoint_files import find_checkpoint
from kerasft.training.resume.state import name_weights
from kerasft.training.trained import build_task, load_trained, open_feed


class Tables(Silent):
    """Keeps the tables that it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: dict[str, list[list[Any]]] = {}

    def table(self, title: str, columns: Any, rows: Any) -> None:
        self.shown[title] = [list(row) for row in rows]


@pytest.fixture
def train_tiny(
    tmp_path: Path, tiny_run: Any, load_experiment: Callable[..., Any]
) -> Callable[..., tuple[RunFolder, Tables]]:
    """(overrides, folder=…) → the run folder of a training on the tiny experiment's data, and what it showed."""
    import shutil

    def train(*overrides: str, folder: str = "run") -> tuple[RunFolder, Tables]:
        run, tables = RunFolder(tmp_path / folder), Tables()
        if not run.path.exists():
            run.path.mkdir()
            shutil.copytree(tiny_run.dataset, run.dataset)
        finetune(load_experiment(*overrides), run, tables)
        return run, tables

    return train


def read_phase(run: RunFolder, name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The state and the tensors of a phase's last checkpoint."""
    checkpoint = find_checkpoint(run.checkpoints / name)
    assert checkpoint is not None
    return checkpoint.load_state(), checkpoint.load_tensors()


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_a_head_on_kept_features_learns_what_it_learns_on_the_frozen_net(
    train_tiny, monkeypatch: pytest.MonkeyPatch, pooling: str
) -> None:
    settings = ["model.adaptation=head", f"task.pooling={pooling}", "train.epochs=2"]
    kept, tables = train_tiny(*settings, folder="kept")
    with monkeypatch.context() as patch:
        patch.setattr(TextClassification, "open_phases", TextEncoderTask.open_phases)
        plain, _ = train_tiny(*settings, folder="plain")

    assert (kept.path / "cache" / "train.features").is_dir()
    assert not (plain.path / "cache" / "train.features").exists()
    assert [row[0] for row in tables.shown["What learns"]] == ["head", "frozen"]
    weights, expected = (load_trained(run).model.get_weights() for run in (kept, plain))
    for ours, theirs in zip(weights, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=TINY_BERT)
    losses = [[row["loss"] for row in run.read_history() if "loss" in row] for run in (kept, plain)]
    np.testing.assert_allclose(*losses, atol=TINY_BERT)
    assert len(set(losses[0])) > 1


def test_a_head_on_kept_features_takes_remat_as_the_frozen_net_did(train_tiny) -> None:
    run, _ = train_tiny("model.adaptation=head", "train.remat=true", "train.epochs=1")
    assert (run.path / "model.keras").is_file()


@pytest.mark.slow
def test_gradual_goes_down_block_by_block_under_one_schedule(train_tiny) -> None:
    settings = ["train.schedule={type: linear, warmup: 0.25}", "train.keep_epoch=best"]
    run, tables = train_tiny("model.adaptation=gradual", *settings)
    assert list(tables.shown) == [
        "What learns from epoch 1 on",
        "What learns from epoch 2 on",
        "What learns from epoch 3 on",
        "What learns from epoch 4 on",
    ]
    assert [rows[-1][1] for rows in tables.shown.values()][:3] == [23968, 15424, 6880]
    assert "frozen" not in [row[0] for row in tables.shown["What learns from epoch 4 on"]]
    phases = [read_phase(run, name) for name in ("gradual-0", "gradual-1", "gradual-2", "finetune")]
    states = [state for state, _ in phases]
    moments = [{name for name in tensors if name.endswith("velocity")} for _, tensors in phases]
    assert [len(names) for names in moments] == [4, 16, 28, 33]
    assert [state["steps_before"] for state in states] == [0, 8, 16, 24]
    history = [row for row in run.read_history() if "learning_rate" in row]
    assert [row["step"] for row in history] == list(range(1, 33))
    rates = [row["learning_rate"] for row in history]
    expected = [5e-3 * min(step / 8, (32 - step) / 24) for step in range(32)]
    np.testing.assert_allclose(rates, expected, rtol=1e-5)
    plans = {state["plan"] for state in states}
    assert len(plans) == 4  # each epoch has an order of its own


@pytest.mark.slow
def test_gradual_publishes_the_best_epoch_of_all_and_goes_on_from_the_last(train_tiny) -> None:
    run, _ = train_tiny("model.adaptation={type: gradual, every_epochs: 2}", "train.keep_epoch=best")
    rows = [row for row in run.read_history() if "learning_rate" not in row]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    figures = run.read_metrics()["finetune"]["train"]
    accuracies = [row["validation_accuracy"] for row in rows]
    assert figures["best_epoch"]["value"] == 1 + int(np.argmax(accuracies))
    assert figures["epochs"]["value"] == 4
    over = find_checkpoint(run.checkpoints / "gradual-0.over")
    last = find_checkpoint(run.checkpoints / "gradual-0")
    assert over is not None
    assert last is not None
    ended, saved = over.load_tensors(), last.load_tensors()
    for name, value in ended.items():
        if name.startswith("model/"):
            np.testing.assert_array_equal(value, saved[name], err_msg=name)
    assert any(name.startswith("best/model/") for name in ended)


@pytest.mark.slow
def test_max_steps_ends_all_of_a_gradual_training(train_tiny) -> None:
    run, tables = train_tiny("model.adaptation=gradual", "train.max_steps=12")
    assert len(tables.shown) == 2
    steps = [row["step"] for row in run.read_history() if "learning_rate" in row]
    assert steps == list(range(1, 13))
    assert run.model.exists()


@pytest.mark.slow
def test_the_epochs_of_a_gradual_training_cannot_be_changed_later(train_tiny) -> None:
    train_tiny("model.adaptation=gradual", "train.epochs=2")
    with pytest.raises(ConfigError, match=r"train\.epochs: 2 → 3"):
        train_tiny("model.adaptation=gradual", "train.epochs=3")


def test_lora_leaves_its_adapter_in_the_run_folder_which_is_the_published_model(
    train_tiny, load_experiment
) -> None:
    run, tables = train_tiny("model.adaptation=lora", "train.optimizer.learning_rate=0.02", "train.epochs=2")
    rows = {row[0]: row[1:] for row in tables.shown["What learns"]}
    assert rows["adapters"] == [2048, "7.55%", 0.02, "0.01"]
    assert rows["frozen"][2:] == [None, None]
    learning = sum(row[0] for name, row in rows.items() if name != "frozen")
    share = learning / (learning + rows["frozen"][0])
    assert run.read_metrics()["finetune"]["train"]["learning_share"]["value"] == pytest.approx(share)
    names = ["adapter.json", "adapter.safetensors", "hashes.json"]
    assert sorted(path.name for path in run.adapter.iterdir()) == names
    assert run.adapter in run.list_trained()
    trained = load_trained(run)
    examples = load_prepared_dataset(run.dataset).split("test").take(np.arange(8))
    expected = [output["logits"] for output in trained.answer(examples)]
    config = load_experiment()
    task = build_task(config, trained.task.label_names, config.model.resolve().path)
    model = task.build_model(seed=5, matmul_dtype="float32")
    load_adapter(model, run.adapter)
    found = [output["logits"] for output in collect_outputs(task.make_feed(examples), task.build_step(model))]
    np.testing.assert_allclose(found, expected, atol=TINY_BERT)
    # the very bits that were trained
    checkpoint = find_checkpoint(run.checkpoints / "finetune")
    assert checkpoint is not None
    tensors = checkpoint.load_tensors("model/")
    for name, variable in name_weights(model).items():
        if "seed" not in name:
            np.testing.assert_array_equal(variable, tensors[name], err_msg=name)


@pytest.mark.slow
def test_an_adapter_learns_on_or_becomes_part_of_the_weights(train_tiny) -> None:
    lora = "model.adaptation={type: lora, rank: 4}"
    first, _ = train_tiny(lora, "train.epochs=1", folder="first")
    start = f"model.adapter={first.adapter}"
    again, _ = train_tiny(lora, start, "train.epochs=1", folder="again")
    assert again.adapter.exists()
    bits = [(run.adapter / "adapter.safetensors").read_bytes() for run in (first, again)]
    assert bits[0] != bits[1]
    whole, tables = train_tiny(start, "train.epochs=1", folder="whole")
    assert not whole.adapter.exists()
    assert "adapters" not in [row[0] for row in tables.shown["What learns"]]
    with pytest.raises(ConfigError, match="trained with rank 4, and would be trained further with 8"):
        train_tiny("model.adaptation=lora", start, folder="other")


def test_a_settled_config_is_settled_the_same_once_more(load_experiment, tmp_path: Path) -> None:
    from kerasft.config.loading import dump_config

    config = load_experiment("model.adaptation={type: layerwise, decay: 0.8}")
    assert config.train.optimizer.layer_decay == 0.8
    dump_config(config, tmp_path / "config.yaml")
    assert load_config(ExperimentConfig, tmp_path / "config.yaml").config == config


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["model.adaptation=loraa"],
            "expected one of full, head, gradual, layerwise, lora, bitfit; got 'loraa'; did",
        ),
        (["model.adaptation={type: lora, targets: [query, query]}"], "each target can be named only once"),
        (["model.adaptation={type: lora, rank: 0}"], "expected a whole number ≥ 1, got 0"),
        (["model.adaptation={type: head, rank: 4}"], "unknown key for type: head"),
        (["model.adaptation=lora", "model.random_weights=true"], "random_weights is true"),
        (["model.adaptation={type: gradual, every_epochs: 4}"], "only the head would be trained"),
        (
            ["model.adaptation=layerwise", "train.optimizer.layer_decay=0.5"],
            "sets train.optimizer.layer_decay, which is given as well (0.5)",
        ),
        (
            [
                "model.adaptation=layerwise",
                "train.optimizer={type: keras, class_name: Lion, learning_rate: 1e-4}",
            ],
            "Keras' own optimizers do not have",
        ),
    ],
)
def test_contradictions_are_refused(overrides: list[str], said: str, load_experiment) -> None:
    with pytest.raises(InvalidConfig) as caught:
        load_experiment(*overrides)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["model.adaptation=lora"], "`lora` is for text encoders"),
        (["model.adaptation={type: bitfit}"], "the convolutions of image nets have no biases"),
        (["model.adaptation=head"], "train.epochs (2) counts passes in which the net learns too"),
        (["model.adaptation=head", "train.head=null"], "train.head: null leaves"),
        (
            ["model.adaptation=head", "train.epochs=0", "train.unfreeze=0.5"],
            "train.unfreeze (0.5) says how much",
        ),
    ],
)
def test_contradictions_are_refused_for_pictures(
    overrides: list[str], said: str, load_image_experiment
) -> None:
    with pytest.raises(InvalidConfig) as caught:
        load_image_experiment(*overrides)
    assert said in str(caught.value)


@pytest.mark.slow
def test_a_picture_net_is_unfrozen_block_by_block_to_where_unfreeze_says(
    load_image_experiment, tiny_image_run, tmp_path
) -> None:
    config = load_image_experiment(
        "model.adaptation=gradual", "train.epochs=5", "train.head.epochs=1", "train.unfreeze=0.2"
    )
    dataset = load_prepared_dataset(tiny_image_run.dataset)
    task = build_task(config, dataset.label_names, config.model.resolve().path)
    model = task.build_model(seed=0, matmul_dtype="float32")

    def open_split(name: str) -> Any:
        return open_feed(task, dataset, name, tmp_path, Silent())

    seen = []
    for phase in task.open_phases(model, config.train, open_split, seed=0):
        learning = {v.path.split("/")[0] for v in phase.model.trainable_variables}
        seen.append(
            (phase.name, phase.first_epoch, phase.changes["epochs"], phase.total_epochs, len(learning))
        )
    assert seen[0] == ("head", 0, 1, None, 1)
    assert [entry[:4] for entry in seen[1:]] == [
        ("gradual-1", 0, 1, 5),
        ("gradual-2", 1, 1, 5),
        ("finetune", 2, 3, 5),
    ]
    counts = [entry[4] for entry in seen]
    assert counts == sorted(set(counts))


def test_a_picture_nets_head_alone_learns_and_layerwise_sets_the_decay(load_image_experiment) -> None:
    config = load_image_experiment("model.adaptation=head", "train.epochs=0")
    assert config.train.epochs == 0
    config = load_image_experiment("model.adaptation={type: layerwise, decay: 0.6}")
    assert config.train.optimizer.layer_decay == 0.6
