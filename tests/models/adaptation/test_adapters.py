"""LoRA's products merged and apart, and the small file that they are kept in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tiny_bert import build_backbone, lend_backbone, make_inputs
from tolerances import TINY_BERT

from kerasft.errors import ConfigError, PresetError
from kerasft.integrity import HASHES
from kerasft.models.adaptation.adapters import begin_adapters, load_adapter, read_adapter, save_adapter
from kerasft.models.adaptation.config import FullConfig, LoraConfig
from kerasft.models.adaptation.lora import add_lora, list_products, merge_lora
from kerasft.models.config import TextModelConfig
from kerasft.models.hubs.folders import compute_preset_fingerprint
from kerasft.models.text.heads import build_fast_classifier, publish_classifier
from kerasft.optimizers.matrices import count_matrices

pytestmark = pytest.mark.numerical

ALL = ("query", "key", "value", "attention_output", "feedforward_intermediate", "feedforward_output")
LABELS = ("disliked", "liked")


def build(pooling: str = "cls", num_classes: int = 2, seed: int = 0) -> keras.Model:
    return build_fast_classifier(lend_backbone(), num_classes, pooling=pooling, dropout=0.1, seed=seed)


def learn(model: keras.Model) -> None:
    """Moves every matrix off its beginning, far more than a training does."""
    generator = np.random.default_rng(3)
    for variable in list_products(model):
        variable.assign(generator.normal(0, 0.3, variable.shape).astype(np.float32))


def make_config(**settings: Any) -> LoraConfig:
    return LoraConfig(type="lora", **{"rank": 3, **settings})


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("targets", [("query", "value"), ("key",), ALL])
def test_merged_and_apart_agree(targets: Any, pooling: str) -> None:
    model, inputs = build(pooling), make_inputs(5, 9)
    first = model(inputs, training=False).numpy()
    add_lora(model, make_config(targets=targets), seed=0)
    assert {count_matrices(factor) for factor in list_products(model)} == {0}  # their product is the matrix
    np.testing.assert_array_equal(model(inputs, training=False), first)
    learn(model)
    apart = model(inputs, training=False).numpy()
    assert np.abs(apart - first).max() > 1e-3
    public = publish_classifier(model, build_backbone(seed=5), pooling=pooling, dropout=0.1)
    np.testing.assert_allclose(public(inputs, training=False), apart, atol=TINY_BERT)
    merge_lora(model)
    np.testing.assert_allclose(model(inputs, training=False), apart, atol=TINY_BERT)
    assert not list_products(model)
    assert not [variable for variable in model.weights if "_lora_" in variable.path]


def test_the_product_is_scaled_by_alpha_over_rank() -> None:
    inputs, outputs = make_inputs(5, 9), []
    for alpha in (3.0, 6.0):
        model = build()
        add_lora(model, make_config(alpha=alpha, targets=("feedforward_output",)), seed=0)
        learn(model)
        encoder = next(each for each in model.layers if isinstance(each, keras.Model))
        block = encoder.get_layer("transformer_layer_0")
        kernel = block._dense["feedforward_output"][0].numpy()
        product = block.low_rank["feedforward_output"]
        outputs.append(product.merge(kernel) - kernel)
    np.testing.assert_allclose(outputs[1], 2 * outputs[0], atol=TINY_BERT)
    assert inputs


def test_dropout_is_drawn_in_training_only() -> None:
    model, inputs = build(), make_inputs(5, 9)
    add_lora(model, make_config(dropout=0.5), seed=0)
    learn(model)
    for layer in next(each for each in model.layers if isinstance(each, keras.Model)).layers:
        layer.dropout = 0.0
    model.get_layer("head_dropout").rate = 0.0
    answers = [model(inputs, training=True).numpy() for _ in range(2)]
    assert (answers[0] != answers[1]).any()
    np.testing.assert_array_equal(model(inputs, training=False), model(inputs, training=False))


def test_one_seed_draws_one_adapter() -> None:
    drawn = []
    for seed in (0, 0, 1):
        model = build()
        add_lora(model, make_config(), seed=seed)
        drawn.append([variable.numpy() for variable in list_products(model)])
    for a, b in zip(drawn[0], drawn[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert (drawn[0][0] != drawn[2][0]).any()
    downs = [value for value in drawn[0] if value.any()]
    assert len({value.tobytes() for value in downs}) == len(downs) == 4


def test_a_rank_above_a_layers_width_is_refused() -> None:
    with pytest.raises(ConfigError, match="rank 33 is more than the 32 columns of query"):
        add_lora(build(), make_config(rank=33), seed=0)


@pytest.fixture(scope="module")
def saved_adapter(tmp_path_factory: pytest.TempPathFactory, tiny_preset: Path) -> Path:
    """An adapter that learned on the tiny preset, its head too; to be read only."""
    folder = tmp_path_factory.mktemp("adapters") / "adapter"
    model = build(seed=7)
    add_lora(model, make_config(), seed=0)
    learn(model)
    save(model, folder, compute_preset_fingerprint(tiny_preset))
    return folder


@pytest.fixture
def adapter(tmp_path: Path, saved_adapter: Path) -> Path:
    """A copy of it without the hashes of its files, as from someone else: what is changed there is not told by them."""
    ignored = shutil.ignore_patterns(HASHES)
    return Path(shutil.copytree(saved_adapter, tmp_path / "adapter", ignore=ignored))


def save(model: keras.Model, folder: Path, preset: str) -> None:
    head = [*model.get_layer("logits").weights]
    save_adapter(model, head, folder, make_config(), preset=preset, label_names=LABELS)


def test_an_adapter_comes_back_to_the_bit(adapter: Path) -> None:
    original = build(seed=7)
    add_lora(original, make_config(), seed=0)
    learn(original)
    model = build(seed=1)
    read = load_adapter(model, adapter)
    assert (read.config, read.label_names) == (make_config(), LABELS)
    for ours, theirs in zip(model.weights, original.weights, strict=True):
        assert ours.numpy().tobytes() == theirs.numpy().tobytes(), ours.path
    inputs = make_inputs(5, 9)
    np.testing.assert_array_equal(model(inputs, training=False), original(inputs, training=False))
    save(model, adapter.parent / "again", read.preset)
    for name in ("adapter.safetensors", "adapter.json"):
        assert (adapter.parent / "again" / name).read_bytes() == (adapter / name).read_bytes()


def test_a_run_that_begins_with_an_adapter_has_it_beside_or_in_its_weights(
    adapter: Path, tiny_preset: Path
) -> None:
    inputs, answers = make_inputs(5, 9), []
    for adaptation in (make_config(), FullConfig(type="full")):
        model = build()
        config = TextModelConfig(preset="tiny", adapter=str(adapter), adaptation=adaptation)
        begin_adapters(model, config, tiny_preset, LABELS, seed=0)
        answers.append(model(inputs, training=False).numpy())
        assert bool(list_products(model)) == (adaptation.type == "lora")
    np.testing.assert_allclose(answers[0], answers[1], atol=TINY_BERT)


@pytest.mark.parametrize(
    ("settings", "labels", "said"),
    [
        ({"rank": 4}, LABELS, r"trained with rank 3, and would be trained further with 4"),
        (
            {"targets": ("key",)},
            LABELS,
            r"with targets \[query, value\], and would be trained further with \[key\]",
        ),
        ({}, ("liked", "disliked"), "for the labels disliked, liked, and these are liked, disliked"),
    ],
)
def test_an_adapter_that_cannot_go_on_so_is_refused(
    settings: dict, labels: Any, said: str, adapter: Path, tiny_preset: Path
) -> None:
    config = TextModelConfig(preset="tiny", adapter=str(adapter), adaptation=make_config(**settings))
    with pytest.raises(ConfigError, match=said):
        begin_adapters(build(), config, tiny_preset, labels, seed=0)


def test_an_adapter_of_another_preset_is_refused(adapter: Path, tiny_preset: Path) -> None:
    told = json.loads((adapter / "adapter.json").read_text())
    (adapter / "adapter.json").write_text(json.dumps({**told, "preset_fingerprint": "0" * 64}))
    config = TextModelConfig(preset="tiny", adapter=str(adapter))
    with pytest.raises(ConfigError, match=r"trained on another preset \(000000000000…"):
        begin_adapters(build(), config, tiny_preset, LABELS, seed=0)


def test_an_adapter_with_another_head_is_refused(adapter: Path) -> None:
    with pytest.raises(PresetError, match=r"logits/bias has shape \(2,\), the model's is \(3,\)"):
        load_adapter(build(num_classes=3), adapter)


def cut(folder: Path) -> None:
    path = folder / "adapter.safetensors"
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "adapter.json").unlink(), "lacks adapter.json"),
        (lambda folder: (folder / "adapter.safetensors").unlink(), "lacks adapter.safetensors"),
        (lambda folder: (folder / "adapter.json").write_text("[]"), "does not describe an adapter"),
        (lambda folder: (folder / "adapter.json").write_text('{"rank": -1}'), "does not describe an adapter"),
        (cut, "weights cannot be read"),
    ],
)
def test_a_damaged_adapter_is_named(damage: Any, said: str, adapter: Path) -> None:
    damage(adapter)
    with pytest.raises(PresetError, match=said) as caught:
        read_adapter(adapter)
    assert str(adapter) in str(caught.value)


def test_weights_that_are_not_finite_are_refused(adapter: Path) -> None:
    from safetensors.numpy import load_file, save_file

    tensors = load_file(adapter / "adapter.safetensors")
    tensors["logits/bias"][0] = np.nan
    save_file(tensors, adapter / "adapter.safetensors")
    with pytest.raises(PresetError, match="logits/bias is not finite"):
        load_adapter(build(), adapter)
