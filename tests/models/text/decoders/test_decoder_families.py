"""Families of decoders: presets in every form, the same numbers as the libraries they come from, and back again."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf
import tiny_decoders
from safetensors.numpy import load_file, save_file

from kerasft.errors import ConfigError, DamagedError, PresetError
from kerasft.models.adaptation.config import LoraConfig
from kerasft.models.adaptation.lora import add_lora, list_products
from kerasft.models.text.decoders.build import find_sizes
from kerasft.models.text.decoders.cached import CachedDecoder
from kerasft.models.text.decoders.families import FAMILIES, list_families, load_family
from kerasft.models.text.decoders.new_nets import write_decoder_config
from kerasft.models.text.decoders.presets import find_decoder_family, load_decoder
from kerasft.models.text.decoders.publishing import load_published_decoder, publish_decoder
from kerasft.models.text.decoders.tokenizer_files import load_chat_template
from kerasft.models.text.decoders.weights import compute_values, list_variables
from kerasft.text.tokenizers.bpe_vocabulary import map_bytes
from kerasft.text.tokenizers.config import TokenizerConfig
from kerasft.text.tokenizers.training import train_tokenizer

pytestmark = pytest.mark.numerical

IDS = np.array([[3, 17, 5, 29, 11, 0, 38], [1, 1, 2, 30, 8, 22, 9]], np.int32)
NEW = {"vocabulary_size": 40, "layers": 2, "width": 16, "heads": 4, "context": 16, "feedforward": 24}
SIZES = {"gpt2": {**NEW, "heads": 2}, "llama": {**NEW, "kv_heads": 2}, "own": {**NEW, "kv_heads": 2}}
SCALING = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 12,
}
EVERY = pytest.mark.parametrize("name", list(FAMILIES))


def compute_logits(model: keras.Model) -> np.ndarray:
    decoder = CachedDecoder(model)
    positions = np.broadcast_to(np.arange(IDS.shape[1], dtype=np.int32), IDS.shape)
    cache = decoder.start(tf.constant(2), tf.constant(IDS.shape[1]))
    return decoder.compute_logits(decoder.extend(tf.constant(IDS), tf.constant(positions), cache)[0]).numpy()


def ask_public(public: Any) -> np.ndarray:
    inputs = {"token_ids": IDS, "padding_mask": np.ones_like(IDS)}
    return public({name: inputs[name] for name in public.input}).numpy()


def write_characters(folder: Path) -> Path:
    """A tokenizer of 40 characters at most."""
    train_tokenizer(TokenizerConfig(type="characters"), ["to be, or not to be"], folder)
    return folder


def write_new(folder: Path, name: str) -> Path:
    write_decoder_config(write_characters(folder), family=name, **SIZES[name])
    return folder


def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A tensor that follows from its name alone."""
    values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    is_scale = ("norm" in name or ".ln_" in name) and name.endswith("weight")
    return (0.2 * values + is_scale).astype(np.float32)


def write_hugging_face(folder: Path, name: str, prefix: str, **changes: Any) -> Path:
    """A preset in Hugging Face's form, whose tensors follow from their names."""
    write_new(folder, name)
    family = load_family(name)
    config = {**json.loads((folder / "config.json").read_text()), **changes}
    (folder / "config.json").write_text(json.dumps(config))
    stored = family.list_stored(family.read_sizes(folder), [prefix])
    save_file(
        {part.name: draw(part.name, part.shape) for parts in stored.values() for part in parts},
        folder / "model.safetensors",
    )
    return folder


def build_trained(folder: Path, name: str) -> tuple[keras.Model, Path]:
    """A model whose weights are all off their first values, and the preset that it began with."""
    preset = write_new(folder / "start", name)
    model = load_decoder(preset, random_weights=True)
    for key, variable in list_variables(model).items():
        variable.assign(draw(f"{key}.weight" if "gamma" in key else key, tuple(variable.shape)))
    return model, preset


EXPECTED = {
    "gpt2": [
        [1.27365, 0.94757, 0.16255, -2.01575],
        [1.00478, 0.46832, 1.16867, -1.50953],
        [1.25046, 0.57374, 0.8423, -2.09293],
    ],
    "llama_tied": [
        [-0.06583, 0.43328, -0.27034, -0.5171],
        [0.62087, 0.06445, 0.27727, -0.37263],
        [-0.00786, -0.18698, -0.1696, -0.58195],
    ],
    "llama": [
        [-0.8846, -0.33659, 0.34052, 1.22741],
        [-0.73537, -0.16836, -0.12336, 0.03734],
        [-0.3648, 0.31863, 0.59266, 0.77012],
    ],
    "llama_scaled": [
        [-0.07015, 0.4243, -0.28974, -0.50523],
        [0.68862, 0.23321, 0.29056, -0.5281],
        [-0.10781, -0.32457, -0.12333, -0.58329],
    ],
}
"""Logits of tokens 0 to 3 after IDS[0, :2], IDS[0] and IDS[1], computed with PyTorch 2.13 and transformers 5.24."""


@pytest.mark.parametrize(
    ("case", "name", "prefix", "changes"),
    [
        ("gpt2", "gpt2", "transformer.", {}),
        ("llama_tied", "llama", "model.", {}),
        ("llama", "llama", "model.", {"tie_word_embeddings": False}),
        ("llama_scaled", "llama", "model.", {"rope_scaling": SCALING}),
    ],
)
def test_logits_are_those_of_transformers(
    case: str, name: str, prefix: str, changes: dict, tmp_path: Path
) -> None:
    model = load_decoder(write_hugging_face(tmp_path / "preset", name, prefix, **changes))
    found = compute_logits(model)[[0, 0, 1], [1, 6, 6], :4]
    np.testing.assert_allclose(found, EXPECTED[case], atol=1e-3)


@EVERY
def test_a_published_model_is_the_one_that_learned(name: str, tmp_path: Path) -> None:
    model, preset = build_trained(tmp_path, name)
    expected = compute_logits(model)
    family = find_decoder_family(preset)
    publish_decoder(model, preset, family.load_tokenizer(preset), tmp_path)
    public = keras.models.load_model(tmp_path / "model.keras")
    assert type(public).__name__ == {"gpt2": "GPT2CausalLM", "llama": "LlamaCausalLM"}.get(name, "Functional")
    np.testing.assert_allclose(ask_public(public), expected, atol=1e-4)
    for again in (load_published_decoder(tmp_path), load_decoder(tmp_path / "preset")):
        assert find_sizes(again) == find_sizes(model)
        for (key, mine), (_, theirs) in zip(compute_values(model), compute_values(again), strict=True):
            np.testing.assert_array_equal(mine, theirs, err_msg=key)
    tokenizer = find_decoder_family(tmp_path / "preset").load_tokenizer(tmp_path / "preset")
    assert tokenizer.fingerprint == family.load_tokenizer(preset).fingerprint


@pytest.mark.parametrize(
    "changes",
    [{}, {"tie_word_embeddings": False}, {"rope_scaling": SCALING}],
    ids=["tied", "untied", "scaled"],
)
def test_keras_hub_opens_a_published_preset(changes: dict, tmp_path: Path) -> None:
    preset = write_hugging_face(tmp_path / "start", "llama", "model.", **changes)
    model = load_decoder(preset)
    publish_decoder(model, preset, load_family("llama").load_tokenizer(preset), tmp_path)
    hub = keras_hub.models.LlamaCausalLM.from_preset(str(tmp_path / "preset"), preprocessor=None)
    np.testing.assert_allclose(ask_public(hub), compute_logits(model), atol=1e-4)
    assert find_sizes(load_decoder(tmp_path / "preset")) == find_sizes(model)


@EVERY
def test_products_are_merged_into_what_is_published(name: str, tmp_path: Path) -> None:
    model, preset = build_trained(tmp_path, name)
    add_lora(model, LoraConfig(type="lora", rank=2, targets=("query", "value", "feedforward_output")), seed=0)
    for number, factor in enumerate(list_products(model)):
        factor.assign(factor.numpy() + 0.1 * np.random.default_rng(number).standard_normal(factor.shape))
    expected = compute_logits(model)
    publish_decoder(model, preset, load_family(name).load_tokenizer(preset), tmp_path)
    np.testing.assert_allclose(compute_logits(load_published_decoder(tmp_path)), expected, atol=1e-4)


_SCRIPT = """
import sys

import keras
import numpy as np

if sys.argv[3] == "hub":
    import keras_hub
model = keras.models.load_model(sys.argv[1])
ids = np.load(sys.argv[2])
inputs = {"token_ids": ids, "padding_mask": np.ones_like(ids)}
np.save(sys.argv[1] + ".npy", model({name: inputs[name] for name in model.input}))
assert "kerasft" not in sys.modules
assert sys.argv[3] == "hub" or "keras_hub" not in sys.modules
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "needs"), [("own", "keras"), ("llama", "hub")])
def test_a_published_model_opens_without_kerasft(name: str, needs: str, tmp_path: Path) -> None:
    model, preset = build_trained(tmp_path, name)
    publish_decoder(model, preset, load_family(name).load_tokenizer(preset), tmp_path)
    np.save(tmp_path / "ids.npy", IDS)
    path = tmp_path / "model.keras"
    command = [sys.executable, "-c", _SCRIPT, str(path), str(tmp_path / "ids.npy"), needs]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    np.testing.assert_allclose(np.load(f"{path}.npy"), compute_logits(model), atol=1e-4)


def test_a_preset_of_keras_hub_is_read_with_its_tokenizer(tmp_path: Path) -> None:
    pieces = ["<|endoftext|>", *map_bytes().values(), "th", "the"]
    ids, merges = {piece: place for place, piece in enumerate(pieces)}, ["t h", "th e"]
    backbone = keras_hub.models.GPT2Backbone(len(pieces), 2, 2, 16, 24, max_sequence_length=16)
    for variable in backbone.weights:
        variable.assign(draw(variable.path, tuple(variable.shape)))
    backbone.save_to_preset(str(tmp_path))
    keras_hub.models.GPT2Tokenizer(ids, merges).save_to_preset(str(tmp_path))
    hub = keras_hub.models.GPT2CausalLM(backbone, preprocessor=None)
    np.testing.assert_allclose(compute_logits(load_decoder(tmp_path)), ask_public(hub), atol=1e-4)
    tokenizer = find_decoder_family(tmp_path).load_tokenizer(tmp_path)
    assert tokenizer.tokenize(tf.constant(["the"])).to_list() == [[ids["the"]]]
    assert tokenizer.special_ids.end == 0


def test_a_family_says_what_keras_hub_has() -> None:
    assert [family.name for family in list_families()] == list(FAMILIES)
    for family in list_families():
        if family.hub_class:
            assert hasattr(keras_hub.models, family.hub_class)
            assert family.knows({"registered_name": f"keras_hub>{family.hub_class}"})
    assert not load_family("own").knows({"registered_name": "keras_hub>"})


@EVERY
def test_a_new_net_follows_from_its_seed(name: str, tmp_path: Path) -> None:
    preset = write_new(tmp_path, name)
    first, same, other = (
        dict(compute_values(load_decoder(preset, random_weights=True, seed=seed))) for seed in (1, 1, 2)
    )
    for key, value in first.items():
        np.testing.assert_array_equal(value, same[key])
    assert (first["embeddings/token"] != other["embeddings/token"]).any()


def test_a_net_that_no_family_has_is_refused(tmp_path: Path) -> None:
    for changes, message in (
        ({"heads": 3}, "not a multiple of heads, 3"),
        ({"kv_heads": 3}, "kv_heads"),
        ({"context": 0}, "context is 0"),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            write_decoder_config(tmp_path, family="llama", **{**SIZES["llama"], **changes})
        assert caught.value.where == "model.size"
    with pytest.raises(ConfigError, match="a GPT-2 has as many"):
        write_decoder_config(tmp_path, family="gpt2", **{**SIZES["gpt2"], "kv_heads": 1})


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "gpt2",
            {"model_type": "bert"},
            "The preset is a bert; language models are read of these: GPT-2, Llama and kerasft's own",
        ),
        ("gpt2", {"n_layer": "2"}, "layers is '2'"),
        ("gpt2", {"n_layer": 201}, "layers is 201"),
        ("gpt2", {"n_head": 0}, "not a multiple of heads, 0"),
        ("gpt2", {"activation_function": "relu"}, "activation_function is 'relu', which kerasft does not"),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ("gpt2", {"vocab_size": 10_000_000, "n_embd": 1024}, "at most 4,000,000,000"),
        ("llama", {"rope_scaling": {"rope_type": "yarn", "factor": 8.0}}, "rope_type is 'yarn'"),
        ("llama", {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "lacks low_freq_factor"),
        ("llama", {"rope_scaling": {**SCALING, "factor": "8"}}, "RoPE is scaled by .'8'"),
        ("llama", {"head_dim": 8}, "head_dim is 8"),
        ("llama", {"attention_bias": True}, "attention_bias is true"),
        ("llama", {"rms_norm_eps": -1}, "norm_epsilon -1.0"),
        ("own", {"norm": "layer"}, "norm is 'layer'"),
        ("llama", {"vocab_size": 41}, r"embed_tokens.weight is F32 \[40, 16\], not floats \[41, 16\]"),
        ("llama", {"num_hidden_layers": 3}, "layers.2.*is missing"),
    ],
)
def test_a_bad_config_is_refused_by_name(name: str, changes: dict, message: str, tmp_path: Path) -> None:
    folder = write_hugging_face(tmp_path, name, {"gpt2": "transformer.", "llama": "model."}.get(name, ""))
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(PresetError, match=message):
        load_decoder(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sliding_window": 4}, "keys that are not known: sliding_window"),
        ({"num_layers": 0}, "layers is 0"),
        ({"rope_position_scaling_factor": 2.0}, "rope_position_scaling_factor is 2.0"),
    ],
)
def test_a_bad_config_of_keras_hub_is_refused_by_name(changes: dict, message: str, tmp_path: Path) -> None:
    inner = {
        "vocabulary_size": 40,
        "num_layers": 2,
        "num_query_heads": 4,
        "num_key_value_heads": 2,
        "hidden_dim": 16,
        "intermediate_dim": 24,
        "rope_max_wavelength": 10000,
        "layer_norm_epsilon": 1e-5,
    }
    config = {"registered_name": "keras_hub>LlamaBackbone", "config": {**inner, **changes}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(PresetError, match=message):
        load_decoder(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**config, "config": inner}))
    assert find_sizes(load_decoder(tmp_path, random_weights=True)).layers == 2


def test_a_config_that_lacks_a_size_is_refused(tmp_path: Path) -> None:
    folder = write_new(tmp_path, "llama")
    config = json.loads((folder / "config.json").read_text())
    del config["hidden_size"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(PresetError, match="lacks hidden_size"):
        load_decoder(folder, random_weights=True)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    folder = write_hugging_face(tmp_path, "llama", "model.")
    tensors = load_file(folder / "model.safetensors")
    tensors["model.norm.weight"][3] = np.nan
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(PresetError, match=r"final_norm.* not finite"):
        load_decoder(folder)


def test_more_tokens_than_positions_are_refused(tmp_path: Path) -> None:
    folder = write_new(tmp_path, "gpt2")
    assert find_sizes(load_decoder(folder, random_weights=True, context=16)).context == 16
    with pytest.raises(ConfigError, match="supports 16 positions, but context is 17"):
        load_decoder(folder, random_weights=True, context=17)


def test_a_damaged_or_foreign_published_model_is_refused(tmp_path: Path) -> None:
    model, preset = build_trained(tmp_path, "own")
    publish_decoder(model, preset, load_family("own").load_tokenizer(preset), tmp_path)
    path = tmp_path / "model.keras"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises((PresetError, DamagedError)):
        load_published_decoder(tmp_path)
    other, start = build_trained(tmp_path / "other", "llama")
    publish_decoder(other, start, load_family("llama").load_tokenizer(start), tmp_path / "other")
    path.write_bytes((tmp_path / "other" / "model.keras").read_bytes())
    with pytest.raises(PresetError, match="The model cannot be loaded"):
        load_published_decoder(tmp_path)


def test_chat_templates_are_found_in_both_places(tmp_path: Path) -> None:
    assert load_chat_template(tmp_path) is None
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps({"chat_template": "{{ messages }}"}))
    assert load_chat_template(tmp_path) == "{{ messages }}"
    named = [{"name": "tools", "template": "t"}, {"name": "default", "template": "d"}]
    config.write_text(json.dumps({"chat_template": named}))
    assert load_chat_template(tmp_path) == "d"
    (tmp_path / "chat_template.jinja").write_text("{% for m in messages %}", encoding="utf-8")
    assert load_chat_template(tmp_path) == "{% for m in messages %}"


def test_tiny_sizes_are_those_of_the_families() -> None:
    """What tests of the layers use is what the families build, but for numbers."""
    for kind, name in (("learned", "gpt2"), ("rotary", "llama"), ("own", "own")):
        tiny, made = tiny_decoders.SIZES[kind], load_family(name).make_sizes(**SIZES[name])
        same = ("norm", "activation", "biases", "qk_norm", "zero_outputs", "has_rope")
        assert [getattr(tiny, each) for each in same] == [getattr(made, each) for each in same]
