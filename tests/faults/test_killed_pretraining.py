"""A pre-training that is killed at any moment ends with the bits that it would have had: masks, packed rows, Muon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_masked
from exactness import EVERY, assert_kills_change_nothing

MUON = {"type": "muon", "learning_rate": 0.02, "adamw": {"learning_rate": 0.003}}
ADAMW = {"type": "adamw", "learning_rate": 0.003, "weight_decay": 0.1}


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [ADAMW, MUON], ids=["adamw", "muon"])
def test_kills_change_no_bit_of_a_pre_training(optimizer: dict[str, Any], tmp_path: Path) -> None:
    config = tiny_masked.write_experiment(
        tmp_path / "experiment",
        None,
        model={"size": {"layers": 2, "width": 32, "heads": 2}, "max_length": 28},
        train={
            "epochs": 8,
            "batch_size": 4,
            "precision": "float32",
            "optimizer": optimizer,
            "checkpoint": {"every_steps": EVERY},
        },
        export=None,
    )
    straight, killed = assert_kills_change_nothing(config, tmp_path, kills=5, seed=0)
    for name in ("config.json", "vocab.txt"):
        assert (straight / "start" / name).read_bytes() == (killed / "start" / name).read_bytes()
