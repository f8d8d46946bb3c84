"""The optimizers inside `fit`: saving, mixed precision, callbacks."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from tolerances import needs_bfloat16

from kerasft.optimizers import AdamW, GradientDescent, Muon, Warmup

OURS = {"descent": GradientDescent, "adamw": AdamW, "muon": Muon}
LIMITS = {"descent": 1e-5, "adamw": 5e-4, "muon": 2e-3}
KERAS = {
    "descent": keras.optimizers.SGD,
    "adamw": keras.optimizers.AdamW,
    "muon": lambda rate, **options: keras.optimizers.Muon(rate, adam_weight_decay=0.01, **options),
}


def make_model(optimizer):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(400, activation="tanh"),
            keras.layers.Dense(64),
            keras.layers.Dense(3),
        ]
    )
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    return model


def make_data(count=160):
    random = np.random.default_rng(0)
    return random.normal(size=(count, 6)).astype("float32"), random.integers(0, 3, count)


def fit(model, epochs=1):
    model.fit(*make_data(), batch_size=16, epochs=epochs, shuffle=False, verbose=0)
    return model


def bits(model):
    return [v.numpy().tobytes() for v in [*model.trainable_variables, *model.optimizer.variables]]


@pytest.mark.parametrize("name", ["adamw", "muon", pytest.param("descent", marks=pytest.mark.slow)])
def test_saved_and_loaded_models_go_on_with_the_same_bits(name, tmp_path):
    optimizer = OURS[name](Warmup(0.01, 5, 40), weight_decay=0.01, global_clipnorm=1.0, use_ema=True)
    # `fit` ends by writing the average into the weights, so both go through it once at half time.
    model = fit(make_model(optimizer))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert bits(loaded) == bits(model)
    assert bits(fit(loaded)) == bits(fit(model))


@pytest.fixture
def policy():
    yield keras.mixed_precision.set_dtype_policy
    keras.mixed_precision.set_dtype_policy("float32")


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("descent", "mixed_float16"),
        ("muon", "mixed_float16"),
        pytest.param("adamw", "mixed_bfloat16", marks=needs_bfloat16),
        pytest.param("adamw", "mixed_float16", marks=pytest.mark.slow),
        pytest.param("descent", "mixed_bfloat16", marks=[pytest.mark.slow, needs_bfloat16]),
        pytest.param("muon", "mixed_bfloat16", marks=[pytest.mark.slow, needs_bfloat16]),
    ],
)
def test_mixed_precision_equals_keras(name, precision, policy):
    policy(precision)
    ours = fit(make_model(OURS[name](0.001, global_clipnorm=1.0, weight_decay=0.01, no_decay=())), epochs=2)
    theirs = fit(make_model(KERAS[name](0.001, global_clipnorm=1.0, weight_decay=0.01)), epochs=2)
    assert (precision == "mixed_float16") == isinstance(ours.optimizer, keras.optimizers.LossScaleOptimizer)
    # The gradients are in 16 bits: a last bit of a weight can change one of theirs, and an orthogonal update
    # follows its small directions as far as its large ones.
    for left, right in zip(ours.trainable_variables, theirs.trainable_variables, strict=True):
        assert left.dtype == "float32"
        assert np.abs(left.numpy() - right.numpy()).max() <= LIMITS[name]


def test_an_overflow_in_float16_skips_the_step():
    inner = AdamW(0.1, measure_gradient_norm=True)
    optimizer = keras.optimizers.LossScaleOptimizer(inner)
    variable = keras.Variable(np.ones(3), dtype="float32")
    optimizer.apply([tf.constant([1.0, np.inf, 1.0])], [variable])
    assert variable.numpy().tolist() == [1.0, 1.0, 1.0]
    assert int(inner.iterations) == 0
    optimizer.apply([tf.constant([1.0, 1.0, 1.0]) * optimizer.dynamic_scale], [variable])
    assert float(inner.global_gradient_norm) == pytest.approx(np.sqrt(3.0))
    assert variable.numpy() == pytest.approx(np.full(3, 0.9 - 0.1 * 0.004), abs=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
@pytest.mark.parametrize("name", ["descent", "adamw"])
def test_weights_of_other_types_are_updated_in_their_own(name, dtype):
    variables = [keras.Variable(np.ones(shape), dtype=dtype, name="kernel") for shape in ((3,), (200, 100))]
    OURS[name](0.125, weight_decay=0.0, use_ema=True).apply(
        [tf.ones(v.shape, dtype) for v in variables], variables
    )
    for variable in variables:
        assert variable.dtype == dtype
        assert np.asarray(variable.numpy(), float) == pytest.approx(np.full(variable.shape, 0.875), abs=1e-2)


def test_plateau_callback_lowers_the_rate():
    model = make_model(GradientDescent(0.01))
    callback = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.1, patience=1, min_delta=100.0)
    model.fit(*make_data(), epochs=4, verbose=0, callbacks=[callback])
    assert float(model.optimizer.learning_rate) < 0.0011


def test_model_itself_is_not_compiled_by_xla():
    model = fit(make_model(AdamW(0.01)))
    assert model.jit_compile is False


@pytest.mark.slow
def test_works_inside_a_model_that_is_compiled_by_xla():
    plain = fit(make_model(AdamW(0.01)))
    compiled = make_model(AdamW(0.01))
    compiled.jit_compile = True
    fit(compiled)
    for left, right in zip(plain.trainable_variables, compiled.trainable_variables, strict=True):
        assert np.abs(left.numpy() - right.numpy()).max() <= 1e-4
