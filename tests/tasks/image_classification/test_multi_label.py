"""Any number of labels for a picture: from a list of drawn pictures to a served answer."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tiny_spots import NAMES, list_tags, write_experiment

from kerasft.cli.main import main
from kerasft.config.loading import load_config
from kerasft.data.prepared import load_prepared_dataset
from kerasft.experiment import ExperimentConfig
from kerasft.runs.folder import RunFolder
from kerasft.stages.pipeline import run as run_all
from kerasft.stages.predict import Predictor


@pytest.mark.slow
def test_a_list_of_pictures_with_several_labels_is_trained_measured_and_served(tmp_path):
    import tensorflow as tf

    config = load_config(ExperimentConfig, write_experiment(tmp_path)).config
    run = RunFolder(tmp_path / "run")
    run_all(config, run)
    figures, served = run.read_metrics()["evaluate"]["test"], run.export / "1"

    assert figures["accuracy"]["value"] > 0.5  # all three labels right; chance is an eighth
    logged = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    # of single labels, beside validation's of whole sets: two figures do not share a name
    assert any("train_binary_accuracy" in line for line in logged)
    assert not any("train_accuracy" in line for line in logged)
    assert figures["mean_average_precision"]["value"] > 0.9
    assert set(figures) >= {
        "hamming_loss",
        "micro_f1",
        "macro_f1",
        "roc_auc",
        "log_loss",
        "f1/red",
        "support/red",
    }
    assert figures["micro_f1"]["low"] <= figures["micro_f1"]["value"] <= figures["micro_f1"]["high"]

    split = load_prepared_dataset(run.dataset).split("test")
    lines = [json.loads(line) for line in (run.predictions / "test.jsonl").read_text().splitlines()]
    assert len(lines) == len(split)
    for line in lines:
        assert line["labels"] == list_tags(int(Path(line["origin"]).stem))
        assert line["predicted"] == [name for name, value in line["probabilities"].items() if value >= 0.5]

    files = [example["image"] for example in split.take(range(8))]
    answers = tf.saved_model.load(str(served)).signatures["serving_default"](image=tf.constant(files))
    probabilities = answers["probabilities"].numpy()
    expected = [list(line["probabilities"].values()) for line in lines[:8]]
    assert probabilities == pytest.approx(np.array(expected), abs=1e-4)
    assert [name.decode() for name in answers["label"].numpy()] == [NAMES[k] for k in probabilities.argmax(1)]
    card = (served / "assets.extra" / "model_card.md").read_text()
    assert "Each label has its own probability" in card
    assert "| hamming_loss |" in card

    (answer,) = Predictor(run).predict([{"image": str(tmp_path / "pictures" / "5.png")}])
    assert answer["labels"] == ["blue", "red"]

    report = run.report.read_text()
    assert "the model gets every label right" in report
    assert "Always giving" in report
    assert "Micro F1" in report
    assert "The worst mistakes" in report
    assert "Confusion matrix" not in report  # of one label each

    table = tmp_path / "answers.csv"
    asked = [str(tmp_path / "pictures" / f"{number}.png") for number in (5, 0)]
    assert (
        main(["predict", str(run.path), *asked, "--to", str(table), "--draw", str(tmp_path / "drawn")]) == 0
    )
    rows = list(csv.DictReader(table.read_text().splitlines()))
    answers = list(Predictor(run).predict([{"image": path} for path in asked]))
    assert [row["labels"] for row in rows] == ["|".join(answer["labels"]) for answer in answers]
    assert rows[0]["labels"] == "blue|red"
    assert float(rows[0]["probability_red"]) > 0.5
    assert sorted(path.name for path in (tmp_path / "drawn").glob("*.png")) == ["0.png", "5.png"]
