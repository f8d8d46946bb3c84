"""What a `model` section names is found before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_bert

from kerasft.errors import PresetError
from kerasft.models.config import TextModelConfig
from kerasft.models.hubs.folders import compute_preset_fingerprint
from kerasft.models.text.decoders.config import DecoderModelConfig
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


def test_a_preset_that_is_one_file_is_known_by_its_contents(tmp_path: Path) -> None:
    """As adapters tell whether they are of the preset that is named."""
    path = tmp_path / "net.gguf"
    path.write_bytes(b"GGUF one")
    source = DecoderModelConfig(preset=str(path)).resolve()
    assert source.path == path
    before = source.preset_fingerprint
    assert (
        before
        == compute_preset_fingerprint(path)
        == compute_preset_fingerprint(path.rename(tmp_path / "b.gguf"))
    )
    (tmp_path / "b.gguf").write_bytes(b"GGUF two")
    assert compute_preset_fingerprint(tmp_path / "b.gguf") != before
    with pytest.raises(PresetError, match="take a preset's folder"):
        TextModelConfig(preset=str(tmp_path / "b.gguf")).resolve()
