"""A task of another package, of a shape that kerasft has none of, goes all the way: two texts → a number."""

from __future__ import annotations

import csv
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tiny_bert
from exactness import EVERY, assert_kills_change_nothing

import kerasft
from kerasft.cli.main import main
from kerasft.runs.folder import RunFolder

PACKAGE = Path(__file__).parent / "pair_scores"
TRAIN = {
    "epochs": 8,
    "batch_size": 8,
    "precision": "float32",
    "optimizer": {"type": "adamw", "learning_rate": 5e-3, "weight_decay": 0.0},
    "checkpoint": {"every_steps": EVERY},
    "tensorboard": {"every_steps": 1},
}


def write_pairs(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Pairs of short texts; the score is 1 where both praise, 0 where neither does."""
    texts, labels = tiny_bert.write_texts(2 * count, seed)
    liked = [label == "liked" for label in labels]
    order = np.random.default_rng(seed).permutation(2 * count)
    pairs = zip(order[:count], order[count:], strict=True)
    return [
        {"first": texts[a], "second": texts[b], "score": (liked[a] + liked[b]) / 2, "source": f"{a}-{b}"}
        for a, b in pairs
    ]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The package, as pip would install it."""
    site = tmp_path_factory.mktemp("site-packages")
    shutil.copytree(PACKAGE, site / "pair_scores", ignore=shutil.ignore_patterns("__pycache__"))
    described = site / "pair_scores-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: pair-scores\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[kerasft.tasks]\npair_score = pair_scores\n")
    sys.path.insert(0, str(site))
    yield
    sys.path.remove(str(site))
    for name in [name for name in sys.modules if name.split(".")[0] == "pair_scores"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def config(installed: None, tmp_path_factory: pytest.TempPathFactory, tiny_preset: Path) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    rows = write_pairs(112)
    for split, start, stop in (("train", 0, 64), ("validation", 64, 88), ("test", 88, 112)):
        lines = "".join(json.dumps(row) + "\n" for row in rows[start:stop])
        (folder / f"{split}.jsonl").write_text(lines)
    path = folder / "pairs.yaml"
    document = {
        "name": "pairs",
        "task": {"type": "pair_score"},
        "data": {
            split: {"format": "jsonl", "path": f"{split}.jsonl"} for split in ("train", "validation", "test")
        },
        "model": {"preset": str(tiny_preset), "max_length": 48},
        "train": TRAIN,
        "export": {"replay_examples": 6},
    }
    path.write_text(json.dumps(document))
    return path


@pytest.fixture(scope="module")
def run(config: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("runs") / "pairs"
    assert main(["prepare", str(config), "--output", str(folder), "--quiet"]) == 0
    assert main(["run", str(config), "--output", str(folder), "--quiet"]) == 0
    return RunFolder(folder)


def test_it_takes_few_lines() -> None:
    lines = [line for path in PACKAGE.glob("*.py") for line in path.read_text().splitlines()]
    assert len(lines) <= 150


@pytest.mark.slow
def test_it_is_prepared_trained_measured_and_reported(run: RunFolder) -> None:
    error = {split: figures["error"]["value"] for split, figures in run.read_metrics()["evaluate"].items()}
    scores = [row["score"] for row in write_pairs(112)[88:]]
    assert error["test"] < 0.6 * np.std(scores)
    lines = [json.loads(line) for line in (run.predictions / "test.jsonl").read_text().splitlines()]
    assert [line["score"] for line in lines] == scores
    squared = [(line["predicted"]["score"] - line["score"]) ** 2 for line in lines]
    assert error["test"] == pytest.approx(np.sqrt(np.mean(squared)), rel=1e-5)
    page = run.report.read_text()
    assert "root of the mean squared error" in page
    assert f"{error['test']:.3f}" in page


@pytest.mark.slow
def test_it_is_asked_from_the_command_line(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["predict", str(run.path), "--quiet"]
    pair = {"first": "a great film", "second": "the soup was awful"}
    assert main([*asked, json.dumps(pair), json.dumps({"first": "a great film"})]) == 10
    one, wrong = map(json.loads, capsys.readouterr().out.splitlines())
    assert one == {**pair, "score": pytest.approx(0.5, abs=0.4)}
    assert "no 'second'" in wrong["error"]
    table = tmp_path / "pairs.csv"
    table.write_text("id,a,b\n1,a great film,the soup was awful\n2,a superb meal,\n")
    answers = tmp_path / "answers.csv"
    columns = ["--column", "first=a", "--column", "second=b"]
    assert main([*asked, "--input", str(table), *columns, "--to", str(answers)]) == 0
    rows = list(csv.reader(answers.open()))
    assert rows[0] == ["first", "second", "score", "note", "error", "id"]
    assert float(rows[1][2]) == pytest.approx(one["score"], abs=1e-5)
    assert rows[2][3:] == ["second: blank text", "", "2"]


@pytest.mark.slow
def test_it_is_served_by_tensorflow_alone(run: RunFolder) -> None:
    parity = json.loads((run.export / "1" / "parity.json").read_text())
    assert (parity["user_examples"], parity["probes"], parity["refused"]) == (6, 2, 1)
    assert parity["largest_difference"] < 1e-4
    serve = tf.saved_model.load(str(run.export / "1")).signatures["serving_default"]
    pairs = [("a great film", "a superb meal"), ("an awful film", "a bad meal")]
    first, second = (tf.constant(texts) for texts in zip(*pairs, strict=True))
    answers = kerasft.load_run(run.path).predict([{"first": a, "second": b} for a, b in pairs])
    served = serve(first=first, second=second)["score"].numpy()
    assert served == pytest.approx([answer["score"] for answer in answers], abs=1e-4)
    card = (run.export / "1" / "assets.extra" / "model_card.md").read_text()
    assert "`first` and `second`" in card
    assert "Classes" not in card
    assert not (run.export / "1" / "assets.extra" / "labels.txt").exists()


@pytest.mark.slow
def test_it_is_learned_from_python(installed: None, tmp_path: Path, tiny_preset: Path) -> None:
    rows = write_pairs(40)
    run = kerasft.finetune(
        task="pair_score",
        preset=tiny_preset,
        train={name: [row[name] for row in rows] for name in ("first", "second", "score")},
        epochs=1,
        output=tmp_path / "run",
        overrides=["model.max_length=48", "train.precision=float32", "export.replay_examples=4"],
    )
    assert set(run.evaluate()) == {"validation", "test"}
    answer = run.predict({"first": "a great film", "second": "a bad meal"})
    assert set(answer) == {"first", "second", "score"}
    assert run.export().name == "1"


@pytest.mark.slow
def test_it_is_killed_and_goes_on(config: Path, tmp_path: Path) -> None:
    assert_kills_change_nothing(config, tmp_path, kills=2, seed=0)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="no such figures of memory here")
@pytest.mark.parametrize("verb", ["evaluate", "predict"])
def test_memory_does_not_grow_with_what_is_kept_of_each_example(
    run: RunFolder, config: Path, tmp_path: Path, verb: str
) -> None:
    """A megabyte each; KERASFT_WIDE_EXAMPLES says of how many."""
    count = int(os.environ.get("KERASFT_WIDE_EXAMPLES", "400"))
    rows = [
        {**row, "first": f"{row['first']} {number}"}
        for number, row in enumerate(itertools.islice(itertools.cycle(write_pairs(100)), count))
    ]
    path = tmp_path / "many.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = {
        "evaluate": [f"data.test.path={path}"],
        "predict": ["--input", path, "--to", tmp_path / "answers.jsonl"],
    }[verb]
    script = Path(__file__).with_name("wide_outputs.py")
    site = next(path for path in sys.path if Path(path, "pair_scores-1.0.dist-info").exists())
    done = subprocess.run(
        [sys.executable, script, verb, run.path, *asked],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([site, os.environ.get("PYTHONPATH", "")])},
    )
    assert done.returncode == 0, done.stderr
    growth = int(done.stdout.splitlines()[-1])
    print(f"grew by {growth / (1 << 20):.0f} MiB over {count} examples")
    assert growth <= 300 << 20, f"{growth >> 20} MiB after the first batch"
