"""Muon against its equations in float64, against Keras', and what it does with which variable."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasft.errors import ConfigError
from kerasft.models.text.bert_layers import BertEmbeddings, BertTransformerLayer
from kerasft.optimizers import Muon, build_optimizer
from kerasft.optimizers.config import MuonConfig
from kerasft.optimizers.matrices import count_matrices, declare_matrices
from kerasft.optimizers.newton_schulz import LARGEST_BATCH, orthogonalise_all


def iterate_in_float64(matrix, steps=5):
    """What the iterations do to singular values, which is all they do."""
    left, values, right = np.linalg.svd(np.float64(matrix), full_matrices=False)
    values = values / (np.sqrt(np.sum(values**2)) + 1e-7)
    for _ in range(steps):
        values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    return left @ np.diag(values) @ right


def muon_in_float64(theta, gradients, rate, decay, momentum, *, nesterov, rms):
    theta, moved = np.float64(theta), 0.0
    for gradient in gradients:
        theta = theta - rate * decay * theta
        moved = momentum * moved + gradient
        update = iterate_in_float64(gradient + momentum * moved if nesterov else moved)
        theta = theta - rate * (1 if rms is None else rms * np.sqrt(max(theta.shape))) * update
    return theta


def make_kernel(shape, value=0.0, name="kernel"):
    return keras.Variable(np.full(shape, value), dtype="float32", name=name)


def test_first_step_by_hand():
    # A gradient of one number: x = 1 goes through p(x) = 3.4445 x − 4.7750 x³ + 2.0315 x⁵, five times:
    # the side is 1, so the update is 0.2 of that.
    x = 1.0
    for _ in range(5):
        x = 3.4445 * x - 4.7750 * x**3 + 2.0315 * x**5
    variable = make_kernel((1, 1), 3.0)
    Muon(0.1, weight_decay=0.5).apply([tf.constant([[7.0]])], [variable])
    assert x == pytest.approx(0.6964, abs=1e-4)
    assert variable.numpy() == pytest.approx(np.array([[3.0 - 0.1 * 0.5 * 3.0 - 0.1 * 0.2 * x]]), abs=1e-6)


@pytest.mark.parametrize(
    ("shape", "nesterov", "rms"), [((8, 8), True, 0.2), ((12, 5), False, 0.2), ((5, 12), True, None)]
)
def test_golden_trajectory_of_float64(shape, nesterov, rms):
    gradients = np.random.default_rng(0).normal(size=(50, *shape))
    variable = make_kernel(shape, 0.3)
    optimizer = Muon(0.003, 0.1, 0.9, nesterov, update_rms=rms)
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient, tf.float32)], [variable])
    expected = muon_in_float64(np.full(shape, 0.3), gradients, 0.003, 0.1, 0.9, nesterov=nesterov, rms=rms)
    assert np.abs(variable.numpy() - expected).max() <= 3e-6


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1, "nesterov": False}, {"momentum": 0.8}])
def test_100_steps_on_matrices_equal_keras_within_1e_5(options):
    # matrices of one shape go together, and so does a transposed one
    shapes = [(64, 96), (64, 96), (96, 64), (32, 32)]

    def train(optimizer):
        random = np.random.default_rng(0)
        values = [random.normal(size=shape) for shape in shapes]
        variables = [keras.Variable(value, dtype="float32", name="kernel") for value in values]
        target = [tf.constant(random.normal(size=shape), tf.float32) for shape in shapes]
        inputs = [tf.constant(random.normal(size=(200, shape[0])), tf.float32) for shape in shapes]
        optimizer.build(variables)

        @tf.function(autograph=False)
        def step():
            with tf.GradientTape() as tape:
                errors = [
                    tf.reduce_mean(tf.square(x @ (v.value - t)))
                    for x, v, t in zip(inputs, variables, target, strict=True)
                ]
            optimizer.apply(tape.gradient(errors, [v.value for v in variables]), variables)

        for _ in range(100):
            step()
        return [(v.numpy(), start) for v, start in zip(variables, values, strict=True)]

    ours = train(Muon(0.01, **options))
    theirs = train(keras.optimizers.Muon(0.01, **options))
    for (left, start), (right, _) in zip(ours, theirs, strict=True):
        assert np.abs(left - start).max() > 0.1
        assert np.abs(left - right).max() <= 1e-5


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=6),
    st.integers(0, 2**32 - 1),
    st.floats(-4, 4),
)
def test_each_matrix_of_any_shapes_becomes_what_it_would_alone(shapes, seed, exponent):
    random = np.random.default_rng(seed)
    matrices = [10**exponent * random.normal(size=shape) for shape in shapes]
    results = orthogonalise_all([tf.constant(matrix, tf.float64) for matrix in matrices], 5)
    for matrix, result in zip(matrices, results, strict=True):
        np.testing.assert_allclose(result, iterate_in_float64(matrix), atol=1e-6)
        values = np.linalg.svd(matrix, compute_uv=False)
        found = np.linalg.svd(result, compute_uv=False)
        # five iterations do not reach what begins below a thousandth of the norm
        assert np.sum((found > 0.65) & (found < 1.25)) >= np.sum(values > 3e-3 * np.sqrt(np.sum(values**2)))


def test_zeros_stay_zeros_and_large_matrices_are_not_all_stacked(monkeypatch):
    assert not np.any(orthogonalise_all([tf.zeros((3, 4))], 5)[0])
    monkeypatch.setattr("kerasft.optimizers.newton_schulz.LARGEST_BATCH", 3 * 4 * 4)
    random = np.random.default_rng(0)
    matrices = [random.normal(size=(4, 4)) for _ in range(7)]
    for matrix, result in zip(matrices, orthogonalise_all(list(map(tf.constant, matrices)), 5), strict=True):
        np.testing.assert_allclose(result, iterate_in_float64(matrix), atol=1e-6)
    assert LARGEST_BATCH * 4 == 64 * 2**20


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_matrices_of_other_types_are_computed_in_float32_or_more(dtype):
    gradient = np.random.default_rng(0).normal(size=(200, 100)).astype("float16")
    variable = keras.Variable(np.zeros((200, 100)), dtype=dtype, name="kernel")
    Muon(0.125, weight_decay=0.0, nesterov=False, use_ema=True).apply([tf.cast(gradient, dtype)], [variable])
    expected = muon_in_float64(np.zeros((200, 100)), [gradient], 0.125, 0, 0, nesterov=False, rms=0.2)
    assert variable.dtype == dtype
    limit = 1e-6 if dtype == "float64" else 2e-2 * np.abs(expected).max()
    assert np.abs(np.asarray(variable.numpy(), float) - expected).max() <= limit


def test_query_key_and_value_side_by_side_are_three_matrices():
    layer = BertTransformerLayer(2, 8, 16, name="layer")
    kernel = next(v for v in layer.trainable_variables if v.path.endswith("query_key_value_kernel"))
    assert count_matrices(kernel) == 3
    gradient = np.random.default_rng(0).normal(size=(8, 24)) * np.repeat([1.0, 30.0, 0.1], 8)
    start = kernel.numpy()
    optimizer = Muon(0.1, weight_decay=0.1)
    optimizer.apply([tf.constant(gradient, tf.float32)], [kernel])
    for part in range(3):
        columns = slice(8 * part, 8 * (part + 1))
        alone = make_kernel((8, 8))
        alone.assign(start[:, columns])
        Muon(0.1, weight_decay=0.1).apply([tf.constant(gradient[:, columns], tf.float32)], [alone])
        np.testing.assert_allclose(kernel.numpy()[:, columns], alone.numpy(), atol=1e-6)


def test_only_hidden_matrices_have_no_second_slot():
    layer, embeddings = BertTransformerLayer(2, 8, 16, name="layer"), BertEmbeddings(30, 8, 16, 2, name="e")
    head = make_kernel((8, 3), name="logits")
    convolution = make_kernel((3, 3, 4, 8))
    optimizer = Muon(0.1, adamw_match=["^logits"])
    variables = [*embeddings.trainable_variables, *layer.trainable_variables, head, convolution]
    optimizer.build(variables)
    slots = [variable.path.split("/")[-1] for variable in optimizer.variables]
    matrices = {variable.path for variable in variables if optimizer.count_matrices(variable)}
    assert matrices == {
        f"layer/{name}_kernel"
        for name in ("query_key_value", "attention_output", "feedforward_intermediate", "feedforward_output")
    }
    assert sum(name.endswith("_momentum") for name in slots) == len(variables)
    assert sum(name.endswith("_velocity") for name in slots) == len(variables) - 4


def test_a_layer_may_say_that_a_kernel_is_no_matrix_and_not_what_cannot_be():
    kernel = make_kernel((8, 24))
    assert count_matrices(kernel) == 1
    declare_matrices(kernel, 0)
    assert count_matrices(kernel) == 0
    for variable, count in ((kernel, 5), (kernel, -1), (make_kernel((3, 3, 4, 8)), 2)):
        with pytest.raises(ValueError, match="is not made of"):
            declare_matrices(variable, count)


def test_adamw_has_a_rate_a_decay_and_groups_of_its_own():
    kernel, bias = make_kernel((4, 4), 1.0), make_kernel((4,), 1.0, "bias")
    optimizer = Muon(
        0.01,
        weight_decay=0.5,
        no_decay=(),
        adamw_rate_scale=10.0,
        adamw_weight_decay=0.1,
        groups=[{"match": "bias", "learning_rate_scale": 0.5}],
    )
    rows = [optimizer.group_settings(variable) for variable in (kernel, bias)]
    assert [(row.learning_rate_scale, row.weight_decay) for row in rows] == [(1.0, 0.5), (5.0, 0.1)]
    optimizer.apply([tf.zeros((4, 4)), tf.ones(4)], [kernel, bias])
    assert kernel.numpy() == pytest.approx(np.full((4, 4), 0.995))
    assert bias.numpy() == pytest.approx(np.full(4, 1 - 0.05 * 0.1 - 0.05), abs=1e-6)


def test_the_config_reaches_the_optimizer_and_the_head_is_adamws():
    config = MuonConfig(
        type="muon",
        learning_rate=0.02,
        momentum=0.9,
        nesterov=False,
        newton_schulz_steps=3,
        update_rms=None,
        weight_decay=0.1,
        global_clipnorm=1.0,
        adamw={"learning_rate": 0.005, "beta_2": 0.95, "match": ["pooler"], "weight_decay": 0.0},
    )
    optimizer = build_optimizer(config, None, 10, {"logits/kernel": 0, "layer/kernel": 1})
    assert isinstance(optimizer, Muon)
    settings = optimizer.get_config()
    expected = {
        "momentum": 0.9,
        "nesterov": False,
        "newton_schulz_steps": 3,
        "update_rms": None,
        "beta_2": 0.95,
    }
    expected |= {
        "adamw_rate_scale": 0.25,
        "adamw_weight_decay": 0.0,
        "weight_decay": 0.1,
        "global_clipnorm": 1.0,
    }
    assert {name: settings[name] for name in expected} == expected
    paths = {"logits/kernel": 0, "layer/kernel": 1, "pooler/kernel": 0, "mylogits/kernel": 1}
    for path, count in paths.items():
        variable = make_kernel((2, 2))
        variable._path = path
        assert optimizer.count_matrices(variable) == count, path
    with pytest.raises(ConfigError, match="which of its layers is the head") as caught:
        build_optimizer(MuonConfig(type="muon", learning_rate=0.02), None, 10)
    assert caught.value.where == "train.optimizer.adamw.match"


@pytest.mark.parametrize(
    "arguments",
    [
        {"momentum": 1.0},
        {"newton_schulz_steps": 0},
        {"update_rms": 0.0},
        {"adamw_rate_scale": float("nan")},
        {"adamw_weight_decay": -1.0},
        {"adamw_match": ["("]},
        {"beta_1": 1.0},
    ],
)
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Muon(0.1, **arguments)
