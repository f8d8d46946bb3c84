"""Several batches that make one update: of any sizes, to the end of training, and over an interruption."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.optimizers import AdamW, GradientDescent, Warmup
from kerasft.optimizers.denominators import CountedLoss, set_denominator, take_denominator


@keras.saving.register_keras_serializable(package="tests")
class Squares(CountedLoss):
    """The mean squared error of one output."""

    def call(self, y_true, y_pred):
        return tf.reduce_mean(tf.square(y_pred - y_true), -1)


def build_model(optimizer, loss=None, l2: float = 0.0) -> keras.Model:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            # large enough for a pass of its own, beside small ones that are packed
            keras.layers.Dense(6000, activation="tanh", kernel_regularizer=keras.regularizers.L2(l2)),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer, Squares() if loss is None else loss, jit_compile=False)
    return model


def cut(sizes, seed=0, weights=False):
    """Batches of those sizes from one row of examples, as a dataset."""
    generator = np.random.default_rng(seed)
    total = sum(sizes)
    parts = [generator.standard_normal((total, 3)), generator.standard_normal((total, 1))]
    parts += [generator.uniform(0.1, 3.0, total)] if weights else []
    ends = np.cumsum(sizes)

    def draw():
        for size, end in zip(sizes, ends, strict=True):
            yield tuple(part[end - size : end].astype(np.float32) for part in parts)

    shapes = ((None, 3), (None, 1), (None,))[: len(parts)]
    signature = tuple(tf.TensorSpec(shape, tf.float32) for shape in shapes)
    dataset = tf.data.Dataset.from_generator(draw, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(len(sizes)))


def fit(make, sizes, *, weights=False, **options):
    model = build_model(make(), **options)
    model.fit(cut(sizes, weights=weights), epochs=1, verbose=0, shuffle=False)
    return model


def assert_equal(one: keras.Model, other: keras.Model, atol: float = 1e-6) -> None:
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=atol, rtol=0)


def descend(steps=None, **options):
    # compiled where it matters: each optimizer would compile its own functions
    options = {"jit_compile": False, **options}
    return lambda: GradientDescent(0.01, gradient_accumulation_steps=steps, **options)


@pytest.mark.parametrize(
    ("options", "fit_options"),
    [
        ({"global_clipnorm": 0.5, "weight_decay": 0.1, "jit_compile": True}, {}),
        ({"clipnorm": 0.1, "use_ema": True, "ema_momentum": 0.5}, {"l2": 0.05}),
        ({"clipvalue": 0.01, "loss_scale_factor": 8.0}, {"weights": True}),
        ({}, {"weights": True, "loss": Squares(reduction="mean_with_sample_weight")}),
    ],
    ids=["clipped-and-decayed", "regularised", "weighted", "divided-by-the-weights"],
)
def test_batches_of_any_sizes_make_the_update_of_all_their_examples(options, fit_options):
    one = fit(descend(**options), [12, 12, 12], **fit_options)
    parts = fit(descend(3, **options), [1, 9, 2, 4, 3, 5, 10, 1, 1], **fit_options)
    assert int(parts.optimizer.iterations) == 3
    assert_equal(one, parts)


def test_other_losses_weigh_each_batch_the_same_as_keras_does():
    ours = fit(descend(2), [2, 6, 5, 3], loss="mse")
    theirs = fit(lambda: keras.optimizers.SGD(0.01, gradient_accumulation_steps=2), [2, 6, 5, 3], loss="mse")
    assert_equal(ours, theirs)


def test_batches_left_at_the_end_make_a_last_update_at_the_rate_of_the_last_of_them():
    options = {"use_ema": True, "ema_momentum": 0.5, "jit_compile": False}

    # a schedule that comes to 0 right after the last of the seven batches
    def make(steps, total):
        return lambda: AdamW(Warmup(0.01, total_steps=total), gradient_accumulation_steps=steps, **options)

    parts = fit(make(3, 7), [4, 4, 4, 2, 5, 5, 3])
    assert int(parts.optimizer.iterations) == 3
    # the same updates by hand, at the rates of batches 2, 5 and 6
    rates = [0.01 * (1 - batch / 7) for batch in (2, 5, 6)]
    one = build_model(AdamW(rates[0], **options))
    for rate, batch in zip(rates, cut([12, 12, 3]), strict=True):
        one.optimizer.learning_rate = rate
        one.train_on_batch(*batch)
    one.optimizer.finalize_variable_values(one.trainable_weights)
    assert_equal(one, parts)


def test_training_that_goes_on_after_its_end_begins_a_new_accumulation():
    model = build_model(descend(3)())
    model.fit(cut([4, 2]), epochs=1, verbose=0, shuffle=False)
    model.fit(cut([3, 3, 3], seed=1), epochs=1, verbose=0, shuffle=False)
    one = build_model(descend()())
    one.fit(cut([6]), epochs=1, verbose=0)
    one.fit(cut([9], seed=1), epochs=1, verbose=0)
    assert int(model.optimizer.iterations) == 2
    assert_equal(model, one)


def test_an_interrupted_accumulation_goes_on_to_the_very_bits():
    batches = list(cut([2, 7, 3, 5, 1]))
    straight, first, second = (build_model(descend(3, momentum=0.9)()) for _ in range(3))
    for batch in batches:
        straight.train_on_batch(*batch)
    for batch in batches[:2]:
        first.train_on_batch(*batch)
    second.optimizer.build(second.trainable_variables)
    for ours, theirs in ((second, first), (second.optimizer, first.optimizer)):
        for variable, value in zip(ours.variables, theirs.variables, strict=True):
            variable.assign(value)
    for batch in batches[2:]:
        second.train_on_batch(*batch)
    for model in (straight, second):
        model.optimizer.finalize_variable_values(model.trainable_weights)
    for a, b in zip(straight.get_weights(), second.get_weights(), strict=True):
        assert a.tobytes() == b.tobytes()


def test_a_step_that_a_loss_scale_leaves_out_is_no_part_of_the_update():
    def make():
        return keras.optimizers.LossScaleOptimizer(descend(2)(), initial_scale=4.0)

    scaled, plain = build_model(make()), build_model(descend()())
    batches = list(cut([5, 3, 4]))
    scaled.train_on_batch(*batches[0])
    scaled.train_on_batch(batches[1][0], batches[1][1] * np.inf)
    scaled.train_on_batch(*batches[2])
    plain.train_on_batch(*(tf.concat([batches[0][i], batches[2][i]], 0) for i in range(2)))
    assert int(scaled.optimizer.iterations) == 1
    assert_equal(scaled, plain)


def test_several_losses_with_a_number_each_are_refused():
    inputs = keras.Input((3,))
    outputs = [keras.layers.Dense(1, name=name)(inputs) for name in "ab"]
    model = keras.Model(inputs, outputs)
    model.compile(descend(2)(), [Squares(), Squares()], jit_compile=False)
    zeros = np.zeros((2, 1), np.float32)
    with pytest.raises(ValueError, match="2 losses have their own denominators"):
        model.train_on_batch(np.zeros((2, 3), np.float32), [zeros, zeros])


def test_a_denominator_is_taken_once_and_by_the_step_that_it_is_of():
    loss = Squares()
    take_denominator()  # what any loss was called with before, eagerly and without an optimizer
    assert take_denominator() is None
    loss(np.zeros((4, 1)), np.zeros((4, 1)))
    loss(np.zeros((7, 1)), np.zeros((7, 1)))
    assert float(take_denominator()) == 7
    assert take_denominator() is None

    @tf.function(autograph=False)
    def step(inner):
        set_denominator(loss, tf.constant(3.0))
        return tf.cond(inner, lambda: take_denominator(), lambda: tf.constant(0.0))

    loss(np.zeros((4, 1)), np.zeros((4, 1)))
    assert float(step(tf.constant(True))) == 3
    assert float(take_denominator()) == 4
