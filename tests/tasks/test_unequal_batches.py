"""Batches of unequal sizes that make one update together come to the one batch of all their examples."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_bert
import tiny_entities
import tiny_images
import unequal_batches

KINDS = ("texts", "entities", "pictures")


@pytest.fixture(scope="module")
def experiments(tmp_path_factory, tiny_preset):
    """(kind) → (path of its config, folder of its prepared dataset)."""
    from kerasft.config.loading import load_config
    from kerasft.experiment import ExperimentConfig
    from kerasft.runs.folder import RunFolder
    from kerasft.stages.prepare import prepare

    made: dict[str, tuple[Path, Path]] = {}

    def make(kind: str) -> tuple[Path, Path]:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            if kind == "pictures":
                path = tiny_images.write_experiment(folder)
            else:
                module = tiny_bert if kind == "texts" else tiny_entities
                path = module.write_experiment(folder, tiny_preset)
            run = RunFolder(folder / "run")
            prepare(load_config(ExperimentConfig, path, ()).config, run)
            made[kind] = path, run.dataset
        return made[kind]

    return make


@pytest.mark.parametrize(
    "kind", ["entities", *(pytest.param(k, marks=pytest.mark.slow) for k in KINDS if k != "entities")]
)
def test_four_and_eight_accumulated_batches_make_the_updates_of_one(kind, experiments) -> None:
    path, dataset = experiments(kind)
    one = unequal_batches.train(unequal_batches.load(path), dataset, 32)
    for batch_size in (8, 4):
        parts = unequal_batches.train(unequal_batches.load(path), dataset, batch_size)
        assert unequal_batches.find_difference(one, parts) <= 1e-6


@pytest.mark.slow
def test_two_devices_make_the_updates_of_one_with_and_without_accumulation(experiments) -> None:
    program = Path(unequal_batches.__file__)
    arguments = [str(part) for kind in KINDS for part in experiments(kind)]
    result = subprocess.run([sys.executable, str(program), *arguments], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    differences = json.loads(result.stdout.splitlines()[-1])
    assert len(differences) == 4
    assert max(differences) <= 1e-6
