"""Masked language models: the fast form against keras-hub's, packed rows, and heads of presets."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_bert
import tiny_distilbert
from safetensors.numpy import save_file
from tolerances import TINY_BERT

from kerasft.errors import PresetError
from kerasft.models.text.families import family_of
from kerasft.models.text.masked_heads import (
    build_fast_masked_lm,
    build_hub_masked_lm,
    load_head,
    publish_masked_lm,
)
from kerasft.models.text.presets import load_text_backbone
from kerasft.models.weights.saved_models import load_model_weights

FAMILIES = {"bert": "Bert", "distilbert": "DistilBert", "roberta": "Roberta", "xlm_roberta": "XLMRoberta"}
"""A family → how keras-hub's classes of it are called."""


def build_backbone(name: str, seed: int = 0) -> Any:
    if name == "bert":
        return tiny_bert.build_backbone(seed, dropout=0.0)
    import keras_hub

    keras.utils.set_random_seed(seed)
    sizes = tiny_bert.build_backbone().get_config()
    names = (
        "vocabulary_size",
        "num_layers",
        "num_heads",
        "hidden_dim",
        "intermediate_dim",
        "max_sequence_length",
    )
    build = getattr(keras_hub.models, f"{FAMILIES[name]}Backbone")
    return build(**{name: sizes[name] for name in names}, dropout=0.0)


@functools.cache
def build_hub(name: str) -> Any:
    """keras-hub's model on a tiny backbone, every variable of its head off its first value; to be read only."""
    hub = build_hub_masked_lm(build_backbone(name))
    generator = np.random.default_rng(0)
    for variable in hub.masked_lm_head.trainable_variables:
        variable.assign(variable.numpy() + 0.1 * generator.standard_normal(variable.shape))
    return hub


def make_batch() -> dict[str, tf.Tensor]:
    """Three rows of random tokens with four masked places each."""
    inputs = tiny_bert.make_inputs(3, 12)
    positions = tf.constant([[0, 1, 1, 0], [0, 1, 0, 1], [1, 0, 1, 1]], tf.int32)
    place = tf.zeros((3, 1), tf.int32) + tf.range(12)[None, :]
    return {**inputs, "position_ids": place, "mask_positions": positions}


def ask(model: Any, batch: dict[str, tf.Tensor]) -> np.ndarray:
    return model({name: batch[name] for name in model.input}, training=False).numpy()


@pytest.mark.numerical
@pytest.mark.parametrize("name", FAMILIES)
def test_the_fast_form_gives_the_logits_of_keras_hub(name: str) -> None:
    hub, batch = build_hub(name), make_batch()
    fast = build_fast_masked_lm(hub, dropout=0.0, seed=0)
    np.testing.assert_allclose(ask(fast, batch), ask(hub, batch), atol=TINY_BERT)
    assert fast.output_shape == (None, None, len(tiny_bert.PIECES))


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_go_into_keras_hubs_model_and_back_unchanged(name: str, tmp_path: Path) -> None:
    hub = build_hub(name)
    fast = build_fast_masked_lm(hub, dropout=None, seed=0)
    other = build_hub_masked_lm(build_backbone(name, 4))
    publish_masked_lm(fast, other)
    # a pooler takes no part
    for mine, theirs in zip(hub.weights, other.weights, strict=True):
        if "pooled_dense" not in mine.path:
            np.testing.assert_array_equal(mine, theirs, err_msg=mine.path)
    other.save(tmp_path / "model.keras")
    found = build_hub_masked_lm(build_backbone(name, 5))
    load_model_weights(found, tmp_path / "model.keras")
    for mine, theirs in zip(other.weights, found.weights, strict=True):
        np.testing.assert_array_equal(mine, theirs, err_msg=mine.path)


def test_the_saved_model_opens_with_keras_and_keras_hub(tmp_path: Path) -> None:
    hub, batch = build_hub("bert"), make_batch()
    hub.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        ask(keras.models.load_model(tmp_path / "model.keras"), batch), ask(hub, batch)
    )


@pytest.mark.numerical
def test_texts_in_one_row_do_not_see_each_other() -> None:
    fast = build_fast_masked_lm(build_hub("bert"), dropout=0.0, seed=0)
    generator = np.random.default_rng(1)
    one, other = (generator.integers(5, len(tiny_bert.PIECES), size).astype(np.int32) for size in (5, 7))

    def make_row(*texts: np.ndarray) -> dict[str, tf.Tensor]:
        row = {
            "token_ids": np.concatenate(texts),
            "padding_mask": np.repeat(np.arange(1, len(texts) + 1), [len(text) for text in texts]),
            "position_ids": np.concatenate([np.arange(len(text)) for text in texts]),
        }
        row["segment_ids"] = np.zeros_like(row["token_ids"])
        row["mask_positions"] = np.arange(len(row["token_ids"]))
        # a place of padding at the end, which nothing sees
        padded = {name: np.append(values, 0) for name, values in row.items() if name != "mask_positions"}
        return {name: tf.constant(values[None], tf.int32) for name, values in {**row, **padded}.items()}

    packed = ask(fast, make_row(one, other))[0]
    np.testing.assert_allclose(packed[:5], ask(fast, make_row(one))[0], atol=TINY_BERT)
    np.testing.assert_allclose(packed[5:], ask(fast, make_row(other))[0], atol=TINY_BERT)


@pytest.mark.numerical
def test_gradients_are_those_of_keras_hubs_model() -> None:
    """The last layer's and the head's too, which are computed at masked places alone."""
    hub, batch = build_hub("bert"), make_batch()
    fast = build_fast_masked_lm(hub, dropout=0.0, seed=0)
    targets = tf.constant([[7, 9, 11, 30], [8, 10, 12, 31], [20, 21, 22, 23]])

    def compute(model: Any, variables: list[Any]) -> list[np.ndarray]:
        with tf.GradientTape() as tape:
            logits = model({name: batch[name] for name in model.input}, training=False)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits))
        return [
            tf.convert_to_tensor(gradient).numpy()
            for gradient in tape.gradient(loss, [variable.value for variable in variables])
        ]

    encoder = next(layer for layer in fast.layers if isinstance(layer, keras.Model))
    family = family_of(hub.backbone)
    pairs = [(mine, theirs) for mine, theirs in family.pair_weights(hub.backbone, encoder)]
    mine = compute(fast, [variable for variable, _ in pairs])
    flat = compute(hub, [variable for _, many in pairs for variable in many])
    place = 0
    for gradient, (variable, many) in zip(mine, pairs, strict=True):
        theirs = flat[place : place + len(many)]
        place += len(many)
        rows = [fast_shape(variable, part) for part in theirs]
        np.testing.assert_allclose(gradient, np.concatenate(rows, -1), atol=TINY_BERT, err_msg=variable.path)


def fast_shape(variable: Any, part: np.ndarray) -> np.ndarray:
    return part.reshape([variable.shape[0], -1] if len(variable.shape) == 2 else [-1])


def test_a_presets_head_is_found_again(tmp_path: Path) -> None:
    hub = build_hub("bert")
    hub.save_to_preset(str(tmp_path / "preset"))
    found = build_hub_masked_lm(tiny_bert.build_backbone(seed=6))
    assert load_head(found, tmp_path / "preset")
    for mine, theirs in zip(hub.masked_lm_head.weights, found.masked_lm_head.weights, strict=True):
        if "token_embedding" not in mine.path:
            np.testing.assert_array_equal(mine, theirs, err_msg=mine.path)


def test_a_preset_without_head_leaves_it_random(tmp_path: Path) -> None:
    tiny_bert.write_preset(tmp_path / "hub")
    tiny_distilbert.write_preset(tmp_path / "hugging-face")
    assert not load_head(build_hub_masked_lm(tiny_bert.build_backbone()), tmp_path / "hub")
    hub = build_hub_masked_lm(build_backbone("distilbert"))
    assert not load_head(hub, tmp_path / "hugging-face")


def test_a_damaged_head_is_told(tmp_path: Path) -> None:
    build_hub("bert").save_to_preset(str(tmp_path / "preset"))
    path = tmp_path / "preset" / "task.weights.h5"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(PresetError, match="head's weights cannot be loaded"):
        load_head(build_hub_masked_lm(tiny_bert.build_backbone()), tmp_path / "preset")


def write_hugging_face_masked_lm(folder: Path, *, ties: bool = True, has_pooler: bool = False) -> Any:
    """A tiny BERT as `BertForMaskedLM` is saved, from keras-hub's model, which is returned."""
    hub = build_hub("bert")
    family, sizes = family_of(hub.backbone), hub.backbone.get_config()
    folder.mkdir()
    config = {theirs: sizes[ours] for ours, theirs in family.size_names.items()}
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", **config}), encoding="utf-8")
    variables = family.find_hub_variables(hub.backbone)
    stored = family.list_stored(family.read_sizes(folder), {}, needs_pooler=has_pooler)
    tensors = {}
    for key, each in stored.items():
        value = variables[key].numpy()
        tensors[f"bert.{each.name}"] = (
            value.reshape(each.shape[::-1]).T if each.transposed else value.reshape(each.shape)
        )
    head, names = hub.masked_lm_head, family.masked_head_names
    tensors[f"{names.dense}.weight"] = head._intermediate_dense.kernel.numpy().T
    tensors[f"{names.dense}.bias"] = head._intermediate_dense.bias.numpy()
    tensors[f"{names.layer_norm}.weight"] = head._intermediate_layer_norm.gamma.numpy()
    tensors[f"{names.layer_norm}.bias"] = head._intermediate_layer_norm.beta.numpy()
    tensors[names.bias] = head._bias.numpy()
    tensors[names.decoder] = hub.backbone.token_embedding.embeddings.numpy() + (0.0 if ties else 0.1)
    tensors = {name: np.ascontiguousarray(value) for name, value in tensors.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return hub


def test_a_head_in_hugging_faces_form_is_found_without_a_pooler(tmp_path: Path) -> None:
    hub = write_hugging_face_masked_lm(tmp_path / "preset")
    found = build_hub_masked_lm(load_text_backbone(tmp_path / "preset", needs_pooler=False))
    assert load_head(found, tmp_path / "preset")
    batch = make_batch()
    inputs = {name: batch[name] for name in hub.input}
    np.testing.assert_allclose(found(inputs), hub(inputs), atol=1e-5)
    # the pooler that is not there is the same whenever the preset is loaded
    again = load_text_backbone(tmp_path / "preset", needs_pooler=False)
    for one, other in zip(found.backbone.weights, again.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_pooler_that_is_needed_and_not_there_is_told(tmp_path: Path) -> None:
    write_hugging_face_masked_lm(tmp_path / "preset")
    with pytest.raises(PresetError, match=r"pooler\.dense\.weight is missing"):
        load_text_backbone(tmp_path / "preset")


def test_a_head_with_a_table_of_its_own_is_refused(tmp_path: Path) -> None:
    write_hugging_face_masked_lm(tmp_path / "preset", ties=False)
    hub = build_hub_masked_lm(load_text_backbone(tmp_path / "preset", needs_pooler=False))
    with pytest.raises(PresetError, match="matrix of its own"):
        load_head(hub, tmp_path / "preset")
