"""The example that teaches a language model to write runs as it is printed, on a tiny preset."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_causal import write_preset

EXAMPLE = Path(__file__).parents[2] / "examples" / "write_shop_texts.py"
PROMPTS = [
    "honey dipper, cherrywood",
    "storm lantern paraffin, wind won't blow it out",
    "hot water bottle + knitted cover, two litre",
]


@pytest.mark.slow
def test_texts_before_and_after_and_those_of_the_export_are_shown(tmp_path: Path):
    preset = write_preset(tmp_path / "tiny", context=512)
    changes = [f"model.preset={preset}", "model.context=512", "train.max_steps=4"]
    command = [sys.executable, str(EXAMPLE), *changes, "train.optimizer.learning_rate=0.01"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]

    lines = done.stdout.splitlines()
    assert [line for line in lines if line in PROMPTS] == PROMPTS
    losses = re.search(r"loss on 24 held-out texts: ([0-9.]+) before, ([0-9.]+) after", done.stdout)
    assert losses is not None
    assert float(losses[2]) < float(losses[1])
    assert "which writes with TensorFlow alone" in done.stdout
    assert (tmp_path / "runs" / "quickstart-lm" / "export" / "1" / "saved_model.pb").exists()
