"""What all optimizers must satisfy: one table of settings against Keras, and the promises of the base."""

from __future__ import annotations

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.optimizers import AdamW, GradientDescent, Muon, ParameterGroup

# Beside small variables that are packed, each kind that has a way of its own: a large dense one (200 × 120), a
# large embedding with row gradients (3000 × 8), and a small one (40 × 4). A tall and a wide matrix of the same sides.
SHAPES = {
    "net/token/embeddings": (3000, 8),
    "net/type/embeddings": (40, 4),
    "net/dense/kernel": (200, 120),
    "net/other/kernel": (120, 200),
    "net/dense/bias": (120,),
    "net/norm/gamma": (7,),
    "net/head/kernel": (12, 3),
}


def keras_muon(rate, weight_decay=0.004, **options):
    return keras.optimizers.Muon(rate, weight_decay=weight_decay, adam_weight_decay=weight_decay, **options)


KERAS = {"descent": keras.optimizers.SGD, "adamw": keras.optimizers.AdamW, "muon": keras_muon}
OURS = {"descent": GradientDescent, "adamw": AdamW, "muon": Muon}
OPTIONS = (
    {"weight_decay": 0.01},
    {"clipnorm": 0.5},
    {"global_clipnorm": 0.5},
    {"clipvalue": 0.01},
    {"use_ema": True, "ema_momentum": 0.9},
    {"use_ema": True, "ema_overwrite_frequency": 7},
    {"gradient_accumulation_steps": 4},
    {"gradient_accumulation_steps": 4, "global_clipnorm": 0.5, "weight_decay": 0.01},
    {"loss_scale_factor": 8.0},
)
FAST = [
    ("descent", {}),
    ("descent", {"momentum": 0.9, "nesterov": True}),
    *(("descent", {"momentum": 0.9, **options}) for options in ({}, *OPTIONS[:5])),
    *(("adamw", options) for options in OPTIONS[:7]),
    ("muon", OPTIONS[7]),
]
SLOW = [
    *(("descent", {"momentum": 0.9, **options}) for options in OPTIONS[5:]),
    *(("descent", options) for options in OPTIONS),
    *(("adamw", options) for options in OPTIONS[7:]),
    *(("muon", options) for options in OPTIONS if options is not OPTIONS[7]),
]
ALIKE = [
    pytest.param(name, options, marks=marks, id=f"{name}-{'-'.join(options) or 'plain'}")
    for cases, marks in ((FAST, ()), (SLOW, pytest.mark.slow))
    for name, options in cases
]


def make_variables(dtype="float32"):
    random = np.random.default_rng(0)
    variables = []
    for path, shape in SHAPES.items():
        variable = keras.Variable(0.1 * random.normal(size=shape), dtype=dtype, name=path.split("/")[-1])
        variable._path = path
        variables.append(variable)
    return variables


@functools.cache
def make_gradients(step, sparse=True):
    """Random gradients of one step; the embeddings' name 24 rows, several of them twice or more."""
    random = np.random.default_rng([1, step])
    gradients = []
    for path, shape in SHAPES.items():
        if path.endswith("embeddings"):
            rows = tf.constant(random.integers(0, 12, 24) * (shape[0] // 12), tf.int32)
            values = tf.constant(random.normal(size=(24, *shape[1:])), tf.float32)
            gradient = tf.IndexedSlices(values, rows, tf.constant(shape))
            gradients.append(gradient if sparse else tf.convert_to_tensor(gradient))
        else:
            gradients.append(tf.constant(random.normal(size=shape), tf.float32))
    return gradients


def train(optimizer, steps, sparse=True, start=0, variables=None):
    """The variables after some steps in a `tf.function`, as `fit` runs them."""
    variables = variables or make_variables()
    optimizer.build(variables)
    step = tf.function(lambda gradients: optimizer.apply(gradients, variables), autograph=False)
    for number in range(start, start + steps):
        step(make_gradients(number, sparse))
    return variables


def largest_difference(left, right):
    pairs = zip(left, right, strict=True)
    return max(float(np.max(np.abs(np.asarray(a, float) - np.asarray(b, float)))) for a, b in pairs)


def values_of(variables):
    return [variable.numpy() for variable in variables]


@pytest.mark.parametrize(("name", "options"), ALIKE)
def test_200_steps_equal_keras_within_1e_6(name, options):
    theirs, ours = KERAS[name](0.001, **options), OURS[name](0.001, no_decay=(), **options)
    # Keras squares and clips repeated rows before it sums them, so it is given the dense gradients that are meant.
    expected = train(theirs, 200, sparse=False)
    actual = train(ours, 200, sparse=True)
    assert largest_difference(values_of(expected), values_of(make_variables())) > 1e-4
    if options.get("use_ema"):
        theirs.finalize_variable_values(expected)
        ours.finalize_variable_values(actual)
    # Weights that are overwritten by their average carry each rounding on, and XLA rounds a product and a
    # sum once where Keras rounds twice: against float64, ours and Keras' are off by as much as each other.
    limit = 3e-6 if "ema_overwrite_frequency" in options else 1e-6
    assert largest_difference(values_of(actual), values_of(expected)) <= limit


@pytest.mark.parametrize("name", OURS)
def test_without_xla_the_result_is_the_same(name):
    compiled = train(OURS[name](0.001, weight_decay=0.01, global_clipnorm=1.0), 20)
    plain = train(OURS[name](0.001, weight_decay=0.01, global_clipnorm=1.0, jit_compile=False), 20)
    assert largest_difference(values_of(compiled), values_of(plain)) <= 1e-7


@pytest.mark.parametrize("name", OURS)
def test_repeated_runs_give_the_same_bits(name):
    first, second = (train(OURS[name](0.01, global_clipnorm=1.0), 10) for _ in range(2))
    assert largest_difference(values_of(first), values_of(second)) == 0.0


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("descent", {"momentum": 0.9}),
        ("adamw", {"use_ema": True}),
        ("adamw", {"gradient_accumulation_steps": 4}),
        ("muon", {"gradient_accumulation_steps": 4, "use_ema": True}),
    ],
)
def test_restoring_mid_run_continues_with_the_same_bits(name, options):
    def make():
        return OURS[name](0.01, weight_decay=0.01, global_clipnorm=1.0, **options)

    through = train(make(), 22)
    optimizer = make()
    half = train(optimizer, 11)
    saved = {variable.path: variable.numpy() for variable in optimizer.variables}

    restored_variables, restored = make_variables(), make()
    restored.build(restored_variables)
    for variable, value in zip(restored_variables, values_of(half), strict=True):
        variable.assign(value)
    for variable, value in zip(restored.variables, saved.values(), strict=True):
        variable.assign(value)
    train(restored, 11, start=11, variables=restored_variables)
    assert largest_difference(values_of(restored_variables), values_of(through)) == 0.0


@pytest.mark.parametrize("name", OURS)
def test_config_round_trip_rebuilds_the_same_optimizer(name):
    optimizer = OURS[name](
        keras.optimizers.schedules.CosineDecay(0.01, 100),
        weight_decay=0.02,
        groups=[ParameterGroup("head", 5.0), {"match": "token", "weight_decay": 0.5}],
        no_decay=("bias", "embedding"),
        global_clipnorm=1.0,
        measure_gradient_norm=True,
        use_ema=True,
        gradient_accumulation_steps=2,
    )
    rebuilt = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(rebuilt) is type(optimizer)
    assert rebuilt.get_config() == optimizer.get_config()
    assert rebuilt.groups == optimizer.groups
    assert largest_difference(values_of(train(optimizer, 6)), values_of(train(rebuilt, 6))) == 0.0


@pytest.mark.parametrize("name", OURS)
def test_global_gradient_norm_is_the_dense_gradients_norm_before_clipping(name):
    optimizer = OURS[name](0.01, global_clipnorm=1.0)
    train(optimizer, 1)
    norm = np.sqrt(sum(np.sum(np.square(g.numpy(), dtype=float)) for g in make_gradients(0, sparse=False)))
    assert float(optimizer.global_gradient_norm) == pytest.approx(norm, rel=1e-6)
    assert OURS[name](0.01).global_gradient_norm is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_global_gradient_norm_shows_a_gradient_that_is_not_finite(bad):
    optimizer = AdamW(0.01, measure_gradient_norm=True)
    variable = keras.Variable(np.ones(3), dtype="float32")
    optimizer.apply([tf.constant([1.0, bad, 0.0])], [variable])
    assert not np.isfinite(float(optimizer.global_gradient_norm))


@pytest.mark.parametrize("name", OURS)
def test_eager_steps_equal_compiled_ones(name):
    variables, optimizer = make_variables(), OURS[name](0.01, weight_decay=0.01)
    for number in range(3):
        optimizer.apply_gradients(zip(make_gradients(number), variables, strict=True))
    expected = train(OURS[name](0.01, weight_decay=0.01), 3)
    assert largest_difference(values_of(variables), values_of(expected)) <= 1e-7
    assert int(optimizer.iterations) == 3


@pytest.mark.parametrize(
    "name", ["descent", *(pytest.param(name, marks=pytest.mark.slow) for name in ("adamw", "muon"))]
)
def test_four_accumulated_batches_equal_one_of_four_times_the_size(name):
    def fit(batch_size, **options):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((5,), dtype="int32"),
                keras.layers.Embedding(3000, 8),
                keras.layers.Flatten(),
                keras.layers.Dense(500, activation="tanh"),
                keras.layers.LayerNormalization(),
                keras.layers.Dense(3),
            ]
        )
        if name != "descent":
            # where a gradient is nearly 0, g / (√v + ε) is all rounding, and threads round sums in any order
            options["epsilon"] = 1e-5
        optimizer = OURS[name](
            0.005, weight_decay=0.01, global_clipnorm=0.2, use_ema=True, ema_momentum=0.5, **options
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss, jit_compile=False)
        random = np.random.default_rng(0)
        inputs, labels = random.integers(0, 3000, (320, 5)), random.integers(0, 3, 320)
        model.fit(inputs, labels, batch_size=batch_size, epochs=1, shuffle=False, verbose=0)
        assert int(optimizer.iterations) == 10
        return model.get_weights()

    assert largest_difference(fit(32), fit(8, gradient_accumulation_steps=4)) <= 1e-6


def test_schedule_counts_batches_and_iterations_count_updates():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([3], [1.0, 0.0])
    optimizer = GradientDescent(schedule, gradient_accumulation_steps=2)
    variable = keras.Variable(np.zeros(1), dtype="float32")
    for _ in range(6):
        optimizer.apply([tf.ones(1)], [variable])
    # The updates are on batches 1, 3 and 5 (from 0); the rate is 1 up to batch 3.
    assert variable.numpy() == pytest.approx([-2.0])
    assert int(optimizer.iterations) == 3


def test_a_set_learning_rate_holds_from_the_next_step():
    optimizer = GradientDescent(1.0)
    variable = keras.Variable(np.zeros(1), dtype="float32")
    step = tf.function(lambda: optimizer.apply([tf.ones(1)], [variable]), autograph=False)
    optimizer.build([variable])
    step()
    optimizer.learning_rate = 0.25
    step()
    assert variable.numpy() == pytest.approx([-1.25])


def test_variables_without_a_gradient_stay_but_their_average_is_kept():
    kept, moved = keras.Variable(np.ones(2), dtype="float32"), keras.Variable(np.ones(2), dtype="float32")
    optimizer = GradientDescent(0.5, weight_decay=0.1, use_ema=True)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        optimizer.apply([None, tf.ones(2)], [kept, moved])
    assert kept.numpy() == pytest.approx([1.0, 1.0])
    assert moved.numpy() == pytest.approx([0.45, 0.45])
    optimizer.finalize_variable_values([kept, moved])
    assert kept.numpy() == pytest.approx([1.0, 1.0])


def test_constraints_hold_after_the_step():
    layer = keras.layers.Dense(2, kernel_constraint="non_neg", use_bias=False)
    layer.build((None, 3))
    GradientDescent(10.0).apply([tf.ones((3, 2))], layer.trainable_variables)
    assert np.all(layer.kernel.numpy() == 0.0)


def test_plain_tf_variables_can_be_trained():
    variable = tf.Variable([1.0, 2.0], name="plain")
    optimizer = AdamW(0.1, weight_decay=0.0)
    optimizer.apply_gradients([(tf.constant([1.0, -1.0]), variable)])
    assert variable.numpy() == pytest.approx([0.9, 2.1], rel=1e-5)


def test_excluding_from_weight_decay_as_in_keras_works():
    optimizer = GradientDescent(1.0, weight_decay=0.5)
    variables = make_variables()
    optimizer.exclude_from_weight_decay(var_names=["kernel"])
    optimizer.build(variables)
    optimizer.apply([tf.zeros(v.shape) for v in variables], variables)
    difference = [
        np.abs(a.numpy() - b.numpy()).max() for a, b in zip(variables, make_variables(), strict=True)
    ]
    assert [d > 0 for d in difference] == [True, True, False, False, False, False, False]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"no_decay": ("biases",)}, "no_decay"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"groups": [{"match": "("}]}, "regular expression"),
        ({"clipnorm": 1.0, "clipvalue": 1.0}, "Only one of"),
        ({"gradient_accumulation_steps": 1}, "gradient_accumulation_steps"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        GradientDescent(0.1, **arguments)


def test_gradients_for_unknown_variables_are_refused():
    optimizer = GradientDescent(0.1)
    optimizer.build([keras.Variable(np.ones(2))])
    with pytest.raises(ValueError, match="Unknown variable"):
        optimizer.apply([tf.ones(2)], [keras.Variable(np.ones(2))])
    with pytest.raises(ValueError, match="2 gradients for 1"):
        optimizer.apply([tf.ones(2), tf.ones(2)])
    with pytest.raises(ValueError, match="build the optimizer"):
        GradientDescent(0.1).apply([tf.ones(2)])
