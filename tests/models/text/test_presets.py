"""Loading a backbone from a preset's folder, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tiny_bert import PIECES, build_backbone

from kerasft.errors import ConfigError, PresetError
from kerasft.models.text.families import find_family
from kerasft.models.text.presets import check_max_length, load_text_backbone
from kerasft.text.tokenizers.vocabulary import load_vocabulary


def write_hugging_face_preset(folder: Path) -> Path:
    """A BERT of one layer in Hugging Face's form, without that library."""
    folder.mkdir()
    hidden, wide, pieces = 8, 16, len(PIECES)
    config = {
        "model_type": "bert",
        "vocab_size": pieces,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "hidden_size": hidden,
        "intermediate_size": wide,
        "hidden_dropout_prob": 0.1,
        "max_position_embeddings": 16,
        "type_vocab_size": 2,
    }
    layer = "encoder.layer.0"
    shapes = {
        "embeddings.word_embeddings.weight": (pieces, hidden),
        "embeddings.position_embeddings.weight": (16, hidden),
        "embeddings.token_type_embeddings.weight": (2, hidden),
        "embeddings.LayerNorm.weight": (hidden,),
        "embeddings.LayerNorm.bias": (hidden,),
        f"{layer}.attention.output.LayerNorm.weight": (hidden,),
        f"{layer}.attention.output.LayerNorm.bias": (hidden,),
        f"{layer}.output.LayerNorm.weight": (hidden,),
        f"{layer}.output.LayerNorm.bias": (hidden,),
    }
    dense = {
        f"{layer}.attention.self.query": (hidden, hidden),
        f"{layer}.attention.self.key": (hidden, hidden),
        f"{layer}.attention.self.value": (hidden, hidden),
        f"{layer}.attention.output.dense": (hidden, hidden),
        f"{layer}.intermediate.dense": (wide, hidden),
        f"{layer}.output.dense": (hidden, wide),
        "pooler.dense": (hidden, hidden),
    }
    for name, shape in dense.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    generator = np.random.default_rng(0)
    tensors = {name: generator.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}))
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.fixture
def copied(tmp_path: Path, tiny_preset: Path) -> Path:
    return Path(shutil.copytree(tiny_preset, tmp_path / "preset"))


@pytest.fixture
def hugging_face(tmp_path: Path) -> Path:
    return write_hugging_face_preset(tmp_path / "hugging_face")


def save_preset(backbone, tokenizer_of: Path, folder: Path) -> None:
    family = find_family(tokenizer_of)
    family.save_preset(backbone, family.load_tokenizer(tokenizer_of), folder)


def test_a_preset_comes_back_as_it_was_saved(tmp_path: Path, tiny_preset: Path) -> None:
    backbone = load_text_backbone(tiny_preset)
    save_preset(backbone, tiny_preset, tmp_path / "again")
    again = load_text_backbone(tmp_path / "again")
    for a, b in zip(backbone.weights, again.weights, strict=True):
        assert a.numpy().tobytes() == b.numpy().tobytes()
    assert load_vocabulary(tmp_path / "again").fingerprint() == load_vocabulary(tiny_preset).fingerprint()
    assert backbone.get_config() == again.get_config() | {"name": backbone.name}


def test_hugging_faces_form_is_read(hugging_face: Path) -> None:
    backbone = load_text_backbone(hugging_face)
    stored = load_file(hugging_face / "model.safetensors")
    query = backbone.get_layer("transformer_layer_0")._self_attention_layer.query_dense.kernel.numpy()
    np.testing.assert_array_equal(
        query.reshape(8, 8), stored["encoder.layer.0.attention.self.query.weight"].T
    )


def test_random_weights_follow_the_seed_and_differ_from_the_presets(tiny_preset: Path) -> None:
    def table(**settings):
        return load_text_backbone(tiny_preset, **settings).get_layer("token_embedding").embeddings.numpy()

    first, again = table(random_weights=True, seed=1), table(random_weights=True, seed=1)
    np.testing.assert_array_equal(first, again)
    assert (first != table(random_weights=True, seed=2)).any()
    assert (first != table()).any()


def test_weights_learn_in_float32_whatever_the_preset_was_saved_in(tmp_path: Path, tiny_preset: Path) -> None:
    backbone = build_backbone(seed=1, dtype="bfloat16")
    save_preset(backbone, tiny_preset, tmp_path / "narrow")
    assert {v.dtype for v in load_text_backbone(tmp_path / "narrow").weights} == {"float32"}


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(copied: Path, bad: float) -> None:
    backbone = load_text_backbone(copied)
    bias = backbone.get_layer("pooled_dense").bias
    bias.assign(np.full(bias.shape, bad, np.float32))
    backbone.save_to_preset(str(copied))
    with pytest.raises(PresetError, match=r"pooled_dense/bias holds numbers that are not finite") as caught:
        load_text_backbone(copied)
    assert caught.value.where == str(copied)
    assert caught.value.exit_code == 4


def test_another_architecture_is_refused_by_its_name(tmp_path: Path) -> None:
    import keras_hub

    other = keras_hub.models.FNetBackbone(
        vocabulary_size=20, num_layers=1, hidden_dim=4, intermediate_dim=4, max_sequence_length=8
    )
    other.save_to_preset(str(tmp_path / "other"))
    with pytest.raises(PresetError, match="FNetBackbone; text tasks train BERT, DistilBERT, RoBERTa and"):
        load_text_backbone(tmp_path / "other")


def test_weights_of_other_sizes_are_refused(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    config["config"]["hidden_dim"] = 48
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.raises(PresetError, match="cannot be loaded"):
        load_text_backbone(copied)


def test_a_layer_too_few_in_the_file_is_refused(copied: Path) -> None:
    with h5py.File(copied / "model.weights.h5", "r+") as file:
        last = [name for name in file["layers"] if name.startswith("transformer")][-1]
        del file["layers"][last]
    with pytest.raises(PresetError, match="cannot be loaded"):
        load_text_backbone(copied)


def test_a_damaged_weights_file_is_refused(copied: Path) -> None:
    weights = copied / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    with pytest.raises(PresetError, match="cannot be loaded"):
        load_text_backbone(copied)


@pytest.mark.parametrize(
    "lost", ["encoder.layer.0.output.dense.weight", "embeddings.word_embeddings.weight", "pooler.dense.bias"]
)
def test_a_tensor_missing_in_hugging_faces_form_is_refused(hugging_face: Path, lost: str) -> None:
    tensors = load_file(hugging_face / "model.safetensors")
    del tensors[lost]
    save_file(tensors, hugging_face / "model.safetensors")
    with pytest.raises(PresetError, match="cannot be loaded"):
        load_text_backbone(hugging_face)


def test_a_tensor_of_another_shape_in_hugging_faces_form_is_refused(hugging_face: Path) -> None:
    tensors = load_file(hugging_face / "model.safetensors")
    tensors["encoder.layer.0.intermediate.dense.weight"] = np.zeros((4, 8), np.float32)
    save_file(tensors, hugging_face / "model.safetensors")
    with pytest.raises(PresetError, match="cannot be loaded"):
        load_text_backbone(hugging_face)


def test_more_tokens_than_positions_are_refused_with_the_number_that_fits(tiny_preset: Path) -> None:
    backbone = load_text_backbone(tiny_preset)
    check_max_length(backbone, 64)
    with pytest.raises(ConfigError, match="64 positions, but max_length is 65") as caught:
        check_max_length(backbone, 65)
    assert caught.value.where == "model.max_length"
    assert "64 or less" in str(caught.value.fix)


def test_a_sentence_encoder_says_how_it_pools(tmp_path) -> None:
    from kerasft.models.text.presets import load_pooling, save_pooling

    assert load_pooling(tmp_path) == "cls"
    save_pooling(tmp_path, "cls")
    assert load_pooling(tmp_path) == "cls"
    save_pooling(tmp_path, "mean")
    assert load_pooling(tmp_path) == "mean"
