"""The classifier that learns against the one that is saved, and what a clean process makes of the file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_bert import build_backbone, lend_backbone, make_inputs
from tolerances import TINY_BERT, needs_bfloat16

from kerasft.models.text.heads import (
    accelerate_classifier,
    build_fast_classifier,
    build_hub_classifier,
    find_encoder,
    publish_classifier,
)

pytestmark = pytest.mark.numerical


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_what_learned_is_what_is_published(pooling: str) -> None:
    fast = build_fast_classifier(lend_backbone(seed=1), 3, pooling=pooling, dropout=0.1, seed=0)
    inputs = make_inputs(5, 12)
    logits = fast(inputs, training=False)
    public = publish_classifier(fast, build_backbone(seed=2), pooling=pooling, dropout=0.1)
    np.testing.assert_allclose(public(inputs, training=False), logits, atol=TINY_BERT)
    again = accelerate_classifier(public, pooling=pooling)
    np.testing.assert_array_equal(again(inputs, training=False), logits)
    for ours, theirs in zip(again.weights, fast.weights, strict=False):
        assert ours.shape == theirs.shape


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_the_head_reads_what_its_name_says(pooling: str) -> None:
    backbone = build_backbone(seed=1)
    fast = build_fast_classifier(backbone, 2, pooling=pooling, dropout=0.5, seed=0)
    inputs = make_inputs(5, 12)
    outputs = backbone(inputs, training=False)
    if pooling == "cls":
        features = outputs["pooled_output"].numpy()
    else:
        mask = inputs["padding_mask"].numpy()[..., None].astype(np.float32)
        features = (outputs["sequence_output"] * mask).numpy().sum(1) / mask.sum(1)
    head = fast.get_layer("logits")
    expected = features @ head.kernel.numpy() + head.bias.numpy()
    np.testing.assert_allclose(fast(inputs, training=False), expected, atol=TINY_BERT)


@needs_bfloat16
def test_the_head_is_float32_whatever_products_are_taken_in() -> None:
    fast = build_fast_classifier(
        build_backbone(), 2, pooling="cls", dropout=0.1, seed=0, matmul_dtype="bfloat16"
    )
    assert fast(make_inputs(5, 12)).dtype == tf.float32
    assert {variable.dtype for variable in fast.trainable_variables} == {"float32"}


def test_dropout_stands_before_the_head() -> None:
    backbone = build_backbone(dropout=0.0)
    fast = build_fast_classifier(backbone, 2, pooling="cls", dropout=0.5, seed=0)
    inputs = make_inputs(5, 12)
    assert (fast(inputs, training=True).numpy() != fast(inputs, training=False).numpy()).any()
    without = build_fast_classifier(backbone, 2, pooling="cls", dropout=0.0, seed=0)
    np.testing.assert_array_equal(without(inputs, training=True), without(inputs, training=False))


def test_one_seed_makes_one_model() -> None:
    def build(seed):
        return build_fast_classifier(lend_backbone(), 4, pooling="cls", dropout=0.1, seed=seed)

    inputs = make_inputs(5, 12)
    first, again, other = build(7), build(7), build(8)
    np.testing.assert_array_equal(first(inputs, training=True), again(inputs, training=True))
    assert (first.get_layer("logits").kernel.numpy() != other.get_layer("logits").kernel.numpy()).any()


def test_one_step_of_training_moves_every_weight() -> None:
    fast = build_fast_classifier(lend_backbone(dropout=0.0), 2, pooling="cls", dropout=0.0, seed=0)
    before = [variable.numpy() for variable in fast.trainable_variables]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    fast.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
    inputs = make_inputs(5, 12)
    fast.fit(tf.data.Dataset.from_tensors((inputs, tf.constant([0, 1, 0, 0, 1]))), verbose=0)
    for variable, value in zip(fast.trainable_variables, before, strict=True):
        assert (variable.numpy() != value).any(), variable.path


_SCRIPT = """
import json, sys
import keras, keras_hub
import numpy as np
model = keras.saving.load_model(sys.argv[1])
inputs = {name: np.array(rows, "int32") for name, rows in json.load(open(sys.argv[2])).items()}
answers = {
    "logits": model(inputs, training=False).numpy().tolist(),
    "kerasft": sorted(name for name in sys.modules if name.split(".")[0] == "kerasft"),
    "class": type(model).__name__,
}
json.dump(answers, open(sys.argv[3], "w"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["mean"])
def test_the_saved_model_opens_with_keras_and_keras_hub_alone(tmp_path: Path, pooling: str) -> None:
    fast = build_fast_classifier(lend_backbone(seed=1), 3, pooling=pooling, dropout=0.1, seed=0)
    public = publish_classifier(fast, build_backbone(seed=2), pooling=pooling, dropout=0.1)
    public.save(tmp_path / "model.keras")
    inputs = make_inputs(5, 12)
    rows = {name: value.numpy().tolist() for name, value in inputs.items()}
    (tmp_path / "inputs.json").write_text(json.dumps(rows))
    script = tmp_path / "open.py"
    script.write_text(_SCRIPT)
    names = [str(tmp_path / name) for name in ("model.keras", "inputs.json", "answers.json")]
    subprocess.run([sys.executable, "-I", str(script), *names], check=True, cwd=tmp_path)
    answers = json.loads((tmp_path / "answers.json").read_text())
    assert answers["kerasft"] == []
    assert answers["class"] == "Functional"
    np.testing.assert_allclose(answers["logits"], public(inputs, training=False), atol=TINY_BERT)


def test_the_encoder_has_a_name_of_its_family() -> None:
    fast = build_fast_classifier(lend_backbone(), 2, pooling="cls", dropout=0.0, seed=0)
    assert find_encoder(fast).name == "fast_bert_encoder"
    public = build_hub_classifier(build_backbone(), 2, pooling="cls", dropout=0.0)
    assert [tuple(tensor.shape) for tensor in public.outputs] == [(None, 2)]
