"""evaluate: on other test data than the run's own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from needs import lacks
from tiny_bert import write_texts

from kerasft.cli.main import main
from kerasft.config.loading import load_config
from kerasft.errors import ConfigError, DataError, RunLockedError
from kerasft.experiment import ExperimentConfig
from kerasft.runs.folder import RunFolder
from kerasft.stages import pipeline as stage
from kerasft.stages.check import check
from kerasft.stages.evaluate import _keep
from kerasft.stages.predict import Predictor


def read_tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by path."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def copied(tiny_run: RunFolder, tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(tiny_run.path, tmp_path / "run"))


def test_where_another_process_has_begun_afresh_the_figures_are_not_kept(tmp_path: Path) -> None:
    trained: Any = SimpleNamespace(facts={"fingerprint": "f"})
    unused: Any = None
    with pytest.raises(RunLockedError, match="is being trained again"):
        _keep(unused, RunFolder(tmp_path), trained, unused, {}, tmp_path, "")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def other_test(tmp_path: Path) -> Path:
    """20 texts that the run has not seen, a few labels of them swapped."""
    texts, labels = write_texts(140, seed=9)
    labels = [labels[1] if row == 120 else label for row, label in enumerate(labels)]
    rows = [{"text": text, "label": label} for text, label in zip(texts[120:], labels[120:], strict=True)]
    path = tmp_path / "later reviews.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def measure_by_hand(run: RunFolder, path: Path) -> float:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    answers = list(Predictor(run).predict([{"text": row["text"]} for row in rows]))
    right = [row["label"] == answer["label"] for row, answer in zip(rows, answers, strict=True)]
    return sum(right) / len(right)


def test_other_test_data_are_measured_under_a_name_of_their_own(
    copied: RunFolder, other_test: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, own = read_tree(copied.dataset), copied.read_metrics()["evaluate"]
    assert main(["evaluate", str(copied.path), f"data.test.path={other_test}"]) == 0
    metrics = copied.read_metrics()
    assert metrics["evaluate"] == own
    ((name, figures),) = metrics["evaluate_other"].items()
    assert name.startswith("later_reviews-")
    assert f"evaluate_other.{name}" in capsys.readouterr().err
    assert figures["examples"]["value"] == 20
    assert figures["accuracy"]["value"] == measure_by_hand(copied, other_test)
    lines = (copied.predictions / f"{name}.jsonl").read_text().splitlines()
    assert [json.loads(line)["origin"].rsplit(":", 1)[1] for line in lines] == [str(n) for n in range(1, 21)]
    assert read_tree(copied.dataset) == before
    assert not check(copied.path).damaged
    # the run's own stages are still done, and the same data keep the same name
    assert main(["evaluate", str(copied.path), f"data.test.path={other_test}"]) == 0
    assert list(copied.read_metrics()["evaluate_other"]) == [name]
    assert copied.stage_record("evaluate")


def test_a_config_of_test_data_alone_is_measured(
    copied: RunFolder, other_test: Path, load_experiment: Any, tmp_path: Path
) -> None:
    config = load_experiment().model_dump(mode="json")
    document = {
        "name": "later",
        "task": {**config["task"], "labels": ["disliked", "liked"]},
        "model": config["model"],
        "data": {"test": {"format": "jsonl", "path": str(other_test)}},
        "evaluate": {"bootstrap_samples": 0},
    }
    path = tmp_path / "later.yaml"
    path.write_text(json.dumps(document))
    figures = stage.evaluate(load_config(ExperimentConfig, path).config, copied)
    ((name, split),) = figures.items()
    assert split["accuracy"] == {"value": measure_by_hand(copied, other_test)}
    assert copied.read_metrics()["evaluate_other"] == figures
    assert name.startswith("later_reviews-")


@pytest.mark.parametrize("limit", [0.01, 0.5])
def test_labels_that_the_model_does_not_know_are_refused(
    copied: RunFolder, other_test: Path, limit: float
) -> None:
    with open(other_test, "a") as file:
        file.write('{"text": "a film of another kind", "label": "indifferent"}\n')
    before = read_tree(copied.path)
    overrides = [f"data.test.path={other_test}", f"data.max_rejected={limit}"]
    config = load_config(ExperimentConfig, copied.path, overrides).config
    with pytest.raises(DataError, match="indifferent") as caught:
        stage.evaluate(config, copied)
    assert caught.value.where == "data.test"
    assert "disliked, liked" in str(caught.value.fix)
    assert read_tree(copied.path) == before


def test_a_run_whose_data_files_are_gone_is_measured_on_its_dataset(copied: RunFolder) -> None:
    config = load_config(ExperimentConfig, copied.path).config
    figures = copied.read_metrics()["evaluate"]
    path = Path(str(config.data.train.path))
    path.rename(path.with_suffix(".away"))
    try:
        assert stage.evaluate(config, copied) == figures
        other = load_config(ExperimentConfig, copied.path, ["data.leaks=drop"]).config
        with pytest.raises(DataError, match="No file matches"):
            stage.evaluate(other, copied)
    finally:
        path.with_suffix(".away").rename(path)


def test_other_training_data_are_refused_as_before(copied: RunFolder, other_test: Path) -> None:
    config = load_config(ExperimentConfig, copied.path, [f"data.train.path={other_test}"]).config
    with pytest.raises(ConfigError, match=r"data\.train\.path"):
        stage.evaluate(config, copied)


UNWRITABLE = Path("/sys/kerasft-cache")
"""Nobody may make a folder there, root neither."""


class ReadOnlyData(RunFolder):
    """Its shared data may not be written to."""

    cache = property(lambda self: UNWRITABLE)  # type: ignore[assignment]


@pytest.mark.skipif(not UNWRITABLE.parent.is_dir(), reason=lacks("/sys", "folders that are read-only"))
def test_of_shared_data_that_are_read_only_the_run_folder_keeps_what_is_encoded(copied: RunFolder) -> None:
    shutil.rmtree(copied.path / "cache")
    figures = stage.evaluate(load_config(ExperimentConfig, copied.path).config, ReadOnlyData(copied.path))
    assert set(figures) == {"validation", "test"}
    assert {path.parent.name for path in (copied.path / "cache").rglob("cache.json")} == {
        "validation",
        "test",
    }
