"""DistilBERT: our encoder against its definition, keras-hub's backbone, and `transformers` where it is there."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_bert
import tiny_distilbert
from safetensors.numpy import load_file, save_file
from tolerances import TINY_BERT

from kerasft.errors import PresetError
from kerasft.models.adaptation.config import LoraConfig
from kerasft.models.adaptation.lora import add_lora, list_products
from kerasft.models.text.distilbert import FAMILY
from kerasft.models.text.families import find_family
from kerasft.models.text.heads import (
    accelerate_classifier,
    build_fast_classifier,
    publish_classifier,
    split_classifier,
)
from kerasft.models.text.operations import exact_gelu
from kerasft.models.text.presets import load_text_backbone
from kerasft.models.text.sizes import EncoderSizes

pytestmark = pytest.mark.numerical


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_distilbert.write_preset(tmp_path_factory.mktemp("presets") / "distilbert")


@pytest.fixture(scope="module")
def backbone(preset: Path):
    return load_text_backbone(preset)


def make_inputs(batch: int = 5, width: int = 17) -> dict[str, tf.Tensor]:
    inputs = tiny_bert.make_inputs(batch, width)
    return {name: inputs[name] for name in FAMILY.inputs}


def compute_expected(preset: Path, inputs: dict[str, tf.Tensor]) -> np.ndarray:
    """The last hidden states by definition."""
    tensors = {
        name.removeprefix("distilbert."): value
        for name, value in load_file(preset / "model.safetensors").items()
    }
    return tiny_distilbert.compute_hidden_states(
        tensors, inputs["token_ids"].numpy(), inputs["padding_mask"].numpy()
    )


def assert_alike(actual, expected, inputs, atol: float = TINY_BERT) -> None:
    tokens = inputs["padding_mask"].numpy().astype(bool)
    scale = max(1.0, float(np.abs(expected[tokens]).max()))
    np.testing.assert_allclose(np.asarray(actual)[tokens], expected[tokens], atol=atol * scale)


@pytest.mark.parametrize(("batch", "width"), [(1, 2), (5, 17), (2, 64)])
def test_hidden_states_are_those_of_the_definition(preset: Path, backbone, batch: int, width: int) -> None:
    inputs = make_inputs(batch, width)
    expected = compute_expected(preset, inputs)
    assert_alike(backbone(inputs, training=False), expected, inputs)
    assert_alike(FAMILY.build_fast_encoder(backbone, pooled=False)(inputs), expected, inputs)
    pooled = FAMILY.build_fast_encoder(backbone, pooled=True)(inputs)
    np.testing.assert_allclose(pooled, expected[:, 0], atol=TINY_BERT * max(1.0, np.abs(expected).max()))


def test_hidden_states_are_those_of_transformers(preset: Path, backbone) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    inputs = make_inputs()
    model = transformers.DistilBertModel.from_pretrained(preset).eval()
    with torch.no_grad():
        expected = model(
            input_ids=torch.tensor(inputs["token_ids"].numpy(), dtype=torch.long),
            attention_mask=torch.tensor(inputs["padding_mask"].numpy(), dtype=torch.long),
        ).last_hidden_state.numpy()
    assert_alike(FAMILY.build_fast_encoder(backbone, pooled=False)(inputs), expected, inputs, atol=1e-3)


def test_a_bare_model_is_read_as_one_with_a_head(preset: Path, backbone, tmp_path: Path) -> None:
    bare = load_text_backbone(tiny_distilbert.write_preset(tmp_path / "bare", prefix=""))
    for ours, theirs in zip(bare.weights, backbone.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_weights_of_other_formats_become_float32(preset: Path, backbone, tmp_path: Path, dtype: str) -> None:
    import ml_dtypes

    folder = tiny_distilbert.write_preset(tmp_path / dtype)
    narrow = getattr(ml_dtypes, dtype, None) or np.dtype(dtype)
    tensors = load_file(folder / "model.safetensors")
    save_file({name: value.astype(narrow) for name, value in tensors.items()}, folder / "model.safetensors")
    for ours, theirs in zip(load_text_backbone(folder).weights, backbone.weights, strict=True):
        assert ours.dtype == "float32"
        np.testing.assert_array_equal(ours, theirs.numpy().astype(narrow).astype(np.float32))


def test_dropout_is_read_from_hugging_faces_form(backbone) -> None:
    assert backbone.dropout == 0.02


def test_every_tensor_that_is_missing_is_named(preset: Path, tmp_path: Path) -> None:
    tensors = load_file(preset / "model.safetensors")
    folder = tiny_distilbert.write_preset(tmp_path / "lacking")
    for name in tensors:
        if name == "vocab_projector.bias":
            continue
        save_file({other: tensors[other] for other in tensors if other != name}, folder / "model.safetensors")
        with pytest.raises(PresetError, match=f"{name.removeprefix('distilbert.')} is missing"):
            load_text_backbone(folder)


@pytest.mark.parametrize("key", ["vocab_size", "n_layers", "n_heads", "dim", "hidden_dim"])
def test_sizes_are_read_by_hugging_faces_names(tmp_path: Path, key: str) -> None:
    folder = tiny_distilbert.write_preset(tmp_path / "odd", **{key: 0})
    with pytest.raises(PresetError, match=f"{key} is 0; a DistilBERT's is a whole number"):
        load_text_backbone(folder)


def test_another_activation_is_refused(tmp_path: Path) -> None:
    folder = tiny_distilbert.write_preset(tmp_path / "relu", activation="relu")
    with pytest.raises(PresetError, match="activation is 'relu'"):
        load_text_backbone(folder)


def test_it_comes_back_from_keras_hubs_form(backbone, preset: Path, tmp_path: Path) -> None:
    FAMILY.save_preset(backbone, FAMILY.load_tokenizer(preset), tmp_path / "again")
    assert json.loads((tmp_path / "again" / "config.json").read_text())["class_name"] == FAMILY.hub_class
    assert find_family(tmp_path / "again") is FAMILY
    again = load_text_backbone(tmp_path / "again")
    for ours, theirs in zip(again.weights, backbone.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    tokenizers = [FAMILY.load_tokenizer(folder) for folder in (preset, tmp_path / "again")]
    assert tokenizers[0].fingerprint == tokenizers[1].fingerprint


def test_gradients_are_keras_hubs() -> None:
    keras.utils.set_random_seed(0)
    backbone = FAMILY.build_backbone(EncoderSizes(len(tiny_bert.PIECES), 2, 2, 32, 64, 64, dropout=0.0))
    inputs = make_inputs()
    weights = np.random.default_rng(1).standard_normal((5, 17, 32)).astype(np.float32)
    weights *= inputs["padding_mask"].numpy()[..., None]  # what stands at padding is nobody's business
    encoder = FAMILY.build_fast_encoder(backbone, pooled=False)
    gradients = []
    for model in (encoder, backbone):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(inputs, training=True) * weights)
        variables = model.trainable_variables
        found = tape.gradient(loss, [variable.value for variable in variables])
        gradients.append(
            {
                id(variable): tf.convert_to_tensor(one).numpy()
                for variable, one in zip(variables, found, strict=True)
            }
        )
    compared = 0
    for fast, hub in FAMILY.pair_weights(backbone, encoder):
        for variable, part in zip(hub, np.split(gradients[0][id(fast)], len(hub), axis=-1), strict=True):
            expected = gradients[1][id(variable)]
            scale = max(float(np.abs(expected).max()), 1.0)
            np.testing.assert_allclose(part.reshape(variable.shape) / scale, expected / scale, atol=TINY_BERT)
            compared += 1
    assert compared == len(backbone.trainable_variables)


def test_exact_gelu_is_keras_and_its_gradient_too() -> None:
    x = tf.constant(np.linspace(-6, 6, 200, dtype=np.float32))
    results = []
    for function in (exact_gelu, lambda x: keras.activations.gelu(x, approximate=False)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        results.append((y, tape.gradient(y, x)))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("pooling", ["cls", "mean", "none"])
def test_what_learned_is_what_is_published(preset: Path, backbone, pooling: str) -> None:
    fast = build_fast_classifier(backbone, 3, pooling=pooling, dropout=0.1, seed=0)
    add_lora(fast, LoraConfig(type="lora", rank=4), seed=1)
    for number, part in enumerate(list_products(fast)):
        part.assign(0.1 * np.random.default_rng(number).standard_normal(part.shape))
    inputs = make_inputs()
    logits = fast(inputs, training=False)
    public = publish_classifier(fast, load_text_backbone(preset), pooling=pooling, dropout=0.1)
    given = public(inputs, training=False)
    np.testing.assert_allclose(given, logits, atol=4 * TINY_BERT * max(1.0, np.abs(logits).max()))
    again = accelerate_classifier(public, pooling=pooling)(inputs, training=False)
    np.testing.assert_allclose(again, given, atol=4 * TINY_BERT * max(1.0, np.abs(logits).max()))


def test_its_halves_give_what_the_whole_does(backbone) -> None:
    fast = build_fast_classifier(backbone, 3, pooling="cls", dropout=0.0, seed=0)
    extractor, head = split_classifier(fast, pooling="cls")
    inputs = make_inputs()
    features = extractor(inputs, training=False)
    assert features.shape == (5, 1, 32)
    np.testing.assert_allclose(head(features), fast(inputs, training=False), atol=TINY_BERT)


def test_depths_rise_from_the_embeddings(backbone) -> None:
    encoder = FAMILY.build_fast_encoder(backbone, pooled=True)
    depths = FAMILY.compute_depths(encoder)
    assert set(depths) == {variable.path for variable in encoder.weights}
    assert set(depths.values()) == {0, 1, 2}
