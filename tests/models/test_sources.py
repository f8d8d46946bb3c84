"""What a `model` section names is found before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_bert

from kerasft.errors import PresetError
from kerasft.models.config import TextModelConfig
from kerasft.models.text.presets import load_text_backbone


def test_a_folder_without_weights_is_enough_for_random_ones_and_for_nothing_else(tmp_path: Path) -> None:
    preset = tiny_bert.write_preset(tmp_path / "preset")
    for weights in (*preset.glob("*.h5"), *preset.glob("*.safetensors")):
        weights.unlink()
    named = TextModelConfig(preset=str(preset), random_weights=True)
    source = named.resolve()
    assert source.path is not None
    backbone = load_text_backbone(source.path, random_weights=True, seed=1)
    assert backbone.count_params() > 0
    with pytest.raises(PresetError, match="lacks weights"):
        named.model_copy(update={"random_weights": False}).resolve()
