"""run: all stages in order; what is done and unchanged is skipped, what changed is done anew."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kerasft.config.loading import load_config
from kerasft.data.prepared import load_prepared_dataset
from kerasft.errors import ConfigError, DataError, TrainingError
from kerasft.experiment import ExperimentConfig
from kerasft.integrity import write_hashes
from kerasft.runs.folder import RunFolder
from kerasft.stages import evaluate, export, finetune, prepare
from kerasft.stages import pipeline as run_stage


@pytest.fixture
def copied(tiny_run: RunFolder, tmp_path: Path) -> RunFolder:
    """A run folder of its own, all stages done."""
    return RunFolder(shutil.copytree(tiny_run.path, tmp_path / "run"))


def find_done(config: ExperimentConfig, run: RunFolder) -> set[str]:
    """The stages that `run` would skip."""
    if not run.is_done("prepare", prepare.compute_prepare_fingerprint(config)):
        return set()
    dataset = load_prepared_dataset(run.dataset)
    trained = finetune.compute_finetune_fingerprint(config, dataset, config.model.resolve())
    wanted = {
        "finetune": trained,
        "evaluate": evaluate.compute_evaluate_fingerprint(config, trained, dataset),
        "export": export.compute_export_fingerprint(config, trained),
    }
    return {"prepare"} | {stage for stage, fingerprint in wanted.items() if run.is_done(stage, fingerprint)}


ALL = {"prepare", "finetune", "evaluate", "export"}


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ("name=other", ALL),
        ("seed=1", set()),
        ("task.labels=[disliked, liked]", set()),
        ("data.leaks=drop", set()),
        ("task.label_smoothing=0.1", {"prepare"}),
        ("model.max_length=16", {"prepare"}),
        ("model.dropout=0.2", {"prepare"}),
        ("train.epochs=5", {"prepare"}),
        ("train.optimizer.learning_rate=0.004", {"prepare"}),
        ("train.schedule.warmup=0.2", {"prepare"}),
        ("train.max_steps=5", {"prepare"}),
        ("train.workers=5", ALL),
        ("train.checkpoint.keep=5", ALL),
        ("train.tensorboard.every_steps=5", ALL),
        ("evaluate.bootstrap_samples=51", ALL - {"evaluate"}),
        ("evaluate.splits=[test]", ALL - {"evaluate"}),
        ("export.tolerance=0.001", ALL - {"export"}),
    ],
)
def test_what_a_change_reaches_is_done_anew_and_nothing_else(tiny_run, load_experiment, change, kept) -> None:
    assert find_done(load_experiment(), tiny_run) == ALL
    assert find_done(load_experiment(change), tiny_run) == kept


def test_other_data_are_prepared_anew(tmp_path: Path, tiny_preset: Path) -> None:
    import tiny_bert

    path = tiny_bert.write_experiment(tmp_path / "experiment", tiny_preset)
    config = load_config(ExperimentConfig, path).config
    before = prepare.compute_prepare_fingerprint(config)
    with open(path.parent / "train.jsonl", "a", encoding="utf-8") as file:
        file.write('{"text": "one more film", "label": "liked"}\n')
    assert prepare.compute_prepare_fingerprint(config) != before


def test_a_second_run_changes_nothing(copied: RunFolder, load_experiment) -> None:
    kept = (
        "model.keras",
        "task.json",
        "metrics.json",
        "metrics.jsonl",
        "stages.json",
        "export/1/parity.json",
    )
    before = {name: (copied.path / name).stat().st_mtime_ns for name in kept}
    results = run_stage.run(load_experiment(), copied)
    assert {name: (copied.path / name).stat().st_mtime_ns for name in kept} == before
    assert results["export"] == str(copied.export / "1")
    assert Path(results["report"]).exists()


def test_a_change_of_the_evaluation_measures_again_and_trains_no_more(
    copied: RunFolder, load_experiment
) -> None:
    before = copied.model.stat().st_mtime_ns
    run_stage.run(load_experiment("evaluate.splits=[test]", "evaluate.bootstrap_samples=0"), copied)
    assert copied.model.stat().st_mtime_ns == before
    figures = copied.read_metrics()["evaluate"]
    assert set(figures) == {"test"}
    assert set(figures["test"]["accuracy"]) == {"value"}
    assert [path.name for path in copied.export.iterdir()] == ["1"]


@pytest.mark.slow
def test_an_export_that_was_deleted_is_made_again(copied: RunFolder, load_experiment) -> None:
    shutil.rmtree(copied.export / "1")
    results = run_stage.run(load_experiment(), copied)
    assert (Path(results["export"]) / "saved_model.pb").exists()


def test_metrics_json_is_by_stage_split_and_figure(tiny_run: RunFolder) -> None:
    metrics = json.loads(tiny_run.metrics.read_text())
    assert set(metrics) == {"finetune", "evaluate"}
    train = metrics["finetune"]["train"]
    assert {"examples_per_second", "seconds", "padding_share", "peak_memory_mb"} <= set(train)
    assert train["learning_share"]["value"] == pytest.approx(1)
    assert all(set(figure) == {"value"} for figure in train.values())
    assert set(metrics["evaluate"]) == {"validation", "test"}
    for split in metrics["evaluate"].values():
        for name in ("accuracy", "macro_f1", "weighted_f1", "mcc", "roc_auc", "log_loss", "brier", "ece"):
            # on a split without a mistake some figures have no spread to tell
            assert set(split[name]) in ({"value"}, {"value", "low", "high"}), name
        for name in ("accuracy", "log_loss"):
            assert split[name]["low"] <= split[name]["value"] <= split[name]["high"]
        assert split["examples"]["value"] == 24
        assert {"precision", "recall"} <= {name.split("/")[0] for name in split}


def test_the_resolved_config_is_the_experiment(tiny_run: RunFolder, load_experiment) -> None:
    again = load_config(ExperimentConfig, tiny_run.path).config
    assert again == load_experiment()
    assert find_done(again, tiny_run) == ALL


def test_predictions_name_where_each_text_came_from(tiny_run: RunFolder) -> None:
    lines = [json.loads(line) for line in (tiny_run.predictions / "test.jsonl").read_text().splitlines()]
    assert len(lines) == 24
    assert [int(line["origin"].rsplit(":", 1)[1]) for line in lines] == list(range(1, 25))
    accuracy = sum(line["label"] == line["predicted"] for line in lines) / 24
    assert accuracy == tiny_run.read_metrics()["evaluate"]["test"]["accuracy"]["value"]


def test_training_anew_forgets_figures_and_export_of_the_old_model(
    copied: RunFolder, load_experiment
) -> None:
    """Even where it fails: what stands in the folder then is of no finished training."""
    config = load_experiment(
        "train.optimizer={type: gradient_descent, learning_rate: 1.0e+30}", "train.schedule={type: constant}"
    )
    with pytest.raises(TrainingError, match="not finite") as caught:
        run_stage.run(config, copied, restart=True)
    assert str(copied.model) in str(caught.value.fix)
    assert find_done(config, copied) == {"prepare"}
    assert find_done(load_experiment(), copied) == {"prepare"}
    assert set(copied.read_metrics()) == {"finetune"}
    import numpy as np

    from kerasft.training.trained import load_trained

    assert all(np.isfinite(weight.numpy()).all() for weight in load_trained(copied).model.weights)


def test_measuring_needs_a_model_and_its_data(
    tmp_path: Path, copied: RunFolder, load_experiment, tiny_preset: Path
) -> None:
    with pytest.raises(ConfigError, match="no trained model"):
        run_stage.evaluate(load_experiment(), RunFolder(tmp_path / "empty"))
    import tiny_bert

    path = tiny_bert.write_experiment(tmp_path / "experiment", tiny_preset)
    (path.parent / "test.jsonl").write_text(
        '{"text": "a good film", "label": "liked"}\n{"text": "a bad film", "label": "disliked"}\n'
    )
    with pytest.raises(ConfigError, match="holds a run started with different settings") as caught:
        run_stage.evaluate(load_config(ExperimentConfig, path).config, copied)
    assert "data.test.path" in str(caught.value)


def test_a_split_that_is_not_there_is_told(copied: RunFolder, load_experiment) -> None:
    config = load_experiment("evaluate.splits=[test]")
    manifest = copied.dataset / "manifest.json"
    facts = json.loads(manifest.read_text())
    del facts["splits"]["test"]
    manifest.write_text(json.dumps(facts))
    write_hashes(copied.dataset)
    with pytest.raises(DataError, match="there are no splits test") as caught:
        evaluate.evaluate(config, copied)
    assert "train, validation" in str(caught.value.fix)
