"""Layers that are computed twice against the same layers computed once: gradients, masks, memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_bert import lend_backbone, make_inputs
from tolerances import TINY_BERT, needs_bfloat16

from kerasft.errors import ConfigError
from kerasft.models.text.bert import FAMILY
from kerasft.models.text.heads import build_fast_classifier
from kerasft.models.text.remat import RepeatableSeeds, set_remat

pytestmark = pytest.mark.numerical

UNKNOWN, KNOWN = (None, None), (6, 24)


def compute_steps(
    remat: bool, shape: tuple[int | None, ...] = UNKNOWN, steps: int = 2, **settings
) -> tuple[list[list[np.ndarray]], list[np.ndarray]]:
    """Gradients of a classifier's loss at several steps, dropout on, and the generators' states after them."""
    model = build_fast_classifier(lend_backbone(seed=1, dropout=0.2), 3, dropout=0.1, seed=7, **settings)
    set_remat(model, remat)
    inputs = make_inputs(6, 24)

    @tf.function(input_signature=[{name: tf.TensorSpec(shape, tf.int32) for name in inputs}], autograph=False)
    def compute_gradients(inputs):
        with tf.GradientTape() as tape:
            logits = model(inputs, training=True)
            loss = tf.reduce_mean(tf.square(logits - 1.0))
        found = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
        return [tf.convert_to_tensor(gradient) for gradient in found]

    gradients = [[value.numpy() for value in compute_gradients(inputs)] for _ in range(steps)]
    return gradients, [variable.numpy() for variable in model.non_trainable_variables]


@pytest.mark.parametrize(("pooling", "shape"), [("cls", UNKNOWN), ("mean", KNOWN)])
def test_gradients_are_those_of_layers_computed_once_dropout_on(pooling: str, shape: tuple) -> None:
    once, states = compute_steps(False, shape, pooling=pooling)
    twice, states_of_twice = compute_steps(True, shape, pooling=pooling)
    for left, right in zip(once, twice, strict=True):
        for a, b in zip(left, right, strict=True):
            assert np.abs(a).max() > 0
            np.testing.assert_allclose(a, b, atol=TINY_BERT)
    assert any((a != b).any() for a, b in zip(*once, strict=True))  # the second step drops others
    for a, b in zip(states, states_of_twice, strict=True):
        np.testing.assert_array_equal(a, b)


@needs_bfloat16
@pytest.mark.slow
def test_gradients_of_narrow_products_differ_by_their_rounding_alone() -> None:
    once, _ = compute_steps(False, pooling="mean", matmul_dtype="bfloat16")
    twice, _ = compute_steps(True, pooling="mean", matmul_dtype="bfloat16")
    exact, _ = compute_steps(False, pooling="mean")
    for narrow, again, right in zip(once[0], twice[0], exact[0], strict=True):
        assert np.abs(narrow - again).max() <= np.abs(narrow - right).max() + 1e-6


def test_without_a_graph_gradients_are_the_same_too() -> None:
    found = []
    for remat in (False, True):
        encoder = FAMILY.build_fast_encoder(lend_backbone(seed=1, dropout=0.2), pooled=True, seed=7)
        set_remat(encoder, remat)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(encoder(make_inputs(6, 24), training=True)))
        values = tape.gradient(loss, [variable.value for variable in encoder.trainable_variables])
        found.append([tf.convert_to_tensor(value).numpy() for value in values])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, atol=TINY_BERT)


def test_answers_do_not_depend_on_it() -> None:
    model = build_fast_classifier(lend_backbone(), 2, pooling="mean", dropout=0.1, seed=0)
    inputs = make_inputs(6, 24)
    expected = model(inputs, training=False)
    set_remat(model, True)
    np.testing.assert_array_equal(model(inputs, training=False), expected)


def test_seeds_are_keras_own_and_their_state_has_its_name() -> None:
    ours, keras_own = RepeatableSeeds(5), keras.random.SeedGenerator(5)
    for _ in range(3):
        np.testing.assert_array_equal(ours.next(), keras_own.next())
    assert ours.state.path == "seed_generator/seed_generator_state"


def test_kept_seeds_are_given_once_more_and_the_state_stands_still() -> None:
    generator, seeds, after = RepeatableSeeds(5), [], tf.constant(0.0)
    with generator.keep(seeds, after):
        first = [generator.next().numpy().tolist() for _ in range(2)]
    state = generator.state.numpy().tolist()
    with generator.keep(seeds, after):
        again = [generator.next().numpy().tolist() for _ in range(2)]
    assert first == again == [[5, 0], [5, 1]]
    assert generator.state.numpy().tolist() == state
    assert generator.next().numpy().tolist() == [5, 2]


def test_a_net_without_such_layers_is_refused() -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs), name="small")
    set_remat(model, False)
    with pytest.raises(ConfigError, match="no layer of small supports gradient checkpointing") as caught:
        set_remat(model, True)
    assert caught.value.where == "train.remat"


_SCRIPT = """
import sys

import keras, keras_hub
import numpy as np
from kerasft.models.text.heads import build_fast_classifier
from kerasft.models.text.remat import set_remat
from kerasft.training.memory import measure_peak_memory_mb

backbone = keras_hub.models.BertBackbone(
    vocabulary_size=100, num_layers=5, num_heads=4, hidden_dim=64, intermediate_dim=128, max_sequence_length=512
)
model = build_fast_classifier(backbone, 2, pooling="mean", dropout=0.1, seed=0)
set_remat(model, sys.argv[1] == "True")
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.SGD(1e-3), loss, jit_compile=False)
rows = np.ones((16, 512), "int32")
inputs = {"token_ids": rows, "segment_ids": 0 * rows, "padding_mask": rows}
labels = np.arange(16) % 2
before = measure_peak_memory_mb()
model.fit(inputs, labels, batch_size=16, epochs=2, verbose=0)
print("peak", measure_peak_memory_mb() - before)
"""


@pytest.mark.slow
def test_a_step_takes_less_than_half_the_memory(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(_SCRIPT)
    peaks = []
    for remat in ("False", "True"):
        command = [sys.executable, str(script), remat]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks += [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("peak ")]
    once, twice = peaks
    assert once > 1000  # MB; five layers of 16 × 4 × 512 × 512 scores several times over
    assert twice < 0.5 * once
