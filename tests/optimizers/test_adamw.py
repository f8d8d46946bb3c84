"""AdamW against its equations by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasft.optimizers import AdamW


def adamw_in_float64(theta, gradients, rate, decay, beta_1, beta_2, epsilon):
    theta, mean, square = np.float64(theta), 0.0, 0.0
    for number, gradient in enumerate(gradients, 1):
        theta = theta - rate * decay * theta
        mean = beta_1 * mean + (1 - beta_1) * gradient
        square = beta_2 * square + (1 - beta_2) * gradient**2
        corrected = rate * np.sqrt(1 - beta_2**number) / (1 - beta_1**number)
        theta = theta - corrected * mean / (np.sqrt(square) + epsilon)
    return theta


def test_first_step_by_hand():
    # m = 0.1·2, v = 0.001·4, the correction √0.001 / 0.1: the step is η·g/|g| but for ε; decay takes 0.01·0.5·3 first.
    variable = keras.Variable(np.array([3.0]), dtype="float32")
    AdamW(0.01, weight_decay=0.5).apply([tf.constant([2.0])], [variable])
    assert variable.numpy() == pytest.approx([3.0 - 0.015 - 0.01], abs=1e-6)


@pytest.mark.parametrize(
    ("beta_1", "beta_2", "epsilon"), [(0.9, 0.999, 1e-7), (0.0, 0.9, 1e-3), (0.5, 0.5, 1e-2)]
)
def test_golden_trajectory_of_float64(beta_1, beta_2, epsilon):
    gradients = np.random.default_rng(0).normal(size=(50, 30))
    variable = keras.Variable(np.full(30, 0.3), dtype="float32")
    optimizer = AdamW(0.003, 0.1, beta_1, beta_2, epsilon)
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient, tf.float32)], [variable])
    expected = adamw_in_float64(np.full(30, 0.3), gradients, 0.003, 0.1, beta_1, beta_2, epsilon)
    assert np.abs(variable.numpy() - expected).max() <= 3e-6


def test_a_token_named_twice_counts_as_the_sum_of_its_rows():
    # Keras squares each row first: its second moment is Σ g² where (Σ g)² is meant.
    values, rows = np.array([[1.0], [2.0], [-3.0]]), np.array([4, 4, 1])
    variable = keras.Variable(np.zeros((20_000, 1)), dtype="float32", name="embeddings")
    optimizer = AdamW(0.1, weight_decay=0.0)
    gradient = tf.IndexedSlices(tf.constant(values, tf.float32), tf.constant(rows), tf.constant([20_000, 1]))
    optimizer.apply([gradient], [variable])
    moments = {v.name: v.numpy() for v in optimizer.variables}
    square = next(value for name, value in moments.items() if name.endswith("velocity"))
    assert square[4, 0] == pytest.approx(0.001 * 9.0, rel=1e-5)
    assert square[1, 0] == pytest.approx(0.001 * 9.0, rel=1e-5)
    assert np.count_nonzero(square) == 2


def test_rows_that_no_token_named_move_on_by_their_momentum():
    variable = keras.Variable(np.zeros((20_000, 1)), dtype="float32", name="embeddings")
    optimizer = AdamW(0.1, weight_decay=0.0)
    for row in (4, 5):
        gradient = tf.IndexedSlices(tf.ones((1, 1)), tf.constant([row]), tf.constant([20_000, 1]))
        optimizer.apply([gradient], [variable])
    expected = adamw_in_float64(0.0, [1.0, 0.0], 0.1, 0.0, 0.9, 0.999, 1e-7)
    assert variable.numpy()[4, 0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("arguments", [{"beta_1": 1.0}, {"beta_2": -0.1}, {"epsilon": 0.0}])
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        AdamW(0.1, **arguments)
