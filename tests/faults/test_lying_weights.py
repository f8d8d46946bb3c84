"""A file of weights whose pickle wants to be run: the command refuses it by name, and starts and writes nothing."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_lying_folders import run_traced
from test_lying_writes import find_elsewhere, traced
from tiny_images import write_pictures
from torch_makers import WRITERS, Call, Stored, Tensor

__all__ = ["traced"]


def make_hostile(touched: Path) -> dict[str, tuple[Any, str]]:
    kernel = np.zeros((32, 3, 3, 3), np.float32)
    real = {"_conv_stem.weight": Tensor(Stored(kernel.reshape(-1), "0"), kernel.shape)}
    return {
        "command": ({**real, "_bn0.weight": Call(os.system, f"touch {touched}")}, ".system"),
        "program": (Call(subprocess.Popen, ["touch", str(touched)]), ".Popen"),
        "code": (Call(exec, f"open({str(touched)!r}, 'w')"), ".exec"),
        "huge": ({"_conv_stem.weight": Tensor(Stored(kernel.reshape(-1), "0"), (1 << 40,) * 4)}, "claims"),
    }


def write_config(path: Path, weights: Path) -> Path:
    config = {
        "name": "hostile",
        "task": {"type": "image_classification"},
        "data": {"train": {"format": "image_folder", "path": "pictures/train"}},
        "model": {"preset": "efficientnet_lite0", "weights": str(weights), "image_size_px": 32},
        "train": {"max_steps": 1},
    }
    path.write_text(json.dumps(config))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "form"),
    [("command", "older"), ("program", "archive"), ("code", "older"), ("huge", "archive")],
)
def test_a_hostile_state_dict_is_refused_and_nothing_is_run(traced: Path, name: str, form: str) -> None:
    work, touched = traced / "work", traced / "touched"
    content, message = make_hostile(touched)[name]
    weights = WRITERS[form](work / "net.pth", content)
    write_pictures(work / "pictures", train=6, test=1)
    write_config(work / "hostile.yaml", weights)
    returned, said, changed, programs = run_traced(traced, "run", "hostile.yaml")
    assert returned == 4, said
    assert str(weights) in said
    assert message in said
    assert "Traceback" not in said
    assert programs == []
    assert find_elsewhere(traced, changed, "hostile") == []
    assert not touched.exists()
